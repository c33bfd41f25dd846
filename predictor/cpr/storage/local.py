"""A folder as a store: ``/some/folder`` and ``file:///some/folder``."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cpr.errors import StorageError
from cpr.storage.base import (
    Bucket,
    Fingerprint,
    Hasher,
    HashSink,
    LimitedSink,
    Parts,
    Sink,
    Stopped,
    Stored,
    TooLong,
    too_long,
)
from cpr.storage.local_parts import FileParts
from cpr.storage.location import Location

_REMEDIES = {
    errno.ENOSPC: "Free some space there, or choose another folder.",
    errno.EDQUOT: "Your disk quota is used up: free some space, or choose another folder.",
    errno.EFBIG: "The file is larger than the limit set for this process or file system (`ulimit -f`).",
    errno.EACCES: "Check the permissions of the folder, or choose another one.",
    errno.EPERM: "Check the permissions of the folder, or choose another one.",
    errno.EROFS: "Choose a folder on a file system that can be written to.",
    errno.ENOTDIR: "A part of the path is a file: choose another folder.",
    errno.EISDIR: "A folder stands where a file belongs: choose another destination, or remove it.",
    errno.ENAMETOOLONG: "Choose a folder with a shorter path.",
}
# A file system without hard links (FAT, some network and FUSE mounts) says so in one of these ways.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}


_BESIDE = re.compile(r"\.[0-9a-f]{16}\.part")
_BLOCK = 1 << 20
_ABANDONED_SECONDS = 3600.0


class _NoChecksums:
    """A folder reports no checksum of its own: what it holds is read back and hashed with SHA-256."""

    def update(self, block: bytes) -> None:
        pass

    def values(self) -> dict[str, str]:
        return {}


class LocalStorage(Bucket):
    """Files are written beside their place and renamed, so that a reader never sees half of one."""

    creates_once = True
    part_bytes = 16 << 20
    parallel = 2

    def __init__(self, location: Location, endpoint: str | None = None) -> None:
        self._location = location
        self._root = Path(location.path)
        self._stopped = threading.Event()

    def uri(self, name: str) -> str:
        return f"{str(self._location).rstrip('/')}/{name}" if name else str(self._location)

    def hasher(self) -> Hasher:
        return _NoChecksums()

    def stop(self, at_once: bool) -> None:
        self._stopped.set()

    def go_on(self) -> None:
        self._stopped.clear()

    def write(
        self, name: str, content: bytes, expected: Fingerprint, create_only: bool = False, publisher: str = ""
    ) -> Stored | None:
        return self._place(name, content, create_only)

    def parts(self, name: str, size: int, part: int, session: str | None = None) -> Parts | None:
        path = self._path(name)
        leaf = f".{secrets.token_hex(8)}.part" if session is None else session.rpartition("/")[2]
        if not _BESIDE.fullmatch(leaf):
            return None
        beside = path.with_name(leaf)
        with self._explained(name):
            if session is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                beside.touch(exist_ok=False)
            elif not beside.is_file():
                return None
        relative = beside.relative_to(self._root).as_posix()
        return FileParts(path, beside, relative, size, part, lambda: self.stat(name), lambda: self._explained(name))

    def copy(self, source: str, name: str) -> Stored | None:
        return self._place(name, self._path(source), False)

    def _place(self, name: str, content: Path | bytes, create_only: bool) -> Stored | None:
        path = self._path(name)
        beside = path.with_name(f".{secrets.token_hex(8)}.part")
        if self._stopped.is_set():
            raise Stopped
        with self._explained(name):
            if create_only and os.path.lexists(path):
                return None
            if isinstance(content, Path) and not content.is_file():
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _copy(content, beside)
                if not create_only:
                    beside.replace(path)
                elif not _create(beside, path):
                    return None
            finally:
                beside.unlink(missing_ok=True)
        return self.stat(name)

    def stat(self, name: str) -> Stored | None:
        sink = HashSink()
        with self._explained(name):
            try:
                found = self._path(name).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        if not self._copy_out(name, sink):
            return None
        return Stored(sink.size, {"sha256": sink.sha256.hexdigest()}, found.st_mtime, _owner(self._path(name)))

    def download(self, name: str, sink: Sink, limit: int, start: int = 0) -> bool:
        if start:
            return self._copy_out(name, sink, start, limit)
        try:
            return self._copy_out(name, LimitedSink(sink, limit))
        except TooLong:
            raise too_long(self.uri(name), limit) from None

    def objects(self, prefix: str) -> Iterator[tuple[str, Stored]]:
        top = self._path(prefix)
        with self._explained(prefix):
            for folder, _, files in os.walk(top, onerror=_raise_unless_missing):
                for file in files:
                    path = Path(folder) / file
                    with suppress(FileNotFoundError):  # gone since it was listed
                        found = path.stat()
                        if not _in_progress(path, found.st_mtime):
                            yield path.relative_to(self._root).as_posix(), Stored(found.st_size, {}, found.st_mtime)

    def folders(self, prefix: str) -> tuple[str, ...]:
        with self._explained(prefix), suppress(FileNotFoundError):
            return tuple(sorted(entry.name for entry in os.scandir(self._path(prefix)) if entry.is_dir()))
        return ()

    def delete(self, name: str) -> None:
        with self._explained(name):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        parts = name.rstrip("/").split("/") if name else []
        if any(part in ("", ".", "..") for part in parts) or "\0" in name:
            raise StorageError(f"The name {name!r} leaves its folder.", "Name files inside the folder.", self.uri(""))
        return self._root.joinpath(*parts)

    def _copy_out(self, name: str, sink: Sink, start: int = 0, most: int | None = None) -> bool:
        with self._explained(name), suppress(FileNotFoundError), open(self._path(name), "rb") as file:
            file.seek(start)
            while block := file.read(_BLOCK if most is None else min(_BLOCK, most)):
                sink.write(block)
                most = None if most is None else most - len(block)
            return True
        return False

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # A copy that fails names its source first, and what is full is the target.
            beside = any(str(name or "").endswith(".part") for name in (error.filename, error.filename2))
            place = self.uri(name) if beside or not error.filename else str(error.filename)
            raise StorageError(
                f"{place} cannot be used: {error.strerror or error}.",
                _REMEDIES.get(error.errno or 0, "Check the folder and its permissions, or choose another one."),
                place,
            ) from error
        except UnicodeEncodeError:
            raise StorageError(f"The name {name!r} is not valid Unicode.", "Rename the file.", self.uri("")) from None


def _in_progress(path: Path, modified: float) -> bool:
    """A file that some writer has not renamed yet; one left by a killed writer shows itself after an hour."""
    return bool(_BESIDE.fullmatch(path.name)) and time.time() - modified < _ABANDONED_SECONDS


def _owner(path: Path) -> str:
    """Who wrote a file, by name where this machine has one."""
    try:
        return path.owner()
    except (KeyError, NotImplementedError, OSError):
        return ""


def _copy(content: Path | bytes, target: Path) -> None:
    if isinstance(content, bytes):
        target.write_bytes(content)
    else:
        shutil.copyfile(content, target)


def _create(beside: Path, path: Path) -> bool:
    """Give ``beside`` its final name unless that is taken; a hard link does both in one step."""
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Not whole at once, but still by one creator alone.
        try:
            with open(path, "xb") as file, open(beside, "rb") as source:
                shutil.copyfileobj(source, file)
        except FileExistsError:
            return False
    return True


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
