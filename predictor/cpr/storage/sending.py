"""Files on their way into a store: several at a time, large ones in parts, each file's bytes read once.

What is there already is kept, what another version holds is copied inside the store, and only the rest is sent. A file that is
not what the manifest lists never becomes an object: a small one is hashed before it is sent, a large one before its parts are
put together.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from cpr.errors import BundleError, ChecksumError
from cpr.storage.base import Fingerprint, Storage, Stored, agrees, fingerprint, holds, reads_back
from cpr.storage.budget import Budget
from cpr.storage.journal import Journal
from cpr.storage.parts_sending import NotAsListed, Sent, Way, abort_sessions, send_in_parts

Progress: TypeAlias = Callable[[str, int], None]
"""Called as bytes of a file are dealt with: its path in the bundle, and how many more of its bytes are in the store."""

_BYTES_AT_A_TIME = 96 << 20
"""Of content that is in memory, all threads together."""
_PARTS_AT_A_TIME = 8
_LARGE_AT_A_TIME = 2
"""Large files that are read at a time: one is hashed on one core."""
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Item:
    """One object to publish: its path in the bundle, its content, size in bytes and SHA-256 in hex."""

    path: str
    content: Path | bytes
    size: int
    sha256: str


@dataclass(slots=True)
class Tally:
    """What was done. ``uploaded``, ``skipped`` and ``copied`` are names; ``bytes_resumed`` an earlier run has sent."""

    uploaded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    bytes_resumed: int = 0


class Sender:
    """Sends items below ``base``.

    ``present`` is what a listing showed there, ``earlier`` maps SHA-256 to the names of objects of other versions.
    """

    def __init__(
        self,
        storage: Storage,
        base: str,
        journal: Journal,
        progress: Progress,
        present: Mapping[str, Stored],
        earlier: Mapping[str, str],
    ) -> None:
        self._storage, self._base, self._journal, self._progress = storage, base, journal, progress
        self._present, self._earlier = present, earlier
        self._lock = threading.Lock()
        self._budget = Budget(max(_BYTES_AT_A_TIME, 2 * storage.part_bytes))
        self.tally = Tally()

    def send_all(self, items: Iterable[Item]) -> None:
        """Send what is not there yet.

        ``BundleError`` where a file is not what the manifest lists, ``ChecksumError`` where the store twice did not hold what
        was sent. Whatever goes wrong, also Ctrl-C: the others are broken off, and no thread is left.
        """
        small: list[Item] = []
        large: list[Item] = []
        for item in sorted(items, key=lambda item: item.size, reverse=True):
            (large if isinstance(item.content, Path) and item.size > self._storage.part_bytes else small).append(item)
        few = min(self._storage.parallel, _PARTS_AT_A_TIME)
        with _pool(_LARGE_AT_A_TIME) as readers, _pool(few) as senders, _pool(self._storage.parallel) as others:
            way = Way(self._storage, self._journal, senders, self._budget)
            futures = [readers.submit(self._send_large, item, way) for item in large]
            futures += [others.submit(self._send_small, item) for item in small]
            self._await(futures)

    def verify_all(self, items: Iterable[Item]) -> None:
        """Read every object back and hash it; what is wrong is sent once more. ``ChecksumError`` names what is wrong then."""
        wrong = self._read_back(list(items))
        for item in wrong:
            self._storage.delete(self._base + item.path)
            self._journal.forget(self._base + item.path)
        self._present, self._earlier = {}, {}
        self.send_all(wrong)
        wrong = self._read_back(wrong)
        if wrong:
            names = ", ".join(item.path for item in wrong)
            raise ChecksumError(
                f"What was read back is not what was sent, twice: {names}.",
                "Nothing was published. Run it again; if that does not help, suspect the network, a proxy or the memory.",
                self._storage.uri(self._base.rstrip("/")),
            )

    def undo(self, sizes: Mapping[str, int]) -> None:
        """Remove what was sent and copied, also parts of files; ``sizes`` are those of all items, by their paths."""
        abort_sessions(self._storage, self._journal, {self._base + path: size for path, size in sizes.items()})
        for name in (*self.tally.uploaded, *self.tally.copied):
            self._storage.delete(name)
            self._journal.forget(name)

    def _read_back(self, items: list[Item]) -> list[Item]:
        """Those of the items whose object holds something else."""
        with _pool(min(_PARTS_AT_A_TIME, self._storage.parallel)) as pool:
            futures = [pool.submit(reads_back, self._storage, self._base + item.path, item.size, item.sha256) for item in items]
            self._await(futures)
            return [item for item, future in zip(items, futures, strict=True) if not future.result()]

    def _await(self, futures: Sequence[Future[Any]]) -> None:
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            failed = [future for future in futures if future.done() and future.exception()]
        except BaseException:
            self._break_off(futures, at_once=True)
            raise
        if failed:
            self._break_off(futures, at_once=False)
            failed[0].result()

    def _break_off(self, futures: Sequence[Future[Any]], at_once: bool) -> None:
        for future in futures:
            future.cancel()
        self._budget.close()
        self._storage.stop(at_once)
        wait(futures)
        self._storage.go_on()

    def _send_small(self, item: Item) -> None:
        with self._budget.taken(item.size):
            content = self._content(item)
            expected = fingerprint(content, self._storage.hasher())
            if expected.sha256 != item.sha256:
                raise altered(item, expected.size, expected.sha256)
            if self._is_there(item, lambda: expected):
                return None
            name = self._base + item.path
            for _ in range(_TRIES):
                try:
                    stored = self._storage.write(name, content, expected)
                except ChecksumError:
                    continue
                if stored is not None and holds(self._storage, name, stored, expected):
                    return self._note_sent(item, stored, item.size, 0, told=False)
                self._storage.delete(name)
            raise damaged(self._storage, name)

    def _send_large(self, item: Item, way: Way) -> None:
        name = self._base + item.path
        if self._is_there(item, lambda: self._read(item)):
            return None
        for _ in range(_TRIES):
            sent = self._in_parts(item, name, way)
            if sent.stored is not None and holds(self._storage, name, sent.stored, sent.expected):
                return self._note_sent(item, sent.stored, sent.bytes_sent, sent.bytes_resumed, told=True)
            self._storage.delete(name)
            self._journal.forget(name)
            self._tell(item.path, -item.size)
        raise damaged(self._storage, name)

    def _in_parts(self, item: Item, name: str, way: Way) -> Sent:
        assert isinstance(item.content, Path)
        try:
            return send_in_parts(way, name, item.content, item.size, item.sha256, partial(self._tell, item.path))
        except NotAsListed as found:
            raise altered(item, found.size, found.sha256) from None
        except OSError as error:
            raise _unreadable(item, error) from None

    def _tell(self, path: str, count: int) -> None:
        with self._lock:
            self._progress(path, count)

    def _is_there(self, item: Item, expected: Callable[[], Fingerprint]) -> bool:
        """Whether the content is in its place already, or could be copied to it."""
        return self._is_present(item, expected) or self._is_copied(item, expected)

    def _is_present(self, item: Item, expected: Callable[[], Fingerprint]) -> bool:
        name = self._base + item.path
        found = self._present.get(item.path)
        if found is None or found.size != item.size:
            return False
        known = self._journal.done.get(name)
        told = known is not None and known[0] == item.sha256 and bool(known[1]) and known[1].items() <= found.checksums.items()
        if not told:
            local = expected()
            stored = found if agrees(found, local) is not None else self._storage.stat(name)
            if stored is None or not holds(self._storage, name, stored, local):
                return False
        with self._lock:
            self.tally.skipped.append(name)
        self._tell(item.path, item.size)
        return True

    def _is_copied(self, item: Item, expected: Callable[[], Fingerprint]) -> bool:
        source, name = self._earlier.get(item.sha256), self._base + item.path
        if source is None:
            return False
        local = expected()
        stored = self._storage.copy(source, name)
        if stored is None:
            return False
        if not holds(self._storage, name, stored, local):
            self._storage.delete(name)  # damaged where it was copied from: sent instead
            return False
        with self._lock:
            self.tally.copied.append(name)
        self._journal.whole(name, item.sha256, dict(stored.checksums))
        self._tell(item.path, item.size)
        return True

    def _note_sent(self, item: Item, stored: Stored, sent: int, resumed: int, told: bool) -> None:
        name = self._base + item.path
        with self._lock:
            self.tally.uploaded.append(name)
            self.tally.bytes_sent += sent
            self.tally.bytes_resumed += resumed
        self._journal.whole(name, item.sha256, dict(stored.checksums))
        if not told:
            self._tell(item.path, item.size)

    def _content(self, item: Item) -> bytes:
        if isinstance(item.content, bytes):
            return item.content
        try:
            with open(item.content, "rb") as file:
                content = file.read(item.size + 1)
        except OSError as error:
            raise _unreadable(item, error) from None
        if len(content) != item.size:
            raise altered(item, item.content.stat().st_size, hashlib.sha256(content).hexdigest())
        return content

    def _read(self, item: Item) -> Fingerprint:
        """The fingerprint of a large file that need not be sent; ``BundleError`` where it is not what the manifest lists."""
        try:
            found = fingerprint(item.content, self._storage.hasher())
        except OSError as error:
            raise _unreadable(item, error) from None
        if (found.size, found.sha256) != (item.size, item.sha256):
            raise altered(item, found.size, found.sha256)
        return found


@contextmanager
def _pool(count: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def altered(item: Item, size: int, sha256: str) -> BundleError:
    return BundleError(
        f"The bundle was altered: {item.path} has {size} bytes and SHA-256 {sha256[:12]}…, "
        f"its manifest says {item.size} and {item.sha256[:12]}….",
        "Build the bundle anew with `cpr build`.",
        str(item.content),
    )


def damaged(storage: Storage, name: str) -> ChecksumError:
    return ChecksumError(
        f"{storage.uri(name)} is not what was sent, twice: its checksum or size differs.",
        "Nothing was published. Run it again; if that does not help, suspect the network, a proxy or the memory.",
        storage.uri(name),
    )


def _unreadable(item: Item, error: OSError) -> BundleError:
    return BundleError(
        f"A file of the bundle cannot be read: {error.strerror}.", "Build the bundle anew with `cpr build`.", str(item.content)
    )
