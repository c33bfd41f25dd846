"""Which module writes the SavedModel, by the kind of the source."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cpr.exporting.recognising import SAVED_MODEL, Source, recognise
from cpr.exporting.wanted import Made, Wanted

_MAKERS = {
    SAVED_MODEL: ("cpr.exporting.saved_models", "copy"),
}
"""Imported when one is needed."""


class Found(NamedTuple):
    """A source: its kind and name in words, and the thing itself: a path, or an object of Python's."""

    kind: str
    name: str
    thing: Any


def find(source: Any) -> Found:
    """What the source is. ``ModelError`` where it is nothing that can be exported."""
    found: Source = recognise(source)
    return Found(found.kind, str(found.path), found.path)


def make(found: Found, folder: Path, wanted: Wanted, say: Callable[[str], None]) -> Made:
    """Write a SavedModel of the source into the empty ``folder``."""
    module, name = _MAKERS[found.kind]
    maker = getattr(importlib.import_module(module), name)
    made: Made = maker(found.thing, folder, wanted)
    return made
