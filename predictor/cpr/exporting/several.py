"""Several MetaGraphs in one SavedModel, over the same variables: a graph for CPUs and one for GPUs, chosen by their tags.

The weights are stored once; both of TensorFlow's loaders take such a model, the object loader as a graph of TensorFlow 1.
"""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

from cpr.errors import ModelError
from cpr.exporting._tensorflow import saved_model_message
from cpr.exporting.wanted import listed
from cpr.saved_model.checkpoint import INDEX_NAME, Variable, read_checkpoint_index
from cpr.saved_model.extras import FINGERPRINT_NAME
from cpr.saved_model.reader import PB_NAME

_SHOWN = 6
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""Where TensorFlow 2 keeps its objects in a checkpoint: of no use to a graph that is restored by names."""


def join(folder: Path, other: Path) -> None:
    """Put the one MetaGraph of the SavedModel ``other`` beside those in ``folder``, with its assets.

    ``ModelError`` where it reads variables that ``folder`` does not have, or not with the same values.
    """
    _check_weights(_variables(folder), _variables(other))
    models = [saved_model_message(), saved_model_message()]
    for model, place in zip(models, (folder, other), strict=True):
        model.ParseFromString((place / PB_NAME).read_bytes())
    (added,) = models[1].meta_graphs
    tags = set(added.meta_info_def.tags)
    if any(set(graph.meta_info_def.tags) == tags for graph in models[0].meta_graphs):
        raise ModelError(f"Two graphs have the tags {','.join(sorted(tags))}.", "Give each tags of its own.", "--also")
    models[0].meta_graphs.add().CopyFrom(added)
    (folder / PB_NAME).write_bytes(models[0].SerializeToString(deterministic=True))
    (folder / FINGERPRINT_NAME).unlink(missing_ok=True)
    _copy_assets(folder, other)


def _variables(folder: Path) -> dict[str, Variable]:
    index = folder / INDEX_NAME
    if not index.is_file():
        return {}
    return {each.name: each for each in read_checkpoint_index(index).variables if each.name != _OBJECTS}


def _check_weights(there: dict[str, Variable], other: dict[str, Variable]) -> None:
    missing = sorted(set(other) - set(there))
    if missing:
        raise ModelError(
            f"The graphs share no weights: SRC has no {listed(missing[:_SHOWN])}.",
            "Export the one with more variables as SRC; graphs of different models belong into folders of their own.",
            "--also",
        )
    different = sorted(name for name, each in other.items() if _value(each) != _value(there[name]))
    if different:
        raise ModelError(
            f"The graphs have different values for {listed(different[:_SHOWN])}, and a SavedModel has room for one.",
            "Take both from the same checkpoint.",
            "--also",
        )


def _value(variable: Variable) -> tuple[object, ...]:
    """What tells its value: the checksum of its bytes."""
    return variable.dtype, variable.shape, variable.crc32c


def _copy_assets(folder: Path, other: Path) -> None:
    for path in sorted((other / "assets").rglob("*")):
        target = folder / path.relative_to(other)
        if path.is_dir():
            continue
        if target.is_file() and not filecmp.cmp(path, target, shallow=False):
            raise ModelError(f"Both graphs have an asset {path.name}, with other content.", "Rename one.", "--also")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
