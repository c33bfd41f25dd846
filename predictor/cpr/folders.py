"""Folders that appear whole or not at all: filled beside their place, then renamed."""

from __future__ import annotations

import errno
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cpr.errors import OutputError

_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
_BESIDE = re.compile(r"\.(?:new|old)\.[0-9a-f]{8}")
_ABANDONED_SECONDS = 3600.0


@contextmanager
def filled(final: Path) -> Iterator[Path]:
    """A new folder to fill; on leaving it becomes ``final``, in place of a folder that was there.

    Whatever goes wrong, nothing half-written stays and the old folder is as it was. ``OutputError`` where it cannot be written.
    """
    target = final.resolve()
    _sweep(target)
    try:
        place = _beside(target, "new")
    except OSError as error:
        raise _unwritable(error, final) from None
    try:
        yield place
        _replace(place, target)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise _unwritable(error, final) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def write_folder(final: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` (relative path with forward slashes to content) as the folder ``final``, whole or not at all."""
    with filled(final) as place:
        for path, content in files.items():
            target = place.joinpath(*path.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def _beside(target: Path, kind: str) -> Path:
    """An empty folder with a name of its own. Not ``mkdtemp``: the result is to have the permissions the user's umask gives."""
    place = target.parent / f".{target.name}.{kind}.{secrets.token_hex(4)}"
    place.mkdir(parents=True)
    return place


def _sweep(target: Path) -> None:
    """Remove what a run that was killed has left here more than an hour ago."""
    with suppress(OSError):
        for place in target.parent.iterdir():
            beside = place.name.startswith(f".{target.name}") and _BESIDE.fullmatch(place.name, len(target.name) + 1)
            if beside and time.time() - place.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(place, ignore_errors=True)


def _replace(place: Path, target: Path) -> None:
    """Rename ``place`` to ``target``, also while others do the same: the last one stays.

    A folder cannot be renamed over a full one, so what is there steps aside first.
    """
    if _renamed(place, target):
        return
    aside = _beside(target, "old")
    old = aside / "old"
    try:
        while not _renamed(place, target):
            shutil.rmtree(old, ignore_errors=True)
            with suppress(FileNotFoundError):  # somebody else moved it aside
                target.rename(old)
    except BaseException:
        with suppress(OSError):
            old.rename(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _renamed(place: Path, target: Path) -> bool:
    try:
        place.rename(target)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True


def _unwritable(error: OSError, final: Path) -> OutputError:
    return OutputError(
        f"The output cannot be written: {error.strerror}.", "Free some space, or name a folder where you may write.", str(final)
    )
