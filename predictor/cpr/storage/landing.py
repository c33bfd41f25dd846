"""The folder that a bundle is fetched into: what of the bundle it holds, and that it holds nothing else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cpr.bundle import Bundle, hash_file
from cpr.errors import BundleError, OutputError
from cpr.manifest import MANIFEST_NAME, VALIDATION_NAME, FileEntry, Manifest
from cpr.storage.receive import part_of, unwritable

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Landing:
    """``missing`` are the files still to come, and ``begun`` maps their paths to the bytes there of one that was broken off.

    ``whole`` is true where the manifest is there, which comes last.
    """

    root: Path
    missing: tuple[FileEntry, ...]
    begun: dict[str, int]
    whole: bool
    has_record: bool


def survey(root: Path, manifest: Manifest) -> Landing:
    """Look at ``root``, which may hold nothing, this bundle or a part of it; ``OutputError`` where it holds anything else."""
    try:
        return _survey(root, manifest)
    except OSError as error:
        raise OutputError(
            f"{error.filename or root} cannot be read: {error.strerror}.", "Name a new or an empty folder.", str(root)
        ) from None


def _survey(root: Path, manifest: Manifest) -> Landing:
    if not root.is_dir():
        if os.path.lexists(root):
            raise OutputError(f"{root} is no folder.", "Name a new or an empty folder.", str(root))
        return Landing(root, manifest.all_files, {}, False, False)
    found = dict(_files(root))
    whole = MANIFEST_NAME in found
    if whole:
        _refuse_other_bundle(root, manifest)
    parts = {part_of(Path(entry.path), entry).as_posix(): entry for entry in manifest.all_files}
    records = (MANIFEST_NAME, VALIDATION_NAME)
    known = {*records, *(beside_of(Path(name)).name for name in records), *parts, *(entry.path for entry in manifest.all_files)}
    _refuse(root, [path for path, regular in found.items() if path not in known or not regular], "is no part of this bundle")
    if VALIDATION_NAME in found and Bundle(root, manifest).report() is None:
        _refuse(root, [VALIDATION_NAME], "is about another bundle")
    missing = tuple(entry for entry in manifest.all_files if entry.path not in found)
    _refuse(root, [each.path for each in missing if (root / each.path).is_dir()], "is a folder in a file's place")
    there = [entry for entry in manifest.all_files if entry.path in found]
    _refuse(root, [each.path for each in there if not _same(root, each)], "is not what the manifest lists")
    begun = {entry.path: (root / part).stat().st_size for part, entry in parts.items() if part in found}
    return Landing(
        root,
        missing,
        {entry.path: begun[entry.path] for entry in manifest.all_files if 0 < begun.get(entry.path, 0) <= entry.size},
        whole,
        VALIDATION_NAME in found,
    )


def beside_of(record: Path) -> Path:
    """Where the manifest or the validation record stands until it is whole."""
    return record.with_name(f".{record.name}.part")


def _files(root: Path) -> Iterator[tuple[str, bool]]:
    """Whatever is no folder, by its path, and whether it is a regular file. No link is followed: it may lead outside."""
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                else:
                    regular = stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)
                    yield Path(entry.path).relative_to(root).as_posix(), regular


def _refuse_other_bundle(root: Path, manifest: Manifest) -> None:
    try:
        there = Bundle.open(root).manifest
    except BundleError as error:
        raise OutputError(
            f"{root} holds a {MANIFEST_NAME} that is not this bundle's. {error.message}",
            "Name a new or an empty folder.",
            str(root),
        ) from None
    if there != manifest:
        raise OutputError(
            f"{root} holds another bundle: {there.name} {there.version}, {there.digest[:19]}….",
            "Nothing there was changed. Name a new or an empty folder.",
            str(root),
        )


def _refuse(root: Path, paths: list[str], reason: str) -> None:
    if not paths:
        return
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    names = ", ".join(f"{path} (a link)" if (root / path).is_symlink() else path for path in sorted(paths)[:_SHOWN])
    raise OutputError(
        f"{root} holds what {reason}: {names}{more}.",
        "Nothing there was changed. Name a new or an empty folder, or move that away and run it again.",
        str(root),
    )


def _same(root: Path, entry: FileEntry) -> bool:
    path = root.joinpath(*entry.path.split("/"))
    return path.stat().st_size == entry.size and hash_file(path) == (entry.size, entry.sha256)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Only one process at a time writes into ``root``, which is made, where folders can be locked."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = os.open(root, os.O_RDONLY)
    except OSError as error:
        raise unwritable(error, root) from None
    try:
        _lock(folder, root)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, root: Path) -> None:
    try:
        import fcntl

        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):  # else the file system has no locks for folders
            raise OutputError(
                f"Another process is fetching into {root}.", "Let it end, or name another folder.", str(root)
            ) from None
