"""Run by TensorFlow 1.15 itself: ``make FOLDER`` exports a training graph, ``ask FOLDER`` prints what an export answers."""

import json
import sys

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def make(path):
    """With a table, batch normalisation and an optimizer, whose gradients TensorFlow 2 refuses to load."""
    with open(path + ".words", "w") as file:
        file.write("zero\none\ntwo\n")
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    with v1.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None, 5], "words")
        initializer = tf.lookup.TextFileInitializer(path + ".words", tf.string, line, tf.int64, number)
        rows = tf.lookup.StaticHashTable(initializer, 0).lookup(words)
        start = v1.random_normal_initializer(seed=1)
        vectors = v1.get_variable("vectors", [500, 64], initializer=start)
        layer = tf.reshape(tf.reduce_mean(tf.nn.embedding_lookup(vectors, rows), 1), [-1, 8, 8, 1])
        layer = v1.layers.conv2d(layer, 16, 3, use_bias=False, kernel_initializer=start)
        layer = v1.layers.batch_normalization(layer, training=False)
        scores = tf.nn.softmax(v1.layers.dense(v1.layers.flatten(layer), 10, kernel_initializer=start))
        v1.train.AdamOptimizer().minimize(tf.reduce_mean(scores))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        tables = v1.tables_initializer()
        v1.saved_model.simple_save(session, path, {"words": words}, {"scores": scores}, legacy_init_op=tables)


def ask(path):
    with v1.Session(graph=v1.Graph()) as session:
        signature = v1.saved_model.loader.load(session, ["serve"], path).signature_def["serving_default"]
        words = np.array([["zero", "one", "two", "zero", "one"], ["two"] * 5], object)
        scores = session.run(signature.outputs["scores"].name, {signature.inputs["words"].name: words})
    print(json.dumps(scores.tolist()))


if __name__ == "__main__":
    {"make": make, "ask": ask}[sys.argv[1]](sys.argv[2])
