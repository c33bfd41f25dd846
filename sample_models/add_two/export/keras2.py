"""Keras 2, model.save: the layers travel too, so that Keras could load the model and train it further.

TensorFlow 2.15.1: python keras2.py FOLDER
"""

import sys

import tensorflow as tf


class AddTwo(tf.keras.layers.Layer):
    def build(self, shape):
        self.two = self.add_weight(name="two", shape=(), initializer=tf.keras.initializers.Constant(2.0))

    def call(self, x):
        return x + self.two


x = tf.keras.Input(shape=(), name="x")
model = tf.keras.Model(x, {"y": AddTwo(name="y")(x)})
model.save(sys.argv[1], save_format="tf")
