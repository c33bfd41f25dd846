"""Fetch a routine's model directory from where a platform keeps it, and check it against the manifest.

A container holds the code and no weights: it is told at start where they are (``AIP_STORAGE_URI``, ``--model-uri``), and only
the manifest inside it knows what they must be.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpr.errors import BundleError, StorageError
from cpr.manifest import MODEL_DIR, Manifest
from cpr.storage import open_storage
from cpr.storage.base import HashSink


@contextmanager
def fetched(manifest: Manifest, uri: str, *, endpoint: str | None = None) -> Iterator[Path]:
    """A temporary folder with the files of the model directory, fetched from below ``uri`` and checked; it goes at the end.

    ``StorageError`` where a file cannot be had, ``BundleError`` where one is not what the manifest says.
    """
    folder = Path(tempfile.mkdtemp(prefix="cpr-model-"))
    try:
        storage, prefix = open_storage(uri, endpoint=endpoint)
        for entry in manifest.model_files:
            relative = entry.path.removeprefix(MODEL_DIR + "/")
            target = folder.joinpath(*relative.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            name = f"{prefix.rstrip('/')}/{relative}".lstrip("/")
            with open(target, "wb") as file:
                sink = HashSink(file)
                found = storage.download(name, sink, entry.size)
            where = storage.uri(name)
            if not found:
                raise StorageError(
                    f"{uri} has no {relative}.", "Name the folder that holds what is in the bundle's model/.", where
                )
            if (sink.size, sink.sha256.hexdigest()) != (entry.size, entry.sha256):
                raise BundleError(
                    f"{relative} is not what the manifest says: it was altered, or belongs to another version.",
                    "Name the model directory of this version, or upload the bundle again.",
                    where,
                )
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
