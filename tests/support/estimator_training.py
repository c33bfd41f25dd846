"""A training with an Estimator, as people have it: for TensorFlow 1.15 to 2.15, and Python 3.7.

python estimator_training.py MODEL_DIR
"""

import sys

import tensorflow as tf

import cpr

FEATURES = {"x": ("float32", [2])}


def model(features, labels, mode):
    with tf.compat.v1.variable_scope("linear"):
        weights = tf.compat.v1.get_variable("w", [2, 1], initializer=tf.compat.v1.ones_initializer())
    y = tf.squeeze(tf.matmul(features["x"], weights), 1)
    step = tf.compat.v1.train.get_or_create_global_step()
    if mode == tf.estimator.ModeKeys.PREDICT:
        outputs = {
            "serving_default": tf.estimator.export.PredictOutput({"y": y}),
            "regress": tf.estimator.export.RegressionOutput(y),
        }
        return tf.estimator.EstimatorSpec(mode, {"y": y}, export_outputs=outputs)
    loss = tf.reduce_mean(tf.square(y - labels))
    train = tf.compat.v1.train.AdamOptimizer(0.1).minimize(loss, global_step=step)
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train)


def make(model_dir):
    return tf.estimator.Estimator(model, model_dir)


def fails(model_dir):
    raise ValueError("no such data")


serve = cpr.raw_serving_input(FEATURES)
serve_examples = cpr.parsing_serving_input(FEATURES)


def data():
    return tf.data.Dataset.from_tensors(({"x": [[1.0, 2.0], [3.0, 4.0]]}, [5.0, 11.0])).repeat()


if __name__ == "__main__":
    make(sys.argv[1]).train(data, steps=2)
