"""Faults in SavedModels. What must be exported anew is exported by TensorFlow, imported when it is planted."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faults.planting import Fault, Plant, asks, cuts, declares, drops, edits, flips, together, writes
from faults.routines import SAMPLES

MODEL = "model/saved_model"
GRAPH = f"{MODEL}/saved_model.pb"
SHARD, INDEX = f"{MODEL}/variables/variables.data-00000-of-00001", f"{MODEL}/variables/variables.index"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "6ae3cf9e" * 8 + "\nsize 4\n"
sys.path.append(str(SAMPLES / "tools"))

ANY = ("CPR503", "CPR504")


def exported(write: Callable[[Any, str], object]) -> Plant:
    """Put another export in the place of the model; ``write`` is given TensorFlow and the folder."""

    def plant(folder: Path) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow

        shutil.rmtree(folder / MODEL)
        write(tensorflow, str(folder / MODEL))

    return plant


def served(body: Callable[[Any, Any, Any], Any], shape: tuple[int | None, ...] = (None,), value: float = 2.0) -> Plant:
    """An export of ``body(tensorflow, variable, x)``, which takes ``x``."""

    def write(tf: Any, path: str) -> None:
        from exporting import save  # the samples' own: their runtime's TensorFlow reads what it writes

        module = tf.Module()
        module.two = tf.Variable(value)
        signature = tf.TensorSpec(shape, tf.float32, "x")
        module.serve = tf.function(lambda x: {"y": body(tf, module.two, x)}, input_signature=[signature])
        save(module, path)

    return exported(write)


def _without_signature(folder: Path) -> None:
    served(lambda tf, two, x: x + two)(folder)
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((folder / GRAPH).read_bytes())
    model.meta_graphs[0].signature_def.clear()
    (folder / GRAPH).write_bytes(model.SerializeToString(deterministic=True))


def _with_table(tf: Any, path: str) -> None:
    words = Path(path).parent / "words.txt"
    words.write_text("zero\none\n")
    module = tf.Module()
    kinds = tf.lookup.TextFileIndex
    start = tf.lookup.TextFileInitializer(str(words), tf.string, kinds.WHOLE_LINE, tf.int64, kinds.LINE_NUMBER)
    module.table = tf.lookup.StaticHashTable(start, -1)
    spec = tf.TensorSpec([None], tf.float32, "x")
    look = tf.function(lambda x: {"y": x + tf.cast(module.table.lookup(tf.as_string(x)), tf.float32)}, input_signature=[spec])
    tf.saved_model.save(module, path, signatures=look)
    words.unlink()
    next(Path(path, "assets").iterdir()).unlink()


def _unfed(tf: Any, path: str) -> None:
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x, keep = v1.placeholder(tf.float32, [None], "x"), v1.placeholder(tf.float32, [], "keep_prob")
        v1.saved_model.simple_save(session, path, {"x": x}, {"y": x + keep})


def _keras_file(folder: Path) -> None:
    shutil.rmtree(folder / MODEL)
    (folder / "model" / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))


def _other_weights(folder: Path) -> None:
    for path in (SAMPLES / "iris" / MODEL / "variables").iterdir():
        shutil.copy(path, folder / MODEL / "variables" / path.name)


def _as(name: str) -> Plant:
    def plant(folder: Path) -> None:
        shutil.rmtree(folder / MODEL)
        shutil.copytree(SAMPLES / "add_two" / "exports" / name, folder / MODEL)

    return plant


def _retagged(folder: Path) -> None:
    _as("builder")(folder)
    data = (folder / GRAPH).read_bytes()
    assert data.count(b"\x22\x05serve") == 1
    (folder / GRAPH).write_bytes(data.replace(b"\x22\x05serve", b"\x22\x05train"))


SCALER = "model/scaler.json"
NUMBERS = asks({"instances": [1.0]}, {"instances": [1.0, 2.0]}, {"instances": [0.5, -4.0, 3.0]})

FAULTS = (
    Fault("The graph not exported", "add_two", GRAPH, drops(GRAPH), ("CPR205",)),
    Fault("The graph cut short", "add_two", GRAPH, cuts(GRAPH, 0.5), ("CPR603",)),
    Fault("The index of the weights not copied", "add_two", INDEX, drops(INDEX), ("CPR605",)),
    Fault("The index of the weights cut short", "add_two", INDEX, cuts(INDEX, 0.5), ("CPR607",)),
    Fault("The weights not copied", "add_two", SHARD, drops(SHARD), ("CPR605",)),
    Fault("The weights cut short", "add_two", SHARD, cuts(SHARD, 0.5), ("CPR606",)),
    Fault("A bit of the weights flipped", "iris", SHARD, flips(SHARD, 0.1), ("CPR613",)),
    Fault("A bit of the weights flipped after the build", "iris", "the bundle: " + SHARD, lambda _: None, (), after=flips(SHARD, 0.1)),
    Fault("A Git LFS pointer in place of the weights", "add_two", SHARD, writes(SHARD, LFS), ("CPR604",)),
    Fault("The weights of another model", "add_two", f"{MODEL}/variables", _other_weights, ("CPR605", "CPR606", "CPR615")),
    Fault("One weight trained anew", "add_two", MODEL, served(lambda tf, two, x: x + two, value=2.01), ("CPR517",)),
    Fault("A weight that is NaN", "add_two", MODEL, served(lambda tf, two, x: x + two, value=float("nan")), ("CPR513",)),
    Fault("An export of a newer TensorFlow than the runtime's", "add_two", MODEL, _as("keras3"), ("CPR621",)),
    Fault("A graph without the tag serve", "add_two", GRAPH, _retagged, ("CPR608", "CPR503")),
    Fault("An export without signatures", "add_two", MODEL, _without_signature, ("CPR609", "CPR503")),
    Fault("An asset that is missing", "add_two", f"{MODEL}/assets", exported(_with_table), ("CPR610",)),
    Fault("A placeholder that no request feeds", "add_two", MODEL, exported(_unfed), ("CPR644",)),
    Fault("A fixed number of rows", "add_two", MODEL, together(served(lambda tf, two, x: x + two, (2,)), NUMBERS), ("CPR651", "CPR504")),
    Fault("An answer for the whole batch", "add_two", MODEL,
          together(served(lambda tf, two, x: tf.reduce_sum(x) + two), NUMBERS), ("CPR504", "CPR514", "CPR553", "CPR569")),
    Fault("Dropout left on", "add_two", MODEL,
          together(served(lambda tf, two, x: tf.nn.dropout(x + two, 0.5)), NUMBERS), ("CPR642", "CPR55*")),
    Fault("The batch's mean subtracted in the graph, without expectations", "add_two", MODEL,
          together(served(lambda tf, two, x: x - tf.reduce_mean(x)), NUMBERS), ("CPR55*",)),
    Fault("Python called back from the graph", "add_two", MODEL,
          served(lambda tf, two, x: tf.reshape(tf.py_function(lambda v: v + 2.0, [x], tf.float32), [-1])), ("CPR624", *ANY)),
    Fault("The graph renamed as a text", "add_two", GRAPH,
          lambda folder: (folder / GRAPH).rename(folder / (GRAPH + "txt")), ("CPR612",)),
    Fault("A Keras file in place of a SavedModel", "add_two", "model/model.h5", _keras_file, ("CPR205",)),
    Fault("A folder named that holds no model", "add_two", "routine.yaml", declares("saved_model: export"), ("CPR205",)),
    Fault("A tag that the model has not", "add_two", "routine.yaml", declares("tags: [gpu]"), ("CPR207", "CPR503", "CPR608")),
    Fault("A signature that the model has not", "add_two", "routine.yaml", declares("signature: classify"), (*ANY, "CPR206", "CPR6*")),
    Fault("An input renamed", "add_two", "examples.jsonl", asks({"instances": [{"value": 1.0}]}), ("CPR504", "CPR566")),
    Fault("Text for a model of numbers", "add_two", "examples.jsonl", asks({"instances": ["one"]}), ("CPR504",)),
    Fault("The scaler of the sample not exported", "iris", SCALER, drops(SCALER), ("CPR503",)),
    Fault("The names of the classes in another order", "iris", SCALER,
          edits(SCALER, ('"setosa"', '"?"'), ('"versicolor"', '"setosa"'), ('"?"', '"versicolor"')), ("CPR517",)),
    Fault("Two features swapped", "iris", SCALER,
          edits(SCALER, ('"sepal_length"', '"?"'), ('"petal_length"', '"sepal_length"'), ('"?"', '"petal_length"')), ("CPR517",)),
    Fault("The scaling forgotten", "iris", "predictor.py", edits("predictor.py", ("(value - mean) / scale for", "value for")), ("CPR517",)),
    Fault("A feature left out", "iris", "predictor.py", edits("predictor.py", ('self.scaler["scale"])]', 'self.scaler["scale"])][:3]')), ("CPR504",)),
)  # fmt: skip
