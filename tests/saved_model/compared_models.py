"""Pairs of models that differ in one known thing, and models that are hard to ask, made by TensorFlow.

``python compared_models.py FOLDER``
"""

import os
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
builder_v1 = v1.saved_model.builder.SavedModelBuilder


class Scores(tf.Module):
    def __init__(self, width=4):
        super().__init__()
        self.weights = tf.Variable(np.arange(3 * width, dtype=np.float32).reshape(width, 3))
        self.names = tf.Variable(["a", "bc"])

        @tf.function(input_signature=[tf.TensorSpec([None, width], tf.float32, "x")])
        def score(x):
            return {"scores": tf.matmul(x, self.weights)}

        self.score = score


def module(path):
    model = Scores()
    tf.saved_model.save(model, str(path / "base"), model.score)
    model.weights.assign_add(tf.one_hot([0, 9, 9, 9], 3))
    tf.saved_model.save(model, str(path / "value"), model.score)
    model.weights.assign_sub(tf.one_hot([0, 9, 9, 9], 3))
    model.names.assign(["ab", "c"])
    tf.saved_model.save(model, str(path / "text_value"), model.score)
    wider = Scores(5)
    tf.saved_model.save(wider, str(path / "shape"), {"serving_default": wider.score, "again": wider.score})


def frozen(path):
    """The same operations and sizes; one constant differs."""
    for name, factor in (("frozen_2", 2.0), ("frozen_3", 3.0)):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None], "x")
            v1.saved_model.simple_save(session, str(path / name), {"x": x}, {"y": x * factor})


def methods(path):
    """One graph, its signatures spelt in two ways."""
    predict, info = "tensorflow/serving/predict", v1.saved_model.build_tensor_info
    for name in ("signature_1", "signature_2"):
        with tf.Graph().as_default(), v1.Session() as session:
            x, other = v1.placeholder(tf.float32, [None], "x"), v1.placeholder(tf.float32, [None], "other")
            y, z = tf.identity(x, "y"), tf.identity(other, "z")
            sides = {
                "signature_1": ({"in": info(x)}, {"out": info(y)}, predict),
                "signature_2": ({"in": info(other)}, {"out": info(z), "more": info(y)}, "tensorflow/serving/classify"),
            }
            signature = v1.saved_model.build_signature_def(*sides[name])
            builder = builder_v1(str(path / name))
            tags = {"signature_1": ["serve"], "signature_2": ["serve", "gpu"]}[name]
            builder.add_meta_graph_and_variables(session, tags, {"serving_default": signature})
            builder.save()


def assets(path):
    for name, words in (("words_1", "one\ntwo\n"), ("words_2", "two\none\n")):
        file = path / "words.txt"
        file.write_text(words)
        table = tf.Module()
        keys = tf.lookup.TextFileInitializer(
            str(file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        table.table = tf.lookup.StaticVocabularyTable(keys, 1)
        table.look_up = tf.function(table.table.lookup, input_signature=[tf.TensorSpec([None], tf.string, "words")])
        tf.saved_model.save(table, str(path / name), table.look_up)
    # The first one with the other's words: nothing differs but the asset.
    shutil.copytree(path / "words_1", path / "words_swapped")
    shutil.copy(path / "words_2" / "assets" / "words.txt", path / "words_swapped" / "assets" / "words.txt")


def requests(path):
    """What an example request must get right: bytes of a picture, large rows, scalars, names that a shell trips over."""
    model = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
    def picture(image):
        pixels = tf.map_fn(lambda each: tf.io.decode_jpeg(each, 1)[:1, :1], image, fn_output_signature=tf.uint8)
        return {"corner": tf.reshape(pixels, [-1])}

    @tf.function(
        input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, "pixels"), tf.TensorSpec([None], tf.bool, "flip")]
    )
    def large(pixels, flip):
        return {"mean": tf.reduce_mean(pixels, [1, 2, 3]), "flipped": flip}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "factor"), tf.TensorSpec([3], tf.int32, "values")])
    def scalar(factor, values):
        return {"scaled": factor * tf.cast(values, tf.float32)}

    model.picture, model.large, model.scalar = picture, large, scalar
    tf.saved_model.save(model, str(path / "requests"), {"picture": picture, "large": large, "scalar": scalar})
    builder = builder_v1(str(path / "odd it's here"))
    for tags in (["serve"], ["serve", "gpu"]):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.int64, [2, 1], "x")
            info = v1.saved_model.build_tensor_info
            sides = {'it\'s "x" \\n é': info(x)}, {"y": info(x + 1)}
            signature = v1.saved_model.build_signature_def(*sides, "tensorflow/serving/predict")
            signatures = {"it's \\n": signature, "other": signature}
            if tags == ["serve"]:
                builder.add_meta_graph_and_variables(session, tags, signatures)
            else:
                builder.add_meta_graph(tags, signatures)
    builder.save()


def graphs(path):
    """The same two graphs, one of them with another tag; and with other values in the slices of their variable."""
    for name, tag, start in (("graphs_1", "train", 0.0), ("graphs_2", "eval", 0.0), ("graphs_3", "train", 1.0)):
        builder = builder_v1(str(path / name))
        for tags in (["serve"], [tag]):
            with tf.Graph().as_default(), v1.Session() as session:
                values, halves = tf.range(start, start + 10), v1.fixed_size_partitioner(2)
                parts = v1.get_variable("parts", initializer=values, partitioner=halves, use_resource=False)
                total = tf.reduce_sum(tf.convert_to_tensor(parts))
                session.run(v1.global_variables_initializer())
                info = v1.saved_model.build_tensor_info
                signature = v1.saved_model.build_signature_def({}, {"total": info(total)}, "tensorflow/serving/predict")
                if tags == ["serve"]:
                    builder.add_meta_graph_and_variables(session, tags, {"serving_default": signature})
                else:
                    builder.add_meta_graph(tags, {"serving_default": signature})
        builder.save()


def main(path):
    for make in (module, frozen, methods, assets, requests, graphs):
        make(path)
    (path / "says.json").write_text("{}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
