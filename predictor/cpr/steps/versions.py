"""What is published below a folder: the versions of one routine, or of all that lie there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cpr.errors import BundleError, StorageError
from cpr.manifest import MANIFEST_NAME
from cpr.report import Report
from cpr.storage import Storage, open_storage
from cpr.storage.claim import CLAIM_NAME
from cpr.storage.published import Source, find_manifest
from cpr.storage.versions import never_published, parsed

MOST_FOLDERS = 10_000
"""The most that are looked into on one level."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One version.

    ``state`` is ``published``, ``unfinished`` (an upload or a deletion that did not end) or ``altered`` (its manifest cannot be
    read; ``problem`` says why). ``files`` and ``bytes`` are those of the bundle, or, without a manifest, those that are there.
    ``published`` is when the manifest was written, in seconds since 1970; ``None`` where the store does not say. ``target`` and
    ``machine_type`` are what it was validated for. What is not known is ``None``.
    """

    uri: str
    name: str
    version: str
    state: str
    digest: str | None = None
    files: int | None = None
    bytes: int | None = None
    published: float | None = None
    target: str | None = None
    machine_type: str | None = None
    problem: str | None = None


def list_versions(uri: str, *, unfinished: bool = False, endpoint: str | None = None) -> tuple[Listed, ...]:
    """The versions at or below ``uri``: a version, a routine (``…/my_routine``) or a folder of routines.

    In order of name, then of PEP 440 version; with ``unfinished`` also uploads that did not end. Nothing is an empty tuple.
    ``StorageError`` where the store refuses, or more folders lie there than are looked into.
    """
    storage, prefix = open_storage(uri, endpoint=endpoint)
    with ThreadPoolExecutor(storage.parallel) as pool:
        itself = _listed(storage, prefix, unfinished)
        if itself is not None:
            return (itself,)
        below = _folders(storage, prefix)
        looked = dict(zip(below, pool.map(lambda folder: _listed(storage, folder, unfinished), below), strict=True))
        deeper = [folder for folder, found in looked.items() if found is None and parsed(_last(folder)) is None]
        folders = [each for found in pool.map(lambda folder: _folders(storage, folder), deeper) for each in found]
        more = pool.map(lambda folder: _listed(storage, folder, unfinished), folders)
        return tuple(sorted(_there([*looked.values(), *more]), key=_order))


def _folders(storage: Storage, prefix: str) -> list[str]:
    names = storage.folders(prefix)
    if len(names) > MOST_FOLDERS:
        here = storage.uri(prefix.rstrip("/"))
        raise StorageError(f"More than {MOST_FOLDERS:,} folders lie below {here}.", "Name the folder of one routine.", here)
    return [f"{prefix}{name}/" for name in names if name]


def _listed(storage: Storage, prefix: str, unfinished: bool) -> Listed | None:
    """The version below ``prefix``; ``None`` where it is none."""
    uri = storage.uri(prefix.rstrip("/"))
    *_, name, version = ["", "", *uri.rstrip("/").split("/")]
    stored = storage.stat(prefix + MANIFEST_NAME)
    if stored is None:
        return _unfinished(storage, prefix, uri, name, version) if unfinished else None
    try:
        manifest = find_manifest(storage, prefix)
    except BundleError as error:
        return Listed(uri, name, version, "altered", published=stored.updated, problem=error.message)
    if manifest is None:
        return None  # deleted since
    report = _report(Source(storage, prefix, manifest))
    return Listed(
        uri,
        manifest.name,
        manifest.version,
        "published",
        manifest.digest,
        len(manifest.all_files),
        sum(entry.size for entry in manifest.all_files),
        stored.updated,
        None if report is None else report.target,
        None if report is None else report.machine_type,
    )


def _report(source: Source) -> Report | None:
    try:
        return source.report()
    except BundleError:
        return None


def _unfinished(storage: Storage, prefix: str, uri: str, name: str, version: str) -> Listed | None:
    if parsed(version) is None:
        return None
    sizes = {path[len(prefix) :]: size for path, size in storage.sizes(prefix)}
    claimed = sizes.pop(CLAIM_NAME, None) is not None
    if not never_published(uri, sizes, claimed):
        return None
    return Listed(uri, name, version, "unfinished", files=len(sizes), bytes=sum(sizes.values()))


def _last(prefix: str) -> str:
    return prefix.rstrip("/").rpartition("/")[2]


def _there(found: Iterable[Listed | None]) -> Iterator[Listed]:
    return (each for each in found if each is not None)


def _order(listed: Listed) -> tuple[str, bool, object, str]:
    version = parsed(listed.version)
    return (listed.name, version is None, version or listed.version, listed.uri)
