"""Versions below a folder of a store: their order, and the newest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cpr.errors import StorageError
from cpr.manifest import EXAMPLES_NAME, MANIFEST_NAME, MODEL_DIR, PACKAGES_DIR, VALIDATION_NAME
from cpr.storage.base import Storage

if TYPE_CHECKING:
    from packaging.version import Version

DELETING_NAME = "deleting.json"
"""The copy of the manifest while the files of a version go, for a deletion that has to be ended later."""

_SHOWN = 5


def parsed(version: str) -> Version | None:
    """The version as PEP 440 reads it; ``None`` for any other name."""
    from packaging.version import InvalidVersion, Version  # takes a while to load

    try:
        return Version(version)
    except InvalidVersion:
        return None


def newest_first(names: Iterable[str]) -> list[str]:
    """The names that are versions, the newest first; pre-releases and development releases after all others."""
    known = {name: version for name in names if (version := parsed(name)) is not None}
    return sorted(known, key=lambda name: (not known[name].is_prerelease, known[name], name), reverse=True)


def newest(storage: Storage, prefix: str) -> str | None:
    """The name of the newest version published below the prefix of a routine; ``None`` where there is none."""
    candidates = newest_first(storage.folders(prefix))
    return next((name for name in candidates if storage.stat(f"{prefix}{name}/{MANIFEST_NAME}") is not None), None)


def never_published(uri: str, paths: Iterable[str], claimed: bool) -> bool:
    """Whether a place without a manifest is that of an upload that did not end: it has a version's name, and holds a claim, or
    nothing but files such as a bundle has."""
    if parsed(uri.rpartition("/")[2]) is None:
        return False
    files = list(paths)
    return claimed or bool(files and all(map(_is_of_a_bundle, files)))


def _is_of_a_bundle(path: str) -> bool:
    return path in (EXAMPLES_NAME, VALIDATION_NAME, DELETING_NAME) or path.startswith((f"{MODEL_DIR}/", f"{PACKAGES_DIR}/"))


def nothing_at(storage: Storage, prefix: str) -> StorageError:
    """Nothing is published there, and what is below."""
    here = storage.uri(prefix.rstrip("/"))
    version, below = newest(storage, prefix), storage.folders(prefix)
    if version is not None:
        remedy = f"Name a version: {storage.uri(prefix + version)}."
    elif below:
        more = f" and {len(below) - _SHOWN} more" if len(below) > _SHOWN else ""
        remedy = f"Below it are {', '.join(below[:_SHOWN])}{more}: `cpr list {here}` shows what is published there."
    else:
        remedy = "Nothing lies below it. Name the URI that `cpr upload` printed."
    return StorageError(f"Nothing is published at {here}: it has no {MANIFEST_NAME}.", remedy, here)
