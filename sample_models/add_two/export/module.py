"""TensorFlow 2, tf.saved_model.save: an object with variables, and a traced function as its signature.

TensorFlow 2.21.0: python module.py FOLDER
"""

import sys

import tensorflow as tf


class AddTwo(tf.Module):
    def __init__(self):
        super().__init__()
        self.two = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def serve(self, x):
        return {"y": x + self.two}


if __name__ == "__main__":
    module = AddTwo()
    tf.saved_model.save(module, sys.argv[1], signatures={"serving_default": module.serve})
