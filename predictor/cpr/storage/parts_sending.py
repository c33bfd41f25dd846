"""One large file sent in parts: read once, hashed in order, its parts on their way side by side, gone on with after a break."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from cpr.errors import ChecksumError, StorageError
from cpr.storage.base import Fingerprint, Parts, Storage, Stored, part_count
from cpr.storage.budget import Budget
from cpr.storage.crc32c import joined
from cpr.storage.journal import Journal
from cpr.storage.multipart import SessionLost

_MOST_PARTS = 10_000
"""Of an object, on S3 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html) and on GCS
(https://cloud.google.com/storage/docs/multipart-uploads)."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the file: ``stored`` as the store reports it, ``None`` where it has lost it."""

    expected: Fingerprint
    stored: Stored | None
    bytes_sent: int
    bytes_resumed: int


class NotAsListed(Exception):
    """The file has another size, or another SHA-256, than it was to have."""

    def __init__(self, size: int, sha256: str) -> None:
        super().__init__(size)
        self.size, self.sha256 = size, sha256


@dataclass(frozen=True, slots=True)
class Way:
    """What files are sent with. ``senders`` run one part each, so that they never wait for a part that waits for them."""

    storage: Storage
    journal: Journal
    senders: ThreadPoolExecutor
    budget: Budget


def send_in_parts(way: Way, name: str, path: Path, size: int, sha256: str, tell: Callable[[int], None]) -> Sent:
    """Send the file, or what is missing of it, and put it together.

    ``NotAsListed`` where it is another one than ``size`` and ``sha256`` say, ``OSError`` where it cannot be read: then nothing
    is put together. ``StorageError`` where the store forgets it again and again. ``tell`` is called with the bytes of each part
    once the store has it.
    """
    for _ in range(_TRIES):
        transfer = _Transfer(way, name, path, size, sha256, tell)
        try:
            return transfer.run()
        except SessionLost:
            transfer.take_back()
            way.journal.forget(name)
    raise StorageError(
        f"{way.storage.uri(name)} was begun {_TRIES} times, and the store forgot it each time.",
        "Run it again; what is there already is kept.",
        way.storage.uri(name),
    )


def abort_sessions(storage: Storage, journal: Journal, sizes: Mapping[str, int]) -> None:
    """Let the store forget what is under way. ``sizes`` maps the names of objects to the bytes that they were to have."""
    for name, session in list(journal.sessions.items()):
        parts = storage.parts(name, sizes[name], session.part, session.id) if name in sizes else None
        if parts is not None:
            parts.abort()
        journal.forget(name)


class _Transfer:
    """One run over the file, with one session of the store."""

    def __init__(self, way: Way, name: str, path: Path, size: int, sha256: str, tell: Callable[[int], None]) -> None:
        self._way, self._name, self._path, self._size, self._sha256, self._tell = way, name, path, size, sha256, tell
        self._part = max(way.storage.part_bytes, part_count(size, _MOST_PARTS))
        self._known: dict[int, tuple[str, int]] = {}
        self._pending: dict[Future[tuple[str, int]], int] = {}
        self._tokens: dict[int, str] = {}
        self._crcs: dict[int, int] = {}
        self._told = self._sent = self._resumed = 0

    def run(self) -> Sent:
        parts = self._open()
        try:
            checksums = self._read_and_send(parts)
        except NotAsListed:
            self._drop()
            parts.abort()
            self._way.journal.forget(self._name)
            raise
        except BaseException:
            self._drop()
            raise
        expected = Fingerprint(self._size, self._sha256, {**checksums, **parts.proof(self._tokens)})
        return Sent(expected, parts.finish(self._tokens), self._sent, self._resumed)

    def take_back(self) -> None:
        """What was told is not true any more."""
        self._tell(-self._told)

    def _open(self) -> Parts:
        """The session that an earlier run left, where it is still good for anything; else a new one."""
        storage, journal = self._way.storage, self._way.journal
        old = journal.sessions.get(self._name)
        if old is not None and old.part == self._part:
            found = storage.parts(self._name, self._size, self._part, old.id)
            if found is not None:
                self._known = dict(old.parts)
                return found
        if old is not None:
            journal.forget(self._name)
        parts = storage.parts(self._name, self._size, self._part)
        assert parts is not None
        journal.begin(self._name, parts.session, self._part)
        return parts

    def _read_and_send(self, parts: Parts) -> dict[str, str]:
        """The checksums of the whole, once the store has every part."""
        sha256 = hashlib.sha256()
        held = parts.held() if self._known or parts.in_order else {}
        size = 0
        with open(self._path, "rb") as file:
            for number in range(part_count(self._size, self._part)):
                wanted = min(self._part, self._size - size)
                self._way.budget.take(wanted)
                try:
                    content = file.read(wanted)
                    sha256.update(content)
                    size += len(content)
                    if len(content) != wanted:
                        raise NotAsListed(size, sha256.hexdigest())
                    if size == self._size:  # a session makes the object as it gets the last part
                        self._check(file, sha256.hexdigest())
                    kept = self._kept(number, held[number], content) if number in held else None
                    future = None if kept is not None else self._way.senders.submit(self._send, parts, number, [content])
                except BaseException:
                    self._way.budget.give_back(wanted)
                    raise
                del content
                if future is not None:
                    self._pending[future] = number
                elif kept is not None:
                    self._way.budget.give_back(wanted)
                    self._resumed += wanted
                    self._note(number, held[number], kept)
                self._settle(wait_for_all=parts.in_order)
        self._settle(wait_for_all=True)
        crc32c = joined((self._crcs[number], self._length(number)) for number in sorted(self._crcs))
        return {"sha256": sha256.hexdigest(), "crc32c": f"{crc32c:08x}"}

    def _check(self, file: BinaryIO, sha256: str) -> None:
        if file.read(1) or sha256 != self._sha256:
            raise NotAsListed(self._path.stat().st_size, sha256)

    def _kept(self, number: int, token: str, content: bytes) -> int | None:
        """The part's CRC32C, where what the store holds is this content: as the journal tells, or a session has no token."""
        known, crc32c = self._known.get(number), google_crc32c.value(content)
        return crc32c if (token == "" if known is None else known == (token, crc32c)) else None

    def _send(self, parts: Parts, number: int, box: list[bytes]) -> tuple[str, int]:
        """Runs in a sender's thread: the content is given back there, whatever happens, and ``box`` holds it no more."""
        content = box.pop()
        count = len(content)
        try:
            crc32c = google_crc32c.value(content)
            for attempt in range(_TRIES):
                try:
                    token = parts.send(number, content, crc32c)
                    break
                except ChecksumError:
                    if attempt == _TRIES - 1:
                        raise
        finally:
            del content
            self._way.budget.give_back(count)
        self._way.journal.part(self._name, number, token, crc32c)
        return token, crc32c

    def _settle(self, wait_for_all: bool) -> None:
        """Note the parts that have been sent; raises what went wrong with one."""
        while self._pending:
            done, _ = wait(self._pending, timeout=None if wait_for_all else 0, return_when=FIRST_COMPLETED)
            for future in done:
                number, (token, crc32c) = self._pending.pop(future), future.result()
                self._sent += self._length(number)
                self._note(number, token, crc32c)
            if not wait_for_all:
                return

    def _note(self, number: int, token: str, crc32c: int) -> None:
        self._tokens[number], self._crcs[number] = token, crc32c
        self._told += self._length(number)
        self._tell(self._length(number))

    def _length(self, number: int) -> int:
        return min(self._part, self._size - number * self._part)

    def _drop(self) -> None:
        """Leave no part under way, and no memory taken."""
        for future, number in self._pending.items():
            if future.cancel():
                self._way.budget.give_back(self._length(number))
        wait(self._pending)
        self._pending.clear()
