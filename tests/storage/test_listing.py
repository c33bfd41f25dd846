"""A bucket's folder as a tree: sizes without content, foreign names, and a few objects fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.buckets import Place
from support.proxy import damaging_proxy

from cpr.errors import StorageError
from cpr.storage import Storage, fingerprint, open_storage
from cpr.storage import listing as listing_module
from cpr.storage.listing import list_folder


def write(storage: Storage, name: str, content: bytes) -> None:
    storage.write(name, content, fingerprint(content, storage.hasher()))


def fill(place: Place, contents: dict[str, bytes]) -> None:
    storage, prefix = open_storage(place.uri)
    for name, content in contents.items():
        write(storage, prefix + name, content)


def test_sizes_are_those_of_the_objects(place: Place) -> None:
    contents = {f"{number % 3}/{number}.bin": bytes(number) for number in range(20)}
    fill(place, contents)
    storage, prefix = open_storage(place.uri)
    expected = {prefix + name: len(content) for name, content in contents.items()}
    assert dict(storage.sizes(prefix)) == expected
    assert set(storage.list(prefix)) == expected.keys()
    assert dict(storage.sizes(prefix + "1/")) == {
        name: size for name, size in expected.items() if name.startswith(prefix + "1/")
    }


@pytest.fixture(params=["gs", "s3"])
def bucket(request: pytest.FixtureRequest) -> Place:
    place: Place = request.getfixturevalue(f"{request.param}_place")
    return place


def test_what_is_asked_for_is_fetched_and_nothing_else(bucket: Place, tmp_path: Path) -> None:
    contents = {"small/a": b"a", "small/deeper/b": b"bb", "empty": b"", "large": bytes(3_000_000)}
    fill(bucket, contents)
    listing = list_folder(bucket.uri)
    assert listing.uri == bucket.uri
    assert list(listing.files.items()) == sorted((name, len(content)) for name, content in contents.items())
    listing.fetch(["small/a", "small/deeper/b", "empty"], tmp_path / "here")
    found = {path.relative_to(tmp_path / "here").as_posix(): path for path in (tmp_path / "here").rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == {name: contents[name] for name in found}
    assert sorted(found) == ["empty", "small/a", "small/deeper/b"]


def test_nothing_there_is_an_empty_listing(bucket: Place) -> None:
    fill(bucket, {"model": b"x"})
    assert list_folder(bucket.uri + "/model").files == {}, "an object is no folder"
    assert list_folder(bucket.uri + "/mod").files == {}, "part of a name is no folder"


STRANGE = ["a//b", "/x", "../x", "b/../../x", "./x", "n" * 300, "taken/by/a/file", "notice/"]


def test_foreign_names_stay_outside(s3_place: Place, tmp_path: Path) -> None:
    """Names that no folder can hold are told, and never fetched. moto alone: the emulator of gs:// cannot store them."""
    fill(s3_place, {**dict.fromkeys(STRANGE, b"x"), "taken/by": b"a file", "folder/": b"", "folder/file": b"1", "": b""})
    listing = list_folder(s3_place.uri)
    assert set(listing.files) == {"taken/by", "folder/file"}
    assert set(listing.strange) == set(STRANGE)
    listing.fetch(listing.files, tmp_path / "here")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["by", "file"]


def test_too_many_objects_are_refused(s3_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_module, "MOST_OBJECTS", 10)
    fill(s3_place, {f"{number}": b"" for number in range(10)})
    assert len(list_folder(s3_place.uri).files) == 10
    fill(s3_place, {"one more": b""})
    with pytest.raises(StorageError, match="More than 10 objects") as refused:
        list_folder(s3_place.uri)
    assert "further down" in refused.value.remedy


@pytest.mark.parametrize("content", [b"shorter", b"something longer", None])
def test_an_object_that_changed_since_it_was_listed(bucket: Place, content: bytes | None, tmp_path: Path) -> None:
    fill(bucket, {"a": b"ten bytes."})
    listing = list_folder(bucket.uri)
    storage, prefix = open_storage(bucket.uri)
    if content is None:
        storage.delete(prefix + "a")
    else:
        write(storage, prefix + "a", content)
    with pytest.raises(StorageError, match="changed while it was read"):
        listing.fetch(["a"], tmp_path)


def test_a_full_folder_is_told(bucket: Place, tmp_path: Path) -> None:
    fill(bucket, {"a/b": b"x"})
    (tmp_path / "a").write_text("a file in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        list_folder(bucket.uri).fetch(["a/b"], tmp_path)


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_no_permission_says_which_one(kind: str, request: pytest.FixtureRequest) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    refusing = damaging_proxy(place.port, b"HTTP/1.1 200 OK", b"HTTP/1.1 403 OK", times=100)
    with refusing as proxy, pytest.raises(StorageError, match="may not do this") as refused:
        list_folder(place.uri, endpoint=f"http://127.0.0.1:{proxy.port}")
    assert "objectViewer" in refused.value.remedy or "s3:ListBucket" in refused.value.remedy
