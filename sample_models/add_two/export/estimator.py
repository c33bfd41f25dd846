"""TensorFlow 1, an Estimator: the model function is built anew for serving, on the inputs of a serving input receiver.

Python 3.7, TensorFlow 1.15.5: python estimator.py FOLDER
"""

import shutil
import sys
import tempfile

import tensorflow as tf


def model(features, labels, mode):
    two = tf.get_variable("two", initializer=2.0)
    y = tf.add(features["x"], two, "y")
    if mode == tf.estimator.ModeKeys.PREDICT:
        outputs = {"predict": tf.estimator.export.PredictOutput({"y": y})}
        return tf.estimator.EstimatorSpec(mode, {"y": y}, export_outputs=outputs)
    loss = tf.reduce_mean(tf.square(y - labels))
    count = tf.assign_add(tf.train.get_global_step(), 1)  # a step of training that changes nothing
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=count)


def training_data():
    return tf.data.Dataset.from_tensors(({"x": [1.0]}, [3.0]))


with tempfile.TemporaryDirectory() as folder:
    estimator = tf.estimator.Estimator(model, folder + "/training")
    estimator.train(training_data, steps=1)  # an Estimator exports its last checkpoint, so there has to be one
    placeholders = {"x": tf.placeholder(tf.float32, [None], "x")}
    receiver = tf.estimator.export.build_raw_serving_input_receiver_fn(placeholders)
    made = estimator.export_saved_model(folder + "/export", receiver)
    shutil.copytree(made.decode(), sys.argv[1])  # out of the folder named after the time
