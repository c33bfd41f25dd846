"""CPR601 and CPR602: a folder that holds no SavedModel, or holds it at another level."""

from __future__ import annotations

import os
from collections.abc import Iterator

from cpr.errors import ModelError
from cpr.report import Finding
from cpr.saved_model import kinds
from cpr.saved_model.checkpoint import INDEX_NAME
from cpr.saved_model.extras import FINGERPRINT_NAME
from cpr.saved_model.objects import KERAS_METADATA
from cpr.saved_model.reader import PB_NAME
from cpr.saved_model.tree import Tree
from cpr.saved_model.wire import BYTES, select

INSIDE = ("variables", "assets", "assets.extra")
"""The folders of a SavedModel that are named by mistake."""

# As in cpr.manifest and cpr.project, whose imports cost more than to read a small model.
MANIFEST_NAME = "manifest.json"
PROJECT_NAME = "routine.yaml"

_BUNDLED = (MANIFEST_NAME, PROJECT_NAME)

_PARTS = (INDEX_NAME, FINGERPRINT_NAME, KERAS_METADATA)
_HEAD = 1 << 16

_KERAS = (
    "This is a Keras file, which servers do not read.",
    "Convert it: keras.models.load_model({name!r}).export('model').",
)
_LITE = (
    "This is a TensorFlow Lite file, made for phones; servers do not read it.",
    "It cannot be turned back: export the model it was made from with tf.saved_model.save or Model.export.",
)
_META_GRAPH = (
    "This is a checkpoint of TensorFlow 1 with its graph, not yet a model for serving.",
    "Load it with tf.compat.v1.train.import_meta_graph({name!r}), restore the checkpoint, and write it with "
    "tf.compat.v1.saved_model.simple_save.",
)
_CHECKPOINT = (
    "This is a checkpoint: weights without the graph.",
    "Build the model in Python, restore the checkpoint into it, and write it with tf.saved_model.save.",
)
_SPLIT = (
    "This is a SavedModel in the split form for models above 2 GB, which few servers read.",
    "Export it without experimental_image_format.",
)
_ONNX = (
    "This is an ONNX file, which TensorFlow does not read.",
    "Convert it to a SavedModel, or load it in a prediction class of your own.",
)
_BY_SUFFIX = (
    ((".keras", ".h5", ".hdf5"), _KERAS),
    ((".tflite", ".lite"), _LITE),
    ((".cpb",), _SPLIT),
    ((".meta",), _META_GRAPH),
    ((".index", ".ckpt"), _CHECKPOINT),
    ((".onnx",), _ONNX),
)
_RENAMED = (
    "This is a SavedModel's graph under another name.",
    f"Rename it to {PB_NAME}, with its variables and assets folders beside it.",
)
_FROZEN = (
    "This is a graph alone, as frozen graphs are: it has no signatures, and servers do not read it.",
    "Load it with tf.compat.v1.import_graph_def and write it with tf.compat.v1.saved_model.simple_save, naming the tensors "
    "that go in and out.",
)


def findings(tree: Tree, models: tuple[str, ...]) -> Iterator[Finding]:
    """For a folder that should be a SavedModel, from its files and from the folders of the models found in it."""
    if not models:
        yield _nothing_here(tree)
    elif "." in models or any(tree.has(f"{folder}/{name}") for name in _BUNDLED for folder in _above(models)):
        return
    elif all(model.isdigit() for model in models):
        newest = max(models, key=int)
        versions = f"version {newest}" if len(models) == 1 else f"the versions {', '.join(sorted(models, key=int))}"
        yield kinds.WRONG_LEVEL.at(
            newest,
            f"This is the folder above {versions} of a SavedModel.",
            f"Name {newest} itself where a model folder is asked for. Only TensorFlow Serving wants the folder above.",
        )
    elif len(models) == 1:
        depth = models[0].count("/") + 1
        down = "one folder" if depth == 1 else f"{depth} folders"
        yield kinds.WRONG_LEVEL.at(
            models[0],
            f"The SavedModel lies {down} down, in {models[0]}.",
            f"Name {models[0]} itself where a model folder is asked for.",
        )


def inside(name: str) -> Finding:
    """CPR602: a folder of a SavedModel was named in place of the SavedModel."""
    return kinds.WRONG_LEVEL.at(
        name, f"{name} is a part of the SavedModel, which is the folder above.", "Name the folder above, which holds the graph."
    )


def file_hint(tree: Tree, path: str) -> tuple[str, str] | None:
    """What a file that is no SavedModel is, and what to do about it; ``None`` where that is not known."""
    name = path.rpartition("/")[2]
    for suffixes, (what, remedy) in _BY_SUFFIX:
        if name.lower().endswith(suffixes):
            return what, remedy.format(name=name)
    return _graph_hint(tree, path) if name.lower().endswith(".pb") and path not in _PARTS else None


def _above(models: tuple[str, ...]) -> set[str]:
    """Every folder that holds one of the models, but the topmost."""
    above = set()
    for model in models:
        while model:
            above.add(model)
            model = model.rpartition("/")[0]
    return above


def _nothing_here(tree: Tree) -> Finding:
    if os.path.lexists(tree.root / PB_NAME):
        message = f"What is called {PB_NAME} here is no file: a folder, a pipe, a device, or a link that leads nowhere."
        return kinds.NOTHING_HERE.at(PB_NAME, message, "Put the file itself there, or name the folder that holds it.")
    message = f"There is no {PB_NAME} here or below."
    if any(tree.has(part) for part in _PARTS):
        message = f"The rest of a SavedModel is here, and its {PB_NAME} is missing."
        return kinds.NOTHING_HERE.at(PB_NAME, message, "Copy the whole folder again from where it came.")
    if tree.has("variables.index"):
        remedy = "Name the folder above if that holds saved_model.pb; else copy the whole SavedModel again."
        return kinds.NOTHING_HERE.at(".", f"{message} This looks like the variables folder of a SavedModel.", remedy)
    hints = ((path, file_hint(tree, path)) for path in sorted(tree.files, key=_rank))
    for path, hint in hints:
        if hint is not None:
            return kinds.NOTHING_HERE.at(path, f"{message} {hint[0]}", hint[1])
    return kinds.NOTHING_HERE.at(".", message)


def _rank(path: str) -> tuple[int, str]:
    """A folder may hold several: the file that says the most comes first, as in ``_BY_SUFFIX``."""
    lower = path.lower()
    ranks = (number for number, (suffixes, _) in enumerate(_BY_SUFFIX) if lower.endswith(suffixes))
    return next(ranks, len(_BY_SUFFIX)), path


def _graph_hint(tree: Tree, path: str) -> tuple[str, str] | None:
    """A SavedModel begins with its version, 1, and the first graph; a graph alone with a node, whose fields are name and op."""
    head = tree.head(path, _HEAD)
    if head.startswith(b"\x08\x01\x12"):
        return _RENAMED
    try:
        _, begin, stop = next(select(head, 0, len(head), {1: BYTES}))
        fields = [number for number, _, _ in select(head, begin, stop, {1: BYTES, 2: BYTES})]
    except (ModelError, StopIteration):
        return None
    return _FROZEN if fields == [1, 2] else None
