"""The one door to the data that ships with cpr: deploy targets, starter routines, and the demo's sample.

A target is a folder of ``deploy/`` that holds a ``target.yaml``; what several targets share lies in folders without one. A
starter routine is a folder of ``templates/``.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cpr.errors import TargetError, UsageError

if TYPE_CHECKING:
    from importlib.abc import Traversable

TARGET_FILE = "target.yaml"


@cache
def target_names() -> tuple[str, ...]:
    """The deploy targets, in order of name."""
    return tuple(sorted(folder.name for folder in _folders("cpr._deploy") if folder.joinpath(TARGET_FILE).is_file()))


def read_target(name: str) -> dict[str, Any]:
    """The parsed ``target.yaml`` of a target; a ``TargetError`` names the nearest when there is none of that name."""
    if name not in target_names():
        raise TargetError(
            f"There is no deploy target {name!r}.", suggestion(name, target_names(), "The targets are"), "--target"
        )
    document = read_document(name, TARGET_FILE)
    assert isinstance(document, dict)
    return document


def read_text(folder: str, relative: str) -> str:
    """The text of a data file of a target, or of a folder that targets share."""
    return _inside("cpr._deploy", folder, *relative.split("/")).read_text(encoding="utf-8")


def read_document(folder: str, relative: str) -> Any:
    """The same for a YAML or JSON document, parsed."""
    text = read_text(folder, relative)
    if relative.endswith(".json"):
        return json.loads(text)
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders


def read_texts(*folders: str) -> dict[str, str]:
    """The text of every data file below a folder of ``deploy/``, by its path relative to that folder."""
    found = _walk(_inside("cpr._deploy", *folders), "")
    return {path: content.decode("utf-8") for path, content in found}


@cache
def template_names() -> tuple[str, ...]:
    """The starter routines, in order of name."""
    return tuple(sorted(folder.name for folder in _folders("cpr._templates") if folder.joinpath("routine.yaml").is_file()))


def template_files(name: str) -> dict[str, bytes]:
    """Every file of a starter routine by its relative path; a ``UsageError`` names the nearest to an unknown one."""
    if name not in template_names():
        raise UsageError(
            f"There is no template {name!r}.", suggestion(name, template_names(), "The templates are"), "--template"
        )
    return dict(_walk(_inside("cpr._templates", name), ""))


def sample_files(name: str) -> dict[str, bytes]:
    """Every file of a sample that ships with cpr (``iris``), by its relative path."""
    return dict(_walk(_inside("cpr._samples", name), ""))


def suggestion(name: str, known: Iterable[str], introduction: str) -> str:
    """The remedy for a name that does not exist: the nearest that does, or all where none is near."""
    names = tuple(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"{introduction} {', '.join(names)}."


def _inside(package: str, *parts: str) -> Traversable:
    place = files(package)
    for part in parts:  # one at a time: not every kind of package takes more, on Python 3.10
        place = place.joinpath(part)
    return place


def _folders(package: str) -> Iterator[Traversable]:
    return (entry for entry in files(package).iterdir() if entry.is_dir() and entry.name != "__pycache__")


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name not in ("__pycache__", "dist", ".git"):
                yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_bytes()
