"""What tests of uploads ask of a place: whether what is published there is whole, and what the server still keeps."""

from __future__ import annotations

import hashlib
import json
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cpr.bundle import ValidatedBundle
from cpr.manifest import Manifest
from cpr.storage import open_storage, read
from support.buckets import Place

PART = 5 << 20
"""The smallest part that the servers take."""

PUBLISH = [
    sys.executable,
    "-c",
    "import sys\n"
    "from cpr.bundle import Bundle\n"
    "from cpr.steps.upload import upload\n"
    "from cpr.steps.validate import stored_validation\n"
    "from cpr.storage import gs, local, s3, sending\n"
    f"gs.GoogleStorage.part_bytes = local.LocalStorage.part_bytes = s3.S3Storage.part_bytes = {PART}\n"
    "sending._PARTS_AT_A_TIME = 2\n"
    "validated = stored_validation(Bundle.open(sys.argv[1]))\n"
    "print('begun', flush=True)\n"
    "upload(validated, sys.argv[2])\n"
    "print('done', flush=True)\n",
]
"""Publishes the bundle of the first argument to the second, in parts that small, two at a time."""


def published(uri: str) -> Manifest | None:
    """What is published below ``uri``, each of its objects compared; ``None`` where nothing is."""
    storage, prefix = open_storage(uri)
    found = [name for name in storage.list(prefix) if name.rpartition("/")[2] == "manifest.json"]
    if not found:
        return None
    [name] = found
    text = read(storage, name, 1 << 20)
    assert text is not None
    manifest = Manifest.from_json(text)
    base = name.removesuffix("manifest.json")
    for entry in manifest.all_files:
        content = read(storage, base + entry.path, 1 << 30)
        assert content is not None and hashlib.sha256(content).hexdigest() == entry.sha256, entry.path
    return manifest


def write_record(bundle: ValidatedBundle) -> ValidatedBundle:
    """Put the validation record beside the files, where another process finds it."""
    (bundle.bundle.root / "validation.json").write_text(json.dumps(bundle.report.to_json()))
    return bundle


def journals(folder: Path) -> list[Path]:
    return list(folder.glob(".*.upload"))


def open_uploads(place: Place) -> list[str]:
    """The names of objects that the server keeps parts of."""
    bucket = place.uri.split("/")[2]
    with urllib.request.urlopen(f"http://127.0.0.1:{place.port}/{bucket}?uploads", timeout=10) as answer:
        document = ElementTree.fromstring(answer.read())
    return [upload.findtext("{*}Key") or "" for upload in document.iterfind("{*}Upload")]


def own(place: Place, method: str, path: str) -> list[Mapping[str, Any]]:
    """What the GCS server answers about itself."""
    request = urllib.request.Request(f"http://127.0.0.1:{place.port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"[]")
