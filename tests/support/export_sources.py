"""What people have before they have a SavedModel, written by TensorFlow itself, and what TensorFlow answers with it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

ROWS = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [4.0, -4.0, 1.0], [0.0, 0.0, 0.0]], np.float32)


@dataclass(frozen=True)
class Trained:
    """A training of TensorFlow 1: its folder, the prefix of its last checkpoint, and what it answers to ``ROWS``."""

    folder: Path
    prefix: Path
    scores: np.ndarray
    words: np.ndarray


def train(folder: Path, resource: bool) -> Trained:
    """Dropout, a vocabulary in a file, an optimizer; with reference variables they are partitioned as well."""
    folder.mkdir()
    (folder / "words.txt").write_text("low\nhigh\n")
    partitioner = None if resource else v1.fixed_size_partitioner(2)
    with tf.Graph().as_default() as graph, v1.variable_scope("net", use_resource=resource, partitioner=partitioner):
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        keep = v1.placeholder(tf.float32, [], name="keep")
        weights = v1.get_variable("w", [3, 2], initializer=v1.random_normal_initializer(seed=1))
        scores = tf.nn.softmax(tf.nn.dropout(x, rate=1 - keep) @ weights, name="scores")
        lines = tf.lookup.TextFileInitializer(
            str(folder / "words.txt"),
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
        )
        words = tf.identity(tf.lookup.StaticHashTable(lines, "?").lookup(tf.argmax(scores, 1)), name="words")
        train_op = v1.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(tf.square(scores)))
        saver = v1.train.Saver()
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            for step in (1, 2):
                session.run(train_op, {x: ROWS, keep: 0.5})
                prefix = Path(saver.save(session, str(folder / "model.ckpt"), step))
            answered = session.run([scores, words], {x: ROWS, keep: 1.0})
        if resource:
            tf.io.write_graph(graph.as_graph_def(), str(folder), "graph.pbtxt")
    return Trained(folder, prefix, *answered)


def freeze(path: Path, kind: str) -> None:
    """A frozen graph with two rows at a time: ``rowwise`` ``x * 2 + 1``, ``mixed`` ``x - mean of all rows``."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [2, 3], name="in/x")
        tf.identity(x * 2.0 + 1.0 if kind == "rowwise" else x - tf.reduce_mean(x), name="out/y")
    tf.io.write_graph(graph.as_graph_def(), str(path.parent), path.name, as_text=False)


def classifier() -> tf.keras.Model:
    """Trained once, so that its optimizer has slots and its batch normalisation statistics."""
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input([3], name="features"),
            layers.Dense(4),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(2, activation="softmax", name="scores"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(ROWS, np.array([0, 1, 0, 1]), verbose=0)
    return model


def save(path: Path, signatures: dict) -> None:
    """``signatures``: name to ``(function of keyword tensors, {input: (shape, dtype)})``, with a variable ``v`` of value 2."""
    module = tf.Module()
    module.v = tf.Variable(2.0)
    concrete = {
        name: tf.function(lambda function=function, **given: function(module.v, **given)).get_concrete_function(
            **{key: tf.TensorSpec(*spec, name=key) for key, spec in inputs.items()}
        )
        for name, (function, inputs) in signatures.items()
    }
    tf.saved_model.save(module, str(path), signatures=concrete)


def answers(path: Path, key: str, arrays: dict, tags: tuple[str, ...] = ("serve",)) -> dict:
    """What the signature answers, by TensorFlow's own loaders, which must agree."""
    function = tf.saved_model.load(str(path), tags=list(tags)).signatures[key]
    by_objects = {name: value.numpy() for name, value in function(**{k: tf.constant(v) for k, v in arrays.items()}).items()}
    with tf.Graph().as_default(), v1.Session() as session:
        definition = v1.saved_model.load(session, list(tags), str(path)).signature_def[key]
        fetches = {name: info.name for name, info in definition.outputs.items()}
        by_session = session.run(fetches, {definition.inputs[name].name: value for name, value in arrays.items()})
    assert by_objects.keys() == by_session.keys()
    for name, value in by_objects.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(value, by_session[name], 1e-6, 1e-7)
        else:
            np.testing.assert_array_equal(value, by_session[name])
    return by_objects
