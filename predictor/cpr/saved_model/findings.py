"""What is wrong with a SavedModel's folder, found without loading it.

====== ======== =====================================================================
CPR601 error    no SavedModel here (but a Keras file, a checkpoint, or nothing at all)
CPR602 warning  the SavedModel lies one folder down
CPR603 error    ``saved_model.pb`` is empty, cut or altered
CPR604 error    a Git LFS pointer stands in place of a file
CPR605 error    weights are missing
CPR606 error    weights are cut short
CPR607 error    ``variables.index`` is cut or altered
CPR608 warning  no graph has the tag ``serve``
CPR609 warning  no signature that a request could name
CPR610 error    an asset that the graph reads is missing
CPR611 error    the manifest of the bundle around it was altered
====== ======== =====================================================================

An error on a model means that TensorFlow does not load it (a test lets it try); a warning that a server without the author's
own code would not serve it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cpr.errors import ModelError
from cpr.report import Finding, Severity
from cpr.saved_model.checkpoint import CheckpointIndex
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME, MetaGraph

_LFS_MARK = b"version https://git-lfs.github.com/spec/"
_LFS_LARGEST = 1024
"""A pointer file has less than 1024 bytes: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""

_VARIABLE_OPS = frozenset(("VarHandleOp", "Variable", "VariableV2"))
_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")

_FETCH_AGAIN = "Export the model again, or copy the whole folder again from where it came."


def is_lfs_pointer(path: Path) -> bool:
    """True for the small text file that Git leaves where Git LFS did not fetch the content."""
    try:
        if path.stat().st_size >= _LFS_LARGEST:
            return False
        with open(path, "rb") as file:
            return file.read(len(_LFS_MARK)) == _LFS_MARK
    except OSError:
        return False


def pointer_findings(folder: Path, where: str) -> Iterator[Finding]:
    """CPR604 for the files that TensorFlow reads from a SavedModel's folder."""
    parts = [folder / PB_NAME, folder / PBTXT_NAME]
    for name in ("variables", "assets"):
        if (folder / name).is_dir():
            parts += sorted(path for path in (folder / name).rglob("*") if path.is_file())
    for path in parts:
        if is_lfs_pointer(path):
            yield Finding(
                "CPR604",
                Severity.ERROR,
                _join(where, path.relative_to(folder).as_posix()),
                "This is a Git LFS pointer, a few lines of text that stand for the real file.",
                "Fetch the content with `git lfs install && git lfs pull`, then try again.",
            )


def unreadable(error: ModelError, check: str, where: str) -> Finding:
    """CPR603 or CPR607: a file that the reader refused."""
    return Finding(check, Severity.ERROR, where, error.message, error.remedy)


def graph_findings(folder: Path, meta_graphs: Iterable[MetaGraph], where: str) -> Iterator[Finding]:
    """CPR608 to CPR610."""
    graphs = tuple(meta_graphs)
    if not any("serve" in graph.tags for graph in graphs):
        tags = "; ".join(", ".join(graph.tags) or "none" for graph in graphs)
        yield Finding(
            "CPR608",
            Severity.WARNING,
            where,
            f"No graph has the tag `serve`, which servers ask for; the tags are: {tags}.",
            "Export with the tag `serve` (what tf.saved_model.save does), or name the tags in routine.yaml.",
        )
    if not any(graph.callable_signatures for graph in graphs):
        yield Finding(
            "CPR609",
            Severity.WARNING,
            where,
            "The model has no signature, so no request can name what to run.",
            "Export with signatures: tf.saved_model.save(model, folder, signatures=model.serve), "
            "where serve is a tf.function with an input_signature.",
        )
    for name in dict.fromkeys(name for graph in graphs for name in graph.assets):
        if not (folder / "assets" / name).is_file():
            yield Finding(
                "CPR610",
                Severity.ERROR,
                _join(where, f"assets/{name}"),
                "The graph reads this asset, and it is not there.",
                _FETCH_AGAIN,
            )


def weight_findings(
    folder: Path, meta_graphs: Iterable[MetaGraph], index: CheckpointIndex | None, where: str
) -> Iterator[Finding]:
    """CPR605 and CPR606. ``index`` is ``None`` where the folder has no ``variables/variables.index``."""
    if index is None:
        if expects_weights(meta_graphs):
            yield Finding(
                "CPR605",
                Severity.ERROR,
                _join(where, "variables/variables.index"),
                "The graph has variables, and the index of their values is not there.",
                _FETCH_AGAIN,
            )
        return
    for number, needed in index.shard_sizes:
        path = index.shard_path(number)
        place = _join(where, f"variables/{path.name}")
        if not path.is_file():
            yield Finding("CPR605", Severity.ERROR, place, "This file of weights is missing.", _FETCH_AGAIN)
        elif path.stat().st_size < needed and not is_lfs_pointer(path):
            yield Finding(
                "CPR606",
                Severity.ERROR,
                place,
                f"The file of weights has {path.stat().st_size} bytes; the index says that it needs {needed}.",
                _FETCH_AGAIN,
            )


def expects_weights(meta_graphs: Iterable[MetaGraph]) -> bool:
    """True where loading fails without a checkpoint: TensorFlow 2 always writes one, TensorFlow 1 where there are variables."""
    return any(graph.has_objects or not _VARIABLE_OPS.isdisjoint(graph.ops) for graph in meta_graphs)


def place_findings(files: Iterable[str], models: Iterable[str]) -> Iterator[Finding]:
    """CPR601 and CPR602 for a folder that should be a SavedModel, from the paths of its files and of the models found in it."""
    models = tuple(models)
    if not models:
        yield _nothing_here(tuple(files))
    elif "." not in models and len(models) == 1 and "/" not in models[0]:
        inner = models[0]
        remedy = f"Name {inner} itself where a model folder is asked for."
        if inner.isdigit():
            remedy += " Only TensorFlow Serving wants the folder above a numbered version."
        yield Finding("CPR602", Severity.WARNING, inner, f"The SavedModel lies one folder down, in {inner}.", remedy)


def _nothing_here(files: tuple[str, ...]) -> Finding:
    message = "There is no saved_model.pb here or below."
    remedy = "Name the folder that tf.saved_model.save or Model.export wrote."
    where = "."
    keras = [path for path in files if path.lower().endswith(_KERAS_SUFFIXES)]
    indexes = [path for path in files if path.endswith(".index")]
    if keras:
        where = keras[0]
        message += " This is a Keras file, which servers do not read."
        remedy = f"Convert it: keras.models.load_model({Path(where).name!r}).export('model')."
    elif indexes:
        where = indexes[0]
        message += " This is a checkpoint: weights without the graph."
        remedy = "Build the model in Python, restore the checkpoint into it, and write it with tf.saved_model.save."
    return Finding("CPR601", Severity.ERROR, where, message, remedy)


def _join(where: str, name: str) -> str:
    return name if where in ("", ".") else f"{where}/{name}"
