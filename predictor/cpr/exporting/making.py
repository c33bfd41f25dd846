"""Which module writes the SavedModel, by the kind of the source."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from cpr.errors import UsageError
from cpr.exporting.recognising import CHECKPOINT, FOLDER, GRAPH, KERAS, SAVED_MODEL, recognise
from cpr.exporting.wanted import Made, Wanted

_LIVE_KERAS, _MODULE = "live Keras model", "live module"
_LIVE_ESTIMATOR, _ESTIMATOR = "live Estimator", "folder of an Estimator"

_MAKERS = {
    SAVED_MODEL: ("cpr.exporting.saved_models", "copy"),
    KERAS: ("cpr.exporting.keras_models", "from_file"),
    GRAPH: ("cpr.exporting.graphs", "from_file"),
    CHECKPOINT: ("cpr.exporting.graphs", "from_checkpoint"),
    FOLDER: ("cpr.exporting.training", "from_folder"),
    _LIVE_KERAS: ("cpr.exporting.keras_models", "from_model"),
    _MODULE: ("cpr.exporting.modules", "from_module"),
    _LIVE_ESTIMATOR: ("cpr.exporting.estimators", "from_estimator"),
    _ESTIMATOR: ("cpr.exporting.estimators", "from_folder"),
}
"""Imported when one is needed."""


_GRAPHS = frozenset(("inputs", "outputs", "constants", "checkpoint"))
_TAKES = {
    SAVED_MODEL: frozenset(("inputs", "outputs", "from_tags", "function")),
    KERAS: frozenset[str](),
    GRAPH: _GRAPHS,
    CHECKPOINT: _GRAPHS - {"checkpoint"},
    FOLDER: _GRAPHS,
    _LIVE_KERAS: frozenset(("inputs", "checkpoint")),
    _MODULE: frozenset(("inputs", "checkpoint", "function")),
    _LIVE_ESTIMATOR: frozenset(("checkpoint", "function")),
    _ESTIMATOR: frozenset(("checkpoint",)),
}
"""What each kind makes use of, among the options that not all do."""

_OF_SOME = sorted(frozenset[str]().union(*_TAKES.values()))


class Found(NamedTuple):
    """A source: its kind and name in words, and the thing itself: a path, or an object of Python's."""

    kind: str
    name: str
    thing: Any


def find(source: Any, function: Any = None) -> Found:
    """What the source is. ``ModelError`` or ``UsageError`` where it is nothing that can be exported."""
    if isinstance(source, (str, os.PathLike)):
        found = recognise(os.fspath(source))
        return Found(found.kind, str(found.path), found.path)
    name = type(source).__name__
    if hasattr(source, "export_saved_model") and hasattr(source, "model_dir"):
        return Found(_LIVE_ESTIMATOR, name, source)
    if hasattr(source, "get_config") and hasattr(source, "layers") and function is None:
        return Found(_LIVE_KERAS, name, source)
    if hasattr(source, "_trackable_children"):
        return Found(_MODULE, name, source)
    raise UsageError(
        f"An object of the type {name} cannot be exported.",
        "Give a path, a Keras model, or a tf.Module; a function of your own goes into a tf.Module with the variables it uses.",
        "source",
    )


def find_estimator(source: Any, estimator: str | None, serving_input: Any, python: str | None) -> Found | None:
    """The folder of an Estimator where ``estimator`` names what makes one; ``None`` for any other source."""
    if estimator is None:
        if python is not None or isinstance(serving_input, str):
            raise UsageError("The Estimator is not named.", "Add --estimator FILE.py:FUNCTION.", "--estimator")
        return None
    if not isinstance(serving_input, str):
        raise UsageError(
            "An Estimator needs a serving input function.",
            "Name it, `--serving-input FILE.py:FUNCTION`; cpr.raw_serving_input and cpr.parsing_serving_input make one.",
            "--serving-input",
        )
    from cpr.exporting.estimators import EstimatorFolder

    folder = Path(os.fspath(source))
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.", "Name the model_dir of the Estimator.", "SRC")
    return Found(_ESTIMATOR, str(folder), EstimatorFolder(folder, estimator, serving_input, python))


def idle(found: Found, wanted: Wanted) -> list[str]:
    """The options that were given and mean nothing for this kind of source."""
    return [name for name in _OF_SOME if getattr(wanted, name) and name not in _TAKES[found.kind]]


def refuse_idle(found: Found, wanted: Wanted) -> None:
    """``UsageError`` for such an option: it was meant to do something."""
    for name in idle(found, wanted):
        option = f"--{name.removesuffix('s') if name != 'from_tags' else name}".replace("_", "-")
        raise UsageError(f"{option} has no meaning for a {found.kind}.", "Leave it out, or see `cpr export --help`.", option)


def make(found: Found, folder: Path, wanted: Wanted) -> Made:
    """Write a SavedModel of the source into the empty ``folder``."""
    module, name = _MAKERS[found.kind]
    maker = getattr(importlib.import_module(module), name)
    made: Made = maker(found.thing, folder, wanted)
    return made
