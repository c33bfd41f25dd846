"""Published versions of a routine without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.buckets import Place
from upload.conftest import MakeValidated, built, make  # noqa: F401 - fixtures of this folder, too

from cpr.steps.upload import Upload, upload
from cpr.storage import Storage, fingerprint, open_storage

Publish = Callable[..., Upload]


@pytest.fixture(params=["folder", "gs", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of store in turn; a folder's ``file://`` is the same store, and costs time."""
    if request.param == "folder":
        return Place("folder", str(tmp_path / "published"))
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture
def publish(make: MakeValidated) -> Publish:  # noqa: F811
    """``publish(place, version, files={…})``: one more version of the routine ``tiny`` at a place."""

    def publish(place: Place | str, version: str = "1.2.0", **options: object) -> Upload:
        return upload(make(version, **options), place if isinstance(place, str) else place.uri)

    return publish


@dataclass(frozen=True)
class Shelf:
    """What lies at a place, around the program; opened once, which takes a while for S3."""

    storage: Storage
    prefix: str

    def put(self, name: str, content: bytes) -> None:
        self.storage.write(self.prefix + name, content, fingerprint(content, self.storage.hasher()))

    def delete(self, name: str) -> None:
        self.storage.delete(self.prefix + name)

    def names(self) -> set[str]:
        return {name.removeprefix(self.prefix) for name in self.storage.list(self.prefix)}


@pytest.fixture
def shelf(place: Place) -> Shelf:
    return Shelf(*open_storage(place.uri))
