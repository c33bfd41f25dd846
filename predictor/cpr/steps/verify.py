"""Compare what a store holds of a published bundle with its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

from cpr.errors import BundleError, StorageError
from cpr.manifest import MANIFEST_NAME, MAX_RECORD_BYTES, VALIDATION_NAME, FileEntry
from cpr.report import Report
from cpr.storage.base import read
from cpr.storage.claim import CLAIM_NAME
from cpr.storage.published import Source, open_source
from cpr.storage.receive import Digest, Progress, Receiver


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is ``missing``, ``altered``, or ``foreign`` (the manifest does not list it)."""

    kind: str
    path: str
    message: str

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": self.path, "message": self.message}


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: ``files`` and ``bytes`` are those of the manifest. ``quick`` where the contents were not read."""

    source: Source
    faults: tuple[Fault, ...]
    quick: bool

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def files(self) -> int:
        return len(self.source.manifest.all_files)

    @property
    def bytes(self) -> int:
        return sum(entry.size for entry in self.source.manifest.all_files)


def verify(uri: str, *, quick: bool = False, endpoint: str | None = None, progress: Progress | None = None) -> Verification:
    """Read every object of the bundle published at ``uri`` and compare its SHA-256 with the manifest.

    The URI of a routine means its newest version. With ``quick`` nothing but the manifest and the record is read: the names and
    sizes that the store lists are compared. ``StorageError`` where nothing is published there or the store refuses,
    ``BundleError`` where the manifest itself is altered.
    """
    return examine(open_source(uri, endpoint=endpoint), quick=quick, progress=progress)


def examine(source: Source, *, quick: bool = False, progress: Progress | None = None) -> Verification:
    """What :func:`verify` does, for a source that is open already."""
    there = {name[len(source.prefix) :]: size for name, size in source.storage.sizes(source.prefix)}
    faults = [*_missing(source, there), *_foreign(source, there), *_record(source)]
    sized = [entry for entry in source.manifest.all_files if there.get(entry.path) == entry.size]
    faults += _sizes(source, there)
    if not quick:
        faults += _contents(source, sized, progress or _silent)
    return Verification(source, tuple(sorted(faults, key=lambda fault: (fault.path, fault.kind))), quick)


def _missing(source: Source, there: Mapping[str, int]) -> Iterator[Fault]:
    for entry in source.manifest.all_files:
        if entry.path not in there:
            yield _gone(entry)


def _gone(entry: FileEntry) -> Fault:
    return Fault("missing", entry.path, f"the manifest lists it with {entry.size:,} bytes")


def _foreign(source: Source, there: Mapping[str, int]) -> Iterator[Fault]:
    known = {MANIFEST_NAME, VALIDATION_NAME, CLAIM_NAME, *(entry.path for entry in source.manifest.all_files)}
    for path, size in there.items():
        placeholder = not size and (not path or path.endswith("/"))  # consoles make these for an empty folder
        if path not in known and not placeholder:
            yield Fault("foreign", path, f"the manifest does not list it; {size:,} bytes")


def _sizes(source: Source, there: Mapping[str, int]) -> Iterator[Fault]:
    for entry in source.manifest.all_files:
        size = there.get(entry.path, entry.size)
        if size != entry.size:
            yield Fault("altered", entry.path, f"it has {size:,} bytes, the manifest says {entry.size:,}")


def _record(source: Source) -> Iterator[Fault]:
    name = source.prefix + VALIDATION_NAME
    try:
        text = read(source.storage, name, MAX_RECORD_BYTES)
        if text is not None and Report.from_text(text).digest != source.manifest.digest:
            yield Fault("altered", VALIDATION_NAME, "it is about another bundle")
    except BundleError as error:
        yield Fault("altered", VALIDATION_NAME, error.message)


def _contents(source: Source, entries: list[FileEntry], progress: Progress) -> Iterator[Fault]:
    stop = Event()
    receiver = Receiver(source.storage, source.prefix, progress, stop)

    def look(entry: FileEntry, pool: ThreadPoolExecutor | None = None) -> Fault | None:
        try:
            right = receiver.content(entry, Digest(entry, progress, stop), pool)
        except StorageError:
            if source.storage.stat(source.prefix + entry.path) is not None:
                raise
            return _gone(entry)  # since it was listed
        return None if right else Fault("altered", entry.path, "its SHA-256 is not the manifest's, twice")

    with ThreadPoolExecutor(source.storage.parallel) as pool:
        try:
            found = [look(entry, pool) for entry in entries if receiver.is_large(entry)]
            found += pool.map(look, [entry for entry in entries if not receiver.is_large(entry)])
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    yield from (fault for fault in found if fault is not None)


def _silent(path: str, count: int) -> None:
    pass
