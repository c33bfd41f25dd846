"""The verbs of a store, the same for each kind."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import google_crc32c
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.buckets import Place
from support.proxy import damaging_proxy

from cpr.errors import StorageError
from cpr.manifest import is_safe_path
from cpr.storage import Storage, Stored, fingerprint, holds, open_storage, read
from cpr.storage.base import Fingerprint, agrees

NUMBERS = itertools.count()
PART = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=30).filter(is_safe_path)
NAME = st.builds("/".join, st.lists(PART.filter(lambda part: "/" not in part), min_size=1, max_size=3))


def write(storage: Storage, name: str, content: bytes, create_only: bool = False) -> Stored | None:
    return storage.write(name, content, fingerprint(content, storage.hasher()), create_only)


@pytest.fixture
def store(place: Place) -> tuple[Storage, str]:
    return open_storage(place.uri)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAME, content=st.binary(max_size=200))
def test_any_name_and_content_comes_back(store: tuple[Storage, str], name: str, content: bytes) -> None:
    storage, prefix = store
    top = f"{prefix}{next(NUMBERS)}/"
    stored = write(storage, top + name, content)
    assert stored is not None
    assert holds(storage, top + name, stored, fingerprint(content, storage.hasher()))
    assert agrees(stored, fingerprint(content, storage.hasher())) is True
    assert read(storage, top + name, 1000) == content
    assert list(storage.list(top)) == [top + name]
    assert storage.folders(top) == ((name.split("/")[0],) if "/" in name else ())
    storage.delete(top + name)
    assert storage.stat(top + name) is None


def test_verbs(place: Place) -> None:
    storage, prefix = open_storage(place.uri)
    assert storage.stat(prefix + "a") is None
    assert read(storage, prefix + "a", 10) is None
    assert list(storage.list(prefix)) == []
    assert storage.folders(prefix) == ()
    storage.delete(prefix + "a")

    assert write(storage, prefix + "x/a", b"first") is not None
    assert read(storage, prefix + "x/a", 100) == b"first"
    assert write(storage, prefix + "x/a", b"replaced") is not None
    assert write(storage, prefix + "x/a", b"created", create_only=True) is None
    assert read(storage, prefix + "x/a", 8) == b"replaced"
    with pytest.raises(StorageError, match="longer than the 7 bytes"):
        read(storage, prefix + "x/a", 7)
    assert write(storage, prefix + "y/b/c", b"", create_only=True) is not None
    assert sorted(storage.list(prefix)) == [prefix + "x/a", prefix + "y/b/c"]
    assert storage.folders(prefix) == ("x", "y")
    assert storage.uri(prefix + "x/a") == f"{place.uri}/x/a"


def test_a_part_of_an_object(store: tuple[Storage, str]) -> None:
    storage, prefix = store
    write(storage, prefix + "a", b"0123456789")

    def part(start: int, limit: int) -> bytes:
        sink = io.BytesIO()
        assert storage.download(prefix + "a", sink, limit, start)
        return sink.getvalue()

    assert [part(3, 4), part(3, 7), part(9, 5), part(10, 5), part(11, 5)] == [b"3456", b"3456789", b"9", b"", b""]
    assert not storage.download(prefix + "b", io.BytesIO(), 5, 3)


def test_when_an_object_was_written(store: tuple[Storage, str]) -> None:
    storage, prefix = store
    begun = time.time()
    write(storage, prefix + "a", b"x")
    stored = storage.stat(prefix + "a")
    assert stored is not None
    assert stored.updated is not None
    assert begun - 2 < stored.updated < time.time() + 2  # S3 tells whole seconds


@pytest.mark.parametrize("kind", ["gs", "s3"])
@pytest.mark.parametrize("name", ["x" * 1025, "a\nb", "", "lone\ud800"])
def test_names_no_bucket_can_hold(kind: str, name: str, request: pytest.FixtureRequest) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    storage, _ = open_storage(place.uri)
    with pytest.raises(StorageError, match="cannot hold it"):
        write(storage, name, b"x")


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/x", "a//b", "nul\0", "lone\ud800", "n" * 300])
def test_names_no_folder_can_hold(name: str, tmp_path: Path) -> None:
    storage, _ = open_storage(str(tmp_path / "inside"))
    with pytest.raises(StorageError):
        write(storage, name, b"x")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_more_names_than_one_page_holds(kind: str, request: pytest.FixtureRequest) -> None:
    """The fixtures' servers answer with seven names a page."""
    place: Place = request.getfixturevalue(f"{kind}_place")
    storage, prefix = open_storage(place.uri)
    for number in range(24):
        write(storage, f"{prefix}{number:02}/{number % 3}", b"")
    assert len(set(storage.list(prefix))) == 24
    assert storage.folders(prefix) == tuple(f"{number:02}" for number in range(24))


