"""The user's cache folder: what can be made anew, and takes long."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cpr.errors import OutputError


def cache_folder(name: str) -> Path:
    """``<the user's caches>/cpr/<name>``, made where it is not there; ``OutputError`` where that cannot be."""
    folder = _root() / "cpr" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The cache folder cannot be made: {error.strerror}.", "Point XDG_CACHE_HOME to a folder of yours.", str(folder)
        ) from None
    return folder


def _root() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    if named and Path(named).is_absolute():  # a relative one is to be ignored, says the specification
        return Path(named)
    try:
        home = Path.home()
    except RuntimeError:
        raise OutputError("This user has no home folder for caches.", "Point XDG_CACHE_HOME to a folder.") from None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
