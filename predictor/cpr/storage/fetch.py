"""The reader's side: a published bundle, or only what is known about it, from the place where it lies."""

from __future__ import annotations

import secrets
from pathlib import Path

from cpr.bundle import Bundle, PublishedBundle, hash_file
from cpr.errors import ChecksumError, StorageError
from cpr.manifest import MANIFEST_NAME, MAX_RECORD_BYTES, VALIDATION_NAME, FileEntry, Manifest
from cpr.report import Report
from cpr.storage.base import HashSink, Storage, read
from cpr.storage.schemes import open_storage


def read_published(uri: str, *, endpoint: str | None = None) -> PublishedBundle:
    """The manifest and the validation record that lie at ``uri``, and nothing else of the bundle.

    ``StorageError`` where nothing is published there, ``BundleError`` where the manifest or the record is altered.
    """
    storage, prefix = open_storage(uri, endpoint=endpoint)
    return read_version(storage, prefix)


def read_version(storage: Storage, prefix: str) -> PublishedBundle:
    """What :func:`read_published` does, for a store that is open already."""
    manifest = find_manifest(storage, prefix)
    if manifest is None:
        raise _nothing(storage, prefix)
    record = read(storage, prefix + VALIDATION_NAME, MAX_RECORD_BYTES)
    report = None if record is None else Report.from_text(record, storage.uri(prefix + VALIDATION_NAME))
    if report is not None and report.digest != manifest.digest:
        report = None  # about another bundle, so no proof of anything
    return PublishedBundle(storage.uri(prefix.rstrip("/")), manifest, report)


def find_manifest(storage: Storage, prefix: str) -> Manifest | None:
    """The manifest below ``prefix``; ``None`` where nothing is published there."""
    text = read(storage, prefix + MANIFEST_NAME, MAX_RECORD_BYTES)
    return None if text is None else Manifest.from_json(text, storage.uri(prefix + MANIFEST_NAME))


def fetch_bundle(uri: str, folder: Path | str, *, endpoint: str | None = None) -> Bundle:
    """Copy the bundle published at ``uri`` into ``folder``, each file checked by SHA-256 before it gets its name.

    Files that are there already and right are kept. The manifest is written last, so that an interrupted fetch is no bundle.
    ``StorageError`` where nothing is published or the folder cannot be written, ``ChecksumError`` where a file is damaged.
    """
    storage, prefix = open_storage(uri, endpoint=endpoint)
    published = read_version(storage, prefix)
    root = Path(folder)
    try:
        for entry in published.manifest.all_files:
            _fetch(storage, prefix, entry, root)
        if published.report is not None:
            _write(root / VALIDATION_NAME, published.report.to_text().encode())
        _write(root / MANIFEST_NAME, published.manifest.to_json().encode())
    except OSError as error:
        raise StorageError(
            f"{error.filename or root} cannot be written: {error.strerror}.",
            "Check the folder, its permissions and the free space.",
            str(root),
        ) from error
    return Bundle.open(root)


def _fetch(storage: Storage, prefix: str, entry: FileEntry, root: Path) -> None:
    path = root.joinpath(*entry.path.split("/"))
    if path.is_file() and hash_file(path) == (entry.size, entry.sha256):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    uri = storage.uri(prefix + entry.path)
    try:
        if not (_download(storage, prefix, entry, beside) or _download(storage, prefix, entry, beside)):
            raise ChecksumError(
                f"{uri} is not what the manifest lists, twice: its SHA-256 or its size differs.",
                "Fetch it again; if that does not help, it was altered: publish the bundle under a new version.",
                uri,
            )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _download(storage: Storage, prefix: str, entry: FileEntry, path: Path) -> bool:
    """Whether what arrived is what the manifest lists."""
    with open(path, "wb") as file:
        sink = HashSink(file)
        try:
            found = storage.download(prefix + entry.path, sink, entry.size)
        except ChecksumError:  # noticed by the store's own client
            return False
    if not found:
        uri = storage.uri(prefix + entry.path)
        raise StorageError(
            f"{uri} is missing, although the manifest lists it.", "Publish the bundle again under a new version.", uri
        )
    return (sink.size, sink.sha256.hexdigest()) == (entry.size, entry.sha256)


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _nothing(storage: Storage, prefix: str) -> StorageError:
    here = storage.uri(prefix.rstrip("/"))
    below = [name for name in storage.folders(prefix)[:50] if storage.stat(f"{prefix}{name}/{MANIFEST_NAME}") is not None]
    remedy = f"Name a version: {storage.uri(prefix + below[-1])}." if below else "Name the URI that `cpr upload` printed."
    return StorageError(f"Nothing is published at {here}: it has no {MANIFEST_NAME}.", remedy, here)