@settings(deadline=None)
@given(content=st.binary(max_size=2000), cut=st.integers(0, 2000))
def test_checksums_are_those_of_the_reference(content: bytes, cut: int) -> None:
    gs, s3 = open_storage_quietly("gs"), open_storage_quietly("s3")
    google, amazon = gs.hasher(), s3.hasher()
    for block in (content[:cut], content[cut:]):
        google.update(block)
        amazon.update(block)
    assert google.values() == {"crc32c": f"{google_crc32c.value(content):08x}"}
    assert amazon.values() == {"crc32c": f"{google_crc32c.value(content):08x}", "etag": hashlib.md5(content).hexdigest()}


_STORES: dict[str, Storage] = {}


def open_storage_quietly(scheme: str) -> Storage:
    """A store that is never asked anything."""
    if scheme not in _STORES:
        _STORES[scheme], _ = open_storage(f"{scheme}://some-bucket", endpoint="http://127.0.0.1:9")
    return _STORES[scheme]


@pytest.mark.parametrize(
    ("size", "checksums", "verdict"),
    [
        (4, {"sha256": "aa"}, False),
        (3, {"sha256": "aa"}, True),
        (3, {"sha256": "bb"}, False),
        (3, {"etag": "e", "crc32": "c"}, True),
        (3, {"etag": "other", "crc32": "c"}, None),
        (3, {"etag": "e", "crc32": "other"}, False),
        (3, {"crc64": "unknown"}, None),
        (3, {}, None),
    ],
)
def test_when_checksums_prove_something(size: int, checksums: dict[str, str], verdict: bool | None) -> None:
    expected = Fingerprint(3, "aa", {"sha256": "aa", "etag": "e", "crc32": "c"})
    assert agrees(Stored(size, checksums), expected) is verdict


def test_content_is_read_back_where_checksums_prove_nothing(place: Place) -> None:
    storage, prefix = open_storage(place.uri)
    write(storage, prefix + "a", b"abc")
    for content, verdict in ((b"abc", True), (b"abd", False), (b"ab", False)):
        expected = fingerprint(content, storage.hasher())
        assert holds(storage, prefix + "a", Stored(len(content), {}), expected) is verdict


def test_other_servers_get_no_new_headers(s3_place: Place) -> None:
    """What GCS and older servers answer with an error (boto/boto3 issue 4400) is not sent to an endpoint; Content-MD5 is."""
    with damaging_proxy(s3_place.port, b"?", b"?", times=0) as proxy:
        storage, prefix = open_storage(s3_place.uri, endpoint=f"http://127.0.0.1:{proxy.port}")
        write(storage, prefix + "small", b"abc")
        write(storage, prefix + "large", bytes(9 << 20))
        storage.stat(prefix + "small")
        read(storage, prefix + "small", 10)
        list(storage.list(prefix))
        sent = bytes(proxy.requests).lower()
    md5 = base64.b64encode(hashlib.md5(b"abc").digest())
    assert b"content-md5: " + md5.lower() in sent
    assert b"x-amz-checksum" not in sent
    assert b"x-amz-sdk-checksum" not in sent
    assert b"trailer" not in sent
    assert b"host: 127.0.0.1" in sent  # path style: the bucket is not in the host


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    storage, _ = open_storage(str(tmp_path))
    write(storage, "a", b"old")
    with open(tmp_path / "a", "rb") as reader:
        write(storage, "a", b"new and longer")
        assert reader.read() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
    (tmp_path / ".0123456789abcdef.part").write_bytes(b"somebody is writing")
    (tmp_path / ".fedcba9876543210.part").write_bytes(b"somebody was killed long ago")
    os.utime(tmp_path / ".fedcba9876543210.part", (1, 1))
    assert sorted(storage.list("")) == [".fedcba9876543210.part", "a"]


def test_a_sink_gets_everything_in_order(place: Place) -> None:
    storage, prefix = open_storage(place.uri)
    content = bytes(range(256)) * 12_000
    write(storage, prefix + "a", content)
    sink = io.BytesIO()
    assert storage.download(prefix + "a", sink, len(content))
    assert sink.getvalue() == content
    assert not storage.download(prefix + "b", sink, 10)


@pytest.mark.parametrize("spelling", ["127.0.0.1:{}", "http://127.0.0.1:{}/", "http://127.0.0.1:{}"])
def test_spellings_of_the_emulators_address(spelling: str, gs_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    port = urlsplit(os.environ["STORAGE_EMULATOR_HOST"]).port
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", spelling.format(port))
    storage, prefix = open_storage(gs_place.uri)
    assert write(storage, prefix + "a", b"x") is not None
    assert read(storage, prefix + "a", 1) == b"x"


def test_an_empty_emulator_address_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Then it is Google's own store, which is never asked without credentials."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    with pytest.raises(StorageError, match="no usable credentials"):
        open_storage("gs://some-bucket")
