"""What every store offers, and how two checksums are compared."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from cpr.errors import ChecksumError, StorageError

_BLOCK = 1 << 20


class Hasher(Protocol):
    """Computes the checksums that one store reports."""

    def update(self, block: bytes) -> None: ...

    def values(self) -> dict[str, str]:
        """Algorithm to lower-case hex."""
        ...


class Sink(Protocol):
    """Where a download goes: a binary file, or anything else that has ``write``."""

    def write(self, block: bytes, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Content on this side: its size in bytes, its SHA-256 in hex, and the checksums that the store will report."""

    size: int
    sha256: str
    checksums: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the store reports it.

    ``checksums`` maps algorithm to hex; it may be empty. ``etag`` is MD5 in most S3 stores but promised by none (encrypted and
    multipart objects differ), so an equal one proves the content and a different one proves nothing.
    """

    size: int
    checksums: Mapping[str, str]
    updated: float | None = None
    """When it was written, in seconds since 1970."""
    publisher: str = ""
    """Who published it, as :meth:`Storage.write` was told; empty where the store does not keep that, or none was told."""


class Storage(Protocol):
    """A bucket or a folder. Names have forward slashes and no leading one. Every failure is a ``StorageError`` with a remedy.

    Safe to use from any number of threads.
    """

    creates_once: bool
    """Whether a write with ``create_only`` can be trusted: else the writer has to look who was first."""
    part_bytes: int
    """Content up to this size is written whole; larger content is sent in parts of this size, which can be gone on with."""

    @property
    def parallel(self) -> int:
        """The number of requests that are worth having under way at a time."""
        ...

    def write(
        self, name: str, content: bytes, expected: Fingerprint, create_only: bool = False, publisher: str = ""
    ) -> Stored | None:
        """Store ``content`` whole or not at all, and return what the store now reports.

        With ``create_only``, an object that is already there stays as it is and the answer is ``None``. ``ChecksumError`` where
        the store itself refused the content as damaged.
        """
        ...

    def parts(self, name: str, size: int, part: int, session: str | None = None) -> Parts | None:
        """Begin to write ``size`` bytes in parts of ``part`` bytes, or go on with ``session``: ``None`` where it is stale."""
        ...

    def copy(self, source: str, name: str) -> Stored | None:
        """Copy an object inside the store; ``None`` where it is not there, or the store cannot."""
        ...

    def stop(self, at_once: bool) -> None:
        """Let other threads do nothing more here: they get ``Stopped``, until :meth:`go_on`. What is under way is broken off
        ``at_once``, or comes to its end."""
        ...

    def go_on(self) -> None:
        """Do again what is asked for, after :meth:`stop`."""
        ...

    def stat(self, name: str) -> Stored | None:
        """What is stored under ``name``; ``None`` where nothing is."""
        ...

    def download(self, name: str, sink: Sink, limit: int, start: int = 0) -> bool:
        """Write the content into ``sink``; false where there is none. ``ChecksumError`` above ``limit`` bytes.

        With ``start``, a part of it: from that byte on, at most ``limit`` bytes, and none where the object ends before it. What
        lies behind is not asked for.
        """
        ...

    def objects(self, prefix: str) -> Iterator[tuple[str, Stored]]:
        """All objects below ``prefix``, which is empty or ends in a slash, with what a listing tells of them."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Names of all objects below ``prefix``."""
        ...

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """The same names, each with the size of its object in bytes."""
        ...

    def folders(self, prefix: str) -> tuple[str, ...]:
        """The next part of the names below ``prefix``, where something lies below that too."""
        ...

    def delete(self, name: str) -> None:
        """Remove one object; no error where it is not there."""
        ...

    def hasher(self) -> Hasher:
        """A fresh hasher for the checksums that this store reports. Of content written in parts it is CRC32C alone."""
        ...

    def uri(self, name: str) -> str:
        """How a person names an object or a folder of this store."""
        ...


class Parts(Protocol):
    """An object being written in parts, numbered from 0; only the last may be shorter. Parts may be sent from several threads.

    ``session`` is what another process needs to go on with it. ``in_order`` is true where each part has to follow the one
    before.
    """

    session: str
    in_order: bool

    def held(self) -> Mapping[int, str]:
        """The parts that the store holds already, each with the token that sending it gave."""
        ...

    def send(self, number: int, content: bytes, crc32c: int) -> str:
        """Send one part, and return a token that names what was stored. ``ChecksumError`` where it was damaged on its way.

        ``crc32c`` is that of the content.
        """
        ...

    def finish(self, tokens: Mapping[int, str]) -> Stored | None:
        """Make the parts, all of them, into the object, and return what the store reports; ``None`` where it is gone again."""
        ...

    def proof(self, tokens: Mapping[int, str]) -> Mapping[str, str]:
        """Checksums that the store is to report for the whole, as far as the parts' tokens tell."""
        ...

    def abort(self) -> None:
        """Forget what was sent; no error where there is nothing left."""
        ...


