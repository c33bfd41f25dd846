"""What is published at a place: its manifest and its validation record, and nothing else of it."""

from __future__ import annotations

from dataclasses import dataclass

from cpr.bundle import PublishedBundle
from cpr.manifest import MANIFEST_NAME, MAX_RECORD_BYTES, VALIDATION_NAME, Manifest
from cpr.report import Report
from cpr.storage.base import Storage, read
from cpr.storage.schemes import open_storage
from cpr.storage.versions import newest, nothing_at


@dataclass(frozen=True, slots=True)
class Source:
    """A published version in its store: ``prefix`` stands in front of the names of its files."""

    storage: Storage
    prefix: str
    manifest: Manifest

    @property
    def uri(self) -> str:
        return self.storage.uri(self.prefix.rstrip("/"))

    def report(self) -> Report | None:
        """The validation record; ``None`` where there is none, or one about another bundle, which proves nothing.

        ``BundleError`` where it is altered.
        """
        name = self.prefix + VALIDATION_NAME
        record = read(self.storage, name, MAX_RECORD_BYTES)
        report = None if record is None else Report.from_text(record, self.storage.uri(name))
        return report if report is not None and report.digest == self.manifest.digest else None

    def published(self) -> PublishedBundle:
        return PublishedBundle(self.uri, self.manifest, self.report())


def open_source(uri: str, *, endpoint: str | None = None) -> Source:
    """The version at ``uri``; the newest one (PEP 440; no pre-release where there is another) at the URI of a routine.

    ``StorageError`` where nothing is published there, ``BundleError`` where the manifest is altered.
    """
    storage, prefix = open_storage(uri, endpoint=endpoint)
    manifest = find_manifest(storage, prefix)
    if manifest is None:
        version = newest(storage, prefix)
        if version is not None:
            prefix = f"{prefix}{version}/"
            manifest = find_manifest(storage, prefix)
    if manifest is None:
        raise nothing_at(storage, prefix)
    return Source(storage, prefix, manifest)


def read_published(uri: str, *, endpoint: str | None = None) -> PublishedBundle:
    """The manifest and the validation record that lie at ``uri`` itself, and nothing else of the bundle.

    ``StorageError`` where nothing is published there, ``BundleError`` where the manifest or the record is altered.
    """
    storage, prefix = open_storage(uri, endpoint=endpoint)
    return read_version(storage, prefix)


def read_version(storage: Storage, prefix: str) -> PublishedBundle:
    """What :func:`read_published` does, for a store that is open already."""
    manifest = find_manifest(storage, prefix)
    if manifest is None:
        raise nothing_at(storage, prefix)
    return Source(storage, prefix, manifest).published()


def find_manifest(storage: Storage, prefix: str) -> Manifest | None:
    """The manifest below ``prefix``; ``None`` where nothing is published there."""
    text = read(storage, prefix + MANIFEST_NAME, MAX_RECORD_BYTES)
    return None if text is None else Manifest.from_json(text, storage.uri(prefix + MANIFEST_NAME))
