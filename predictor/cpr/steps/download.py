"""Bring a published bundle back."""

from __future__ import annotations

from pathlib import Path

from cpr.bundle import Bundle
from cpr.storage.fetch import fetch_bundle
from cpr.storage.receive import Progress


def download(uri: str, folder: Path | str, *, endpoint: str | None = None, progress: Progress | None = None) -> Bundle:
    """Copy the bundle published at ``uri`` into ``folder``, and return it. The URI of a routine means its newest version.

    Each file is compared with the manifest's SHA-256 before it gets its name, and the manifest is written last: an interrupted
    download is no bundle. Run again, it goes on where it was, inside a file too; where all is there, only the manifest is read.
    ``folder`` may be missing or empty, or hold this bundle or a part of it; ``OutputError`` where it holds anything else, or
    cannot be written. ``StorageError`` where nothing is published, or the store refuses; ``ChecksumError`` where a file is not
    what the manifest lists; ``BundleError`` where the manifest or the record is altered.
    """
    return fetch_bundle(uri, folder, endpoint=endpoint, progress=progress)