class Bucket:
    """What follows from ``objects``."""

    def objects(self, prefix: str) -> Iterator[tuple[str, Stored]]:
        raise NotImplementedError

    def list(self, prefix: str) -> Iterator[str]:
        return (name for name, _ in self.objects(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        return ((name, stored.size) for name, stored in self.objects(prefix))


def fingerprint(content: Path | bytes, hasher: Hasher) -> Fingerprint:
    """Read ``content`` once, for its size, SHA-256 and the store's own checksums. ``OSError`` where it cannot be read."""
    sha256, size = hashlib.sha256(), 0
    with open_content(content) as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            hasher.update(block)
            size += len(block)
    return Fingerprint(size, sha256.hexdigest(), {"sha256": sha256.hexdigest(), **hasher.values()})


def open_content(content: Path | bytes) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb")


def part_count(size: int, part: int) -> int:
    return max(1, -(-size // part))


def agrees(stored: Stored, expected: Fingerprint) -> bool | None:
    """Whether the store holds what was sent; ``None`` where the checksums it reports cannot tell."""
    if stored.size != expected.size:
        return False
    known = {name: value for name, value in stored.checksums.items() if name in expected.checksums}
    different = {name for name, value in known.items() if value != expected.checksums[name]}
    if different - {"etag"}:
        return False
    return True if known and not different else None


def holds(storage: Storage, name: str, stored: Stored, expected: Fingerprint) -> bool:
    """Whether the store holds what was sent; reads the object back where its checksums cannot tell."""
    verdict = agrees(stored, expected)
    return reads_back(storage, name, expected.size, expected.sha256) if verdict is None else verdict


def reads_back(storage: Storage, name: str, size: int, sha256: str) -> bool:
    """Whether the object's content, read and hashed, is what these say."""
    sink = HashSink()
    try:
        return storage.download(name, sink, size) and (sink.size, sink.sha256.hexdigest()) == (size, sha256)
    except ChecksumError:
        return False


class HashSink:
    """Counts and hashes what is written, and hands it on to ``file`` where there is one."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self.sha256 = hashlib.sha256()
        self.size = 0
        self._file = file

    def write(self, block: bytes) -> int:
        self.sha256.update(block)
        self.size += len(block)
        if self._file is not None:
            self._file.write(block)
        return len(block)


class Stopped(Exception):
    """The store was told to break off what is under way."""


class TooLong(Exception):
    """More content than was announced; each store turns it into a ``ChecksumError``."""


class LimitedSink:
    """Stops a download that is longer than ``limit`` bytes, whatever the store said about its size."""

    def __init__(self, sink: Sink, limit: int) -> None:
        self._sink = sink
        self._left = limit

    def write(self, block: bytes) -> int:
        self._left -= len(block)
        if self._left < 0:
            raise TooLong
        return self._sink.write(block)


def too_long(uri: str, limit: int) -> ChecksumError:
    return ChecksumError(
        f"{uri} is longer than the {limit} bytes it may have.",
        "It is not what was published: fetch from another place, or publish the bundle under a new version.",
        uri,
    )


def read(storage: Storage, name: str, limit: int) -> bytes | None:
    """The content of a small object; ``None`` where there is none."""
    buffer = io.BytesIO()
    return buffer.getvalue() if storage.download(name, buffer, limit) else None


NOT_UNDERSTOOD = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)
"""What reading an answer raises that is not what a store writes."""


def check_name(name: str, uri: str) -> None:
    """Refuse what no bucket can hold. UTF-8, 1 to 1024 bytes, no line break: the object naming rules of both GCS and S3."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        reason = "is not valid Unicode"
    else:
        if 0 < length <= 1024 and not set(name) & set("\r\n\0"):
            return
        reason = f"has {length} bytes" if length > 1024 else "is empty or holds a line break"
    raise StorageError(
        f"The object name {name!r} {reason}; a bucket cannot hold it.", "Rename the file, or choose a shorter prefix.", uri
    )
