"""The same behaviour on every store: a folder, ``file://``, ``gs://``, ``s3://``."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.buckets import Place
from support.uploads import PART
from upload.conftest import MakeValidated

import cpr
from cpr.bundle import Bundle, ValidatedBundle
from cpr.errors import BundleError, ChecksumError, StorageError, VersionExists
from cpr.report import Report
from cpr.steps.upload import upload
from cpr.storage import fetch_bundle, fingerprint, open_storage, read, read_published
from cpr.storage.claim import CLAIM_NAME

# Names that a client or a server might decode, split or cut.
ODD = {
    "with space.txt": b"1",
    "percent%20and%.bin": b"2",
    "hash#1.bin": b"3",
    "query?x=1&y=2.bin": b"4",
    "größe-数-🦊.bin": b"5",
    "plus+semi;comma,.bin": b"6",
    "deep/er/est/file": b"7",
    "empty": b"",
    "line-ends": b"\r\n--\r\n\n\r",
}


def names(place: Place) -> set[str]:
    storage, prefix = open_storage(place.uri)
    return {name.removeprefix(prefix) for name in storage.list(prefix)}


def put(place: Place, name: str, content: bytes) -> None:
    storage, prefix = open_storage(place.uri)
    assert storage.write(prefix + name, content, fingerprint(content, storage.hasher())) is not None


def get(place: Place, name: str) -> bytes | None:
    storage, prefix = open_storage(place.uri)
    return read(storage, prefix + name, 1 << 30)


def test_publishes_every_file_and_nothing_else(place: Place, make: MakeValidated) -> None:
    bundle = make(files=ODD)
    seen: dict[str, int] = {}
    done = upload(bundle, place.uri, progress=lambda name, count: seen.update({name: count}))

    manifest = bundle.bundle.manifest
    expected = {entry.path for entry in manifest.all_files} | {"manifest.json", "validation.json"}
    assert names(place) == {f"tiny/1.2.0/{path}" for path in expected}
    for entry in manifest.all_files:
        assert get(place, f"tiny/1.2.0/{entry.path}") == bundle.bundle.path(entry.path).read_bytes()
    assert done.uri == f"{place.uri}/tiny/1.2.0"
    assert (done.digest, done.uploaded, done.skipped, done.copied) == (manifest.digest, len(expected), 0, 0)
    assert seen.keys() == expected
    assert done.bytes_sent == sum(seen.values())
    assert all(seen[entry.path] == entry.size for entry in manifest.all_files)
    assert done.report == bundle.report


def test_reads_back_what_was_published(place: Place, make: MakeValidated, tmp_path: Path) -> None:
    bundle = make(files=ODD)
    done = upload(bundle, place.uri)

    published = read_published(done.uri)
    assert (published.uri, published.manifest, published.report) == (done.uri, bundle.bundle.manifest, bundle.report)

    fetched = fetch_bundle(done.uri, tmp_path / "fetched")
    fetched.verify()
    assert fetched.manifest == bundle.bundle.manifest
    left = {path.relative_to(fetched.root).as_posix() for path in fetched.root.rglob("*") if path.is_file()}
    assert left == {entry.path for entry in fetched.manifest.all_files} | {"manifest.json", "validation.json"}
    assert Report.from_json(json.loads((fetched.root / "validation.json").read_text())) == bundle.report


def test_the_public_name_is_this_function() -> None:
    assert cpr.upload is upload


def test_same_content_again_sends_nothing(place: Place, make: MakeValidated) -> None:
    first = upload(make(), place.uri)
    again = upload(make(), place.uri)
    assert (again.uploaded, again.copied, again.bytes_sent) == (0, 0, 0)
    assert again.skipped == first.uploaded
    assert (again.uri, again.manifest, again.report) == (first.uri, first.manifest, first.report)


def test_other_content_is_refused_with_the_files_that_differ(place: Place, make: MakeValidated) -> None:
    upload(make(), place.uri)
    with pytest.raises(VersionExists, match=r"model/factor\.json") as caught:
        upload(make(factor="4", files={"more.txt": b"x"}), place.uri)
    assert "model/more.txt" in caught.value.message
    assert "new version" in caught.value.remedy
    assert caught.value.where == f"{place.uri}/tiny/1.2.0"
    assert get(place, "tiny/1.2.0/model/factor.json") == b"3"
    assert f"tiny/1.2.0/{CLAIM_NAME}" not in names(place)


def test_versions_that_ai_platform_spells_alike_are_refused(place: Place, make: MakeValidated) -> None:
    upload(make("1.0+1"), place.uri)
    with pytest.raises(VersionExists, match="v1_0_1"):
        upload(make("1.0.1"), place.uri)
    assert not any(name.startswith("tiny/1.0.1/") for name in names(place))
    upload(make("1.0.2"), place.uri)


def test_altered_bundle_leaves_no_trace(place: Place, make: MakeValidated) -> None:
    bundle = make()
    bundle.bundle.path("model/factor.json").write_text("4")
    with pytest.raises(BundleError, match=r"model/factor\.json"):
        upload(bundle, place.uri)
    bundle.bundle.path("model/factor.json").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        upload(bundle, place.uri)
    assert names(place) == set()


def test_proof_about_another_bundle_is_refused(place: Place, make: MakeValidated) -> None:
    with pytest.raises(BundleError, match="other content"):
        upload(ValidatedBundle(make().bundle, make(factor="5").report), place.uri)


def test_finishes_what_an_interrupted_upload_left(place: Place, make: MakeValidated) -> None:
    bundle = make(files={"weights.bin": bytes(5000), "wrong.bin": b"right"})
    put(place, "tiny/1.2.0/model/weights.bin", bytes(5000))
    put(place, "tiny/1.2.0/model/wrong.bin", b"wrong")
    done = upload(bundle, place.uri)
    assert done.skipped == 1
    assert done.uploaded == len(bundle.bundle.manifest.all_files) + 2 - 1
    assert get(place, "tiny/1.2.0/model/wrong.bin") == b"right"


@pytest.mark.parametrize("gone", ["gave up", "two hours ago"])
def test_takes_over_from_a_publisher_that_is_gone(gone: str, place: Place, make: MakeValidated) -> None:
    started = 0 if gone == "gave up" else time.time() - 7200
    put(place, "tiny/1.2.0/model/of-the-other.bin", b"x")
    put(place, f"tiny/1.2.0/{CLAIM_NAME}", json.dumps({"digest": "sha256:0", "token": "t", "started": started}).encode())
    bundle = make()
    upload(bundle, place.uri)
    expected = {entry.path for entry in bundle.bundle.manifest.all_files} | {"manifest.json", "validation.json"}
    assert names(place) == {f"tiny/1.2.0/{path}" for path in expected}


def test_never_removes_a_strangers_files(place: Place, make: MakeValidated) -> None:
    put(place, "tiny/1.2.0/model/holiday.jpg", b"x")
    for _ in range(2):
        with pytest.raises(StorageError, match=r"holiday\.jpg"):
            upload(make(), place.uri)
    assert names(place) == {"tiny/1.2.0/model/holiday.jpg"}


def test_unreadable_claim_is_taken_over(place: Place, make: MakeValidated) -> None:
    put(place, f"tiny/1.2.0/{CLAIM_NAME}", b"[[[")
    assert upload(make(), place.uri).uploaded


def test_large_files_travel_in_parts(way: Place, make: MakeValidated, noise: bytes, tmp_path: Path) -> None:
    bundle = make(files={"large.bin": noise, "exact.bin": noise[:PART], "above.bin": noise[1 : PART + 2]})
    done = upload(bundle, way.uri)
    fetch_bundle(done.uri, tmp_path / "fetched").verify()
    # A leftover of several parts is known again by its checksum.
    storage, prefix = open_storage(way.uri)
    storage.delete(f"{prefix}tiny/1.2.0/manifest.json")
    assert upload(bundle, way.uri).uploaded == 1


def test_fetch_finds_what_was_altered_in_the_store(place: Place, make: MakeValidated, tmp_path: Path) -> None:
    done = upload(make(), place.uri)
    put(place, "tiny/1.2.0/model/factor.json", b"9")
    with pytest.raises(ChecksumError, match=r"factor\.json"):
        fetch_bundle(done.uri, tmp_path / "fetched")
    put(place, "tiny/1.2.0/model/factor.json", b"3 and a long tail")
    with pytest.raises(ChecksumError, match=r"factor\.json"):
        fetch_bundle(done.uri, tmp_path / "fetched")
    storage, prefix = open_storage(place.uri)
    storage.delete(f"{prefix}tiny/1.2.0/model/factor.json")
    with pytest.raises(StorageError, match="missing"):
        fetch_bundle(done.uri, tmp_path / "fetched")
    with pytest.raises(BundleError):
        Bundle.open(tmp_path / "fetched")


def test_fetch_refuses_an_altered_manifest_or_record(place: Place, make: MakeValidated, tmp_path: Path) -> None:
    done = upload(make(), place.uri)
    put(place, "tiny/1.2.0/validation.json", b'{"digest": 3}')
    with pytest.raises(BundleError, match="validation record"):
        read_published(done.uri)
    put(place, "tiny/1.2.0/validation.json", json.dumps(make(factor="8").report.to_json()).encode())
    assert read_published(done.uri).report is None
    text = get(place, "tiny/1.2.0/manifest.json")
    assert text is not None
    put(place, "tiny/1.2.0/manifest.json", text.replace(b"predictor.Scale", b"predictor.Other"))
    with pytest.raises(BundleError, match="altered"):
        fetch_bundle(done.uri, tmp_path / "fetched")
    with pytest.raises(BundleError, match="altered"):
        upload(make(), place.uri)


def test_nothing_published_names_the_versions_below(place: Place, make: MakeValidated) -> None:
    upload(make(), place.uri)
    with pytest.raises(StorageError, match="Nothing is published") as caught:
        read_published(f"{place.uri}/tiny")
    assert f"{place.uri}/tiny/1.2.0" in caught.value.remedy
    with pytest.raises(StorageError, match="Nothing is published"):
        read_published(f"{place.uri}/tiny/9.9")
