"""What pickles are judged by: the data of ``deploy/pickles``, asked in the terms of a check."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from cpr import resources


@dataclass(frozen=True, slots=True)
class Moved:
    """A module that a distribution has from ``since`` on, and no longer from ``until`` on; ``python`` is the oldest that a
    release with it supports."""

    module: str
    distribution: str
    since: str | None
    until: str | None
    python: str | None


@cache
def _data() -> dict[str, Any]:
    document = resources.read_document("pickles", "catalogue.yaml")
    assert isinstance(document, dict)
    return document


def newest_protocol(python: str) -> int | None:
    """The newest pickle protocol that a Python reads; ``None`` for one that is older than all that is known."""
    found = _newest(_data()["protocols"]["newest"], python)
    return None if found is None else int(found)


def oldest_python(distribution: str, version: str) -> str | None:
    """The oldest Python that a release of a library supports, where that is known."""
    found = _newest(_data()["oldest_python"].get(distribution, {}), version)
    return None if found is None else str(found)


def _newest(table: dict[str, Any], version: str) -> Any:
    try:
        wanted = Version(version)
    except InvalidVersion:
        return None
    below = [key for key in table if Version(key).release <= wanted.release]
    return table[max(below, key=Version)] if below else None


@cache
def moved() -> dict[str, Moved]:
    found = {}
    for row in _data()["moved"]:
        for module in row.get("modules", [row.get("module")]):
            found[module] = Moved(module, row["distribution"], row.get("since"), row.get("until"), row.get("python"))
    return found


def moved_module(module: str) -> Moved | None:
    """What is known to have moved, of a module or of one that it lies in."""
    table = moved()
    parts = module.split(".")
    return next((found for count in range(len(parts), 0, -1) if (found := table.get(".".join(parts[:count])))), None)


def danger(dotted: str) -> Literal["runs", "risky"] | None:
    """Whether what a pickle names runs things, or can be made to."""
    lists = _data()["dangerous"]
    if any(fnmatchcase(dotted, pattern) for pattern in lists["harmless"]):
        return None
    if any(fnmatchcase(dotted, pattern) for pattern in lists["runs"]):
        return "runs"
    return "risky" if any(fnmatchcase(dotted, pattern) for pattern in lists["risky"]) else None


def brought_with(distributions: Iterable[str]) -> frozenset[str]:
    """Top-level modules that are there where these distributions are."""
    table = _data()["brought"]
    names = [canonicalize_name(name) for name in distributions]
    return frozenset(module for name in names for each in (name, *table.get(name, ())) for module in modules_of(each))


def modules_of(distribution: str) -> tuple[str, ...]:
    """What a distribution is imported as: as is known, else by its own name."""
    name = canonicalize_name(distribution)
    return tuple(_data()["imports"].get(name, (name.replace("-", "_"), distribution, name.partition("-")[0])))


def of_python(module: str) -> bool:
    """Whether it is of the standard library: this Python's, or one of Python 2 that unpickling knows by its new name."""
    import _compat_pickle

    names = (*_compat_pickle.IMPORT_MAPPING, *_compat_pickle.REVERSE_IMPORT_MAPPING, *_REMOVED)
    return module in sys.stdlib_module_names or module in {name.partition(".")[0] for name in names}


_REMOVED = ("asynchat", "asyncore", "distutils", "imp", "parser", "formatter", "nt", "posix", "exceptions", "UserDict", "sets")
