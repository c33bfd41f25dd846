"""One object received: into a file beside its place, which a later run goes on with, and checked before it gets its name.

What breaks off in the middle goes on from where it was, as long as bytes come. A large object comes in several pieces at a
time, which are written in their order: what is there is always a beginning of the whole, and memory holds a few pieces.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event
from typing import BinaryIO, Protocol, TypeAlias

from cpr.errors import ChecksumError, OutputError, StorageError
from cpr.manifest import FileEntry
from cpr.storage.base import Sink, Storage

Progress: TypeAlias = Callable[[str, int], None]
"""Called as bytes move, with the path of their file in the bundle and their number; below 0 where a file begins anew. It may be
called from several threads at a time."""

PIECE = 8 << 20
LARGE = 4 * PIECE
"""From this size on an object comes in pieces of that."""

_BLOCK = 1 << 20
_TRIES = 2


class Stopped(Exception):
    """Another file failed, or the user interrupted."""


class _Damaged(Exception):
    """What came is not what the manifest lists."""


class _Full(Exception):
    """A piece has all its bytes."""


class _Counted(Sink, Protocol):
    @property
    def size(self) -> int: ...


class Digest:
    """Hashes and counts what comes, and tells of it; into ``file``, which may hold a beginning already, where there is one."""

    def __init__(self, entry: FileEntry, progress: Progress, stop: Event, file: BinaryIO | None = None) -> None:
        self._entry, self._progress, self._stop, self._file = entry, progress, stop, file
        self._sha256, self.size = hashlib.sha256(), 0
        if file is not None:
            self._read_beginning(file)

    def _read_beginning(self, file: BinaryIO) -> None:
        file.seek(0)
        while block := file.read(_BLOCK):
            self._sha256.update(block)
            self.size += len(block)

    def write(self, block: bytes | memoryview) -> int:
        if self._stop.is_set():
            raise Stopped
        if self._file is not None:
            try:
                self._file.write(block)
            except OSError as error:  # not the store's, which would take it for its own
                raise unwritable(error, Path(self._file.name)) from error
        self._sha256.update(block)
        self.size += len(block)
        self._progress(self._entry.path, len(block))
        return len(block)

    def begin_anew(self) -> None:
        self._progress(self._entry.path, -self.size)
        self._sha256, self.size = hashlib.sha256(), 0
        if self._file is not None:
            self._file.truncate(0)

    @property
    def right(self) -> bool:
        return (self.size, self._sha256.hexdigest()) == (self._entry.size, self._entry.sha256)


class _Piece:
    """Takes ``room`` bytes and no more."""

    def __init__(self, room: int, stop: Event) -> None:
        self._content, self._stop = bytearray(room), stop
        self.size = 0

    def write(self, block: bytes) -> int:
        if self._stop.is_set():
            raise Stopped
        taken = min(len(block), len(self._content) - self.size)
        self._content[self.size : self.size + taken] = block[:taken]
        self.size += taken
        if taken < len(block):
            raise _Full
        return taken

    @property
    def content(self) -> memoryview:
        return memoryview(self._content)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Receives the objects below ``prefix``; ``stop`` ends what is under way, in a thread or here."""

    storage: Storage
    prefix: str
    progress: Progress
    stop: Event

    def file(self, entry: FileEntry, root: Path, pool: Executor | None = None) -> None:
        """The file of ``entry`` below ``root``; a large one in pieces, where there is a ``pool`` for them.

        ``ChecksumError`` where it twice is not what ``entry`` says, ``OutputError`` where it cannot be written.
        """
        path = root.joinpath(*entry.path.split("/"))
        part = part_of(path, entry)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(part, "a+b", buffering=_BLOCK) as file:
                if file.seek(0, 2) > entry.size:
                    file.truncate(0)
                right = self.content(entry, Digest(entry, self.progress, self.stop, file), pool)
            if not right:
                part.unlink()
                raise damaged(self.storage.uri(self.prefix + entry.path))
            if os.path.lexists(path):
                raise OutputError(f"{path} was not there before.", "See who else writes there, and run it again.", str(path))
            part.replace(path)
        except OSError as error:
            raise unwritable(error, path) from error

    @staticmethod
    def is_large(entry: FileEntry) -> bool:
        """Whether it is better to receive it in pieces than beside others."""
        return entry.size >= LARGE

    def content(self, entry: FileEntry, digest: Digest, pool: Executor | None = None) -> bool:
        """Whether what came into ``digest`` at last is what ``entry`` says. What it holds at first is no try of its own."""
        if not entry.size:
            self.progress(entry.path, 0)
            return digest.right
        for _ in range(_TRIES + (digest.size > 0)):
            try:
                if pool is not None and self.is_large(entry):
                    self._in_pieces(entry, digest, pool)
                else:
                    self._pour(entry, digest, 0, entry.size)
            except (_Damaged, ChecksumError):  # the latter noticed by the store's own client
                pass
            if digest.right:
                return True
            digest.begin_anew()
        return False

    def _in_pieces(self, entry: FileEntry, digest: Digest, pool: Executor) -> None:
        starts = iter(range(digest.size, entry.size, PIECE))
        coming: deque[Future[memoryview]] = deque()
        try:
            while True:
                wanted = self.storage.parallel - len(coming)
                coming.extend(pool.submit(self._piece, entry, start) for start in islice(starts, wanted))
                if not coming:
                    return
                digest.write(coming.popleft().result())
        finally:
            for each in coming:
                each.cancel()

    def _piece(self, entry: FileEntry, start: int) -> memoryview:
        end = min(start + PIECE, entry.size)
        piece = _Piece(end - start, self.stop)
        self._pour(entry, piece, start, end)
        return piece.content

    def _pour(self, entry: FileEntry, sink: _Counted, start: int, end: int) -> None:
        """The bytes from ``start`` to ``end`` into ``sink``, which may hold a part of them."""
        name = self.prefix + entry.path
        while start + sink.size < end:
            before, at = sink.size, start + sink.size
            try:
                found = self.storage.download(name, sink, end - at if at else entry.size, at)
            except _Full:
                return
            except ChecksumError:
                raise
            except StorageError:
                if sink.size == before:
                    raise
                continue  # it broke off
            if not found:
                raise missing(self.storage.uri(name))
            if sink.size == before:
                raise _Damaged


def part_of(path: Path, entry: FileEntry) -> Path:
    """Where the file stands until it is whole: told from that of other content, and from the parts of a store's writers."""
    return path.with_name(f".{hashlib.sha256(f'{entry.path}/{entry.sha256}'.encode()).hexdigest()[:16]}.part")


def damaged(uri: str) -> ChecksumError:
    return ChecksumError(
        f"{uri} is not what the manifest lists, twice: its SHA-256 or its size differs.",
        "Run it again; if that does not help, it was altered: publish the bundle under a new version.",
        uri,
    )


def missing(uri: str) -> StorageError:
    return StorageError(
        f"{uri} is missing, although the manifest lists it.", "Publish the bundle again under a new version.", uri
    )


def unwritable(error: OSError, path: Path) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}.",
        "Look at the permissions there and the free space, and run it again: what has arrived is kept.",
        str(path),
    )
