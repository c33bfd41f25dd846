"""What is told to a publisher who comes second: what is there, who put it there, and in what it differs."""

from __future__ import annotations

import time

from cpr.errors import VersionExists
from cpr.manifest import MANIFEST_NAME, Manifest
from cpr.storage.base import Storage

_SHOWN = 5


def other_content(storage: Storage, base: str, there: Manifest, here: Manifest) -> VersionExists:
    """The error for a version that is published with other content than ``here``."""
    return VersionExists(
        f"Version {there.version} is published already with other content, {there.digest}{_by_whom(storage, base)}: "
        f"{_difference(there, here)}.",
        "Published versions never change: give the routine a new version, then build and upload that.",
        storage.uri(base.rstrip("/")),
    )


def _by_whom(storage: Storage, base: str) -> str:
    """Who published the version there, and when, as far as the store knows."""
    stored = storage.stat(base + MANIFEST_NAME)
    if stored is None:
        return ""
    who = f"by {stored.publisher}" if stored.publisher else ""
    when = time.strftime("on %Y-%m-%d at %H:%M:%S UTC", time.gmtime(stored.updated)) if stored.updated else ""
    return f" ({' '.join(text for text in (who, when) if text)})" if who or when else ""


def _difference(there: Manifest, here: Manifest) -> str:
    """The first files that differ, or the keys of routine.yaml where the files are alike."""
    old, new = ({entry.path: entry for entry in manifest.files} for manifest in (there, here))
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    if not paths:
        return "the files are the same, what routine.yaml declares is not"
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more differ" if more > 0 else " differ" if len(paths) > 1 else " differs")
