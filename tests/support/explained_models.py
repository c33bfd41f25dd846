"""Small SavedModels whose attributions are known, or cannot be. Needs TensorFlow."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from support.saved_models import placeholder, save, save_graph


def write_all(folder):
    for name, write in WRITERS.items():
        write(str(folder / name))


def two_inputs(path):
    """Linear: what each value adds is its weight times its distance from the baseline."""

    def serve(a, b):
        return {"y": 2.0 * a[:, 0] - 3.0 * a[:, 1] + b}

    save(path, {"serving_default": (serve, {"a": ([None, 2], tf.float32), "b": ([None], tf.float32)})})


def network(path, activation=tf.nn.relu):
    random = np.random.default_rng(1)
    shapes = {"first": (8, 32), "bias": (32,), "second": (32, 3)}
    weights = {name: tf.Variable(random.normal(0, 0.5, shape).astype(np.float32)) for name, shape in shapes.items()}

    def serve(x):
        hidden = activation(x @ weights["first"] + weights["bias"])
        return {"probabilities": tf.nn.softmax(hidden @ weights["second"])}

    save(path, {"serving_default": (serve, {"x": ([None, 8], tf.float32)})}, **weights)


def smooth(path):
    network(path, tf.nn.tanh)


def fixed_batch(path):
    save(path, {"serving_default": (lambda x: {"y": x * x}, {"x": ([7], tf.float32)})})


def scaled(path):
    """One of its inputs is the same for all rows."""
    save(path, {"serving_default": (lambda x, rate: {"y": x * rate}, {"x": ([None], tf.float32), "rate": ([], tf.float32)})})


def text(path):
    save(path, {"serving_default": (lambda x: {"y": tf.strings.length(x)}, {"x": ([None], tf.string)})})


def numbered(path):
    """The first value is a whole number, which no gradient reaches."""
    save(path, {"serving_default": (lambda x: {"y": tf.cast(x[:, 0] * x[:, 1], tf.float32)}, {"x": ([None, 2], tf.int64)})})


def rounded(path):
    save(path, {"serving_default": (lambda x: {"y": tf.round(x)}, {"x": ([None], tf.float32)})})


def rooted(path):
    """Its slope at zero is infinite, and undefined for what lies below."""
    save(path, {"serving_default": (lambda x: {"y": tf.sqrt(x)}, {"x": ([None], tf.float32)})})


def two_outputs(path):
    outputs = lambda x: {"up": x + 1.0, "down": -x, "name": tf.as_string(x)}  # noqa: E731
    save(path, {"serving_default": (outputs, {"x": ([None], tf.float32)})})


def half(path):
    save(path, {"serving_default": (lambda x: {"y": tf.reduce_sum(x * x, 1)}, {"x": ([None, 2], tf.bfloat16)})})


def of_tensorflow1(path):
    def build(tags):
        x = placeholder(tf.float32, None, 2)
        weight = tf.compat.v1.get_variable("weight", initializer=[[2.0], [3.0]])
        return {"serving_default": ({"x": x}, {"y": tf.matmul(x, weight)})}

    save_graph(path, build)


WRITERS = {
    write.__name__: write
    for write in (
        two_inputs,
        network,
        smooth,
        fixed_batch,
        scaled,
        text,
        numbered,
        rounded,
        rooted,
        two_outputs,
        half,
        of_tensorflow1,
    )
}
