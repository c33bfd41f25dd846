"""What is there already is not sent: not the same version, not what another version holds, not what an earlier run has sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from support.buckets import Place
from support.faults import ALWAYS, FaultProxy, answer, fault_proxy
from support.uploads import published
from upload.conftest import MakeValidated

from cpr.errors import StorageError
from cpr.manifest import FileEntry
from cpr.steps.upload import upload
from cpr.storage import fingerprint, open_storage

CHANGED = {"weights.bin": b"w" * 300_000, "table.bin": b"t" * 200_000}
PUT_OR_POST = "PUT|POST"


@pytest.fixture(params=["gs", "s3"])
def bucket(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture
def proxy(bucket: Place) -> Iterator[FaultProxy]:
    with fault_proxy(bucket.port) as proxy:
        yield proxy


def overwrite(place: Place, name: str, content: bytes) -> None:
    storage, prefix = open_storage(place.uri)
    storage.write(prefix + name, content, fingerprint(content, storage.hasher()))


def test_the_same_content_again_is_one_request(bucket: Place, proxy: FaultProxy, make: MakeValidated) -> None:
    upload(make(files=CHANGED), bucket.uri)
    again = upload(make(files=CHANGED), bucket.uri, endpoint=proxy.endpoint)
    assert [attempt.method for attempt in proxy.attempts] == ["GET"]
    assert (again.uploaded, again.bytes_sent) == (0, 0)


def test_the_next_version_sends_what_changed(bucket: Place, proxy: FaultProxy, make: MakeValidated) -> None:
    first = make("1.2.0", files=CHANGED)
    second = make("1.3.0", files=CHANGED | {"table.bin": b"T" * 200_000})
    upload(first, bucket.uri)
    done = upload(second, bucket.uri, endpoint=proxy.endpoint)
    held = {entry.sha256 for entry in first.bundle.manifest.all_files}
    fresh = [entry.size for entry in second.bundle.manifest.all_files if entry.sha256 not in held]
    assert 200_000 in fresh and 300_000 not in fresh
    assert done.copied == len(second.bundle.manifest.all_files) - len(fresh)
    assert done.uploaded == len(fresh) + 2
    # Beside the content: the claim, both records, and what wraps each request.
    assert sum(fresh) <= proxy.sent(PUT_OR_POST) < sum(fresh) + 10_000
    assert done.bytes_sent < sum(fresh) + 10_000
    assert published(f"{bucket.uri}/tiny/1.3.0") == second.bundle.manifest


def test_a_large_file_is_copied_too(way: Place, make: MakeValidated, noise: bytes) -> None:
    upload(make("1.2.0", files={"large.bin": noise}), way.uri)
    done = upload(make("1.3.0", factor="4", files={"large.bin": noise}), way.uri)
    assert done.bytes_sent < 20_000
    assert published(f"{way.uri}/tiny/1.3.0") == make("1.3.0", factor="4", files={"large.bin": noise}).bundle.manifest


def test_a_damaged_source_is_noticed(place: Place, make: MakeValidated) -> None:
    upload(make("1.2.0", files=CHANGED), place.uri)
    overwrite(place, "tiny/1.2.0/model/weights.bin", b"W" * 300_000)
    overwrite(place, "tiny/1.2.0/model/table.bin", b"t")
    done = upload(make("1.3.0", files=CHANGED), place.uri)
    assert done.bytes_sent >= 500_000
    assert done.copied >= 1
    assert published(f"{place.uri}/tiny/1.3.0") is not None


def test_a_neighbour_that_lies_does_no_harm(place: Place, make: MakeValidated) -> None:
    """Its manifest lists our content under names of other content, of nothing, and of a folder."""
    mine = make("1.3.0", files=CHANGED)
    entries = {entry.path: entry for entry in mine.bundle.manifest.files}
    weights, table = entries["model/weights.bin"], entries["model/table.bin"]
    false = (
        FileEntry("model/factor.json", weights.size, weights.sha256),
        FileEntry("model/gone.bin", table.size, table.sha256),
        FileEntry("model", entries["model/factor.json"].size, entries["model/factor.json"].sha256),
    )
    theirs = make("1.2.0")
    upload(theirs, place.uri)
    lie = dataclasses.replace(theirs.bundle.manifest, files=false)
    overwrite(place, "tiny/1.2.0/manifest.json", lie.to_json().encode())
    overwrite(place, "tiny/1.1.0/manifest.json", b"[[[")
    overwrite(place, "tiny/not-a-version/manifest.json", b"\xff" * 100)
    assert upload(mine, place.uri).bytes_sent >= 500_000
    assert published(f"{place.uri}/tiny/1.3.0") == mine.bundle.manifest


def test_a_store_that_cannot_copy_gets_the_content(bucket: Place, make: MakeValidated) -> None:
    upload(make("1.2.0", files=CHANGED), bucket.uri)
    second = make("1.3.0", files=CHANGED)
    weights, table = (f"{'rewriteTo.*' if bucket.kind == 'gs' else '1.3.0/model/'}{name}" for name in CHANGED)
    with fault_proxy(bucket.port, answer(501, path=weights), answer(400, path=table)) as proxy:
        done = upload(second, bucket.uri, endpoint=proxy.endpoint)
    assert proxy.hits == [1, 1]
    assert done.bytes_sent > 500_000
    assert published(f"{bucket.uri}/tiny/1.3.0") == second.bundle.manifest


def test_small_files_of_an_interrupted_run_are_not_sent_again(bucket: Place, make: MakeValidated, impatient: None) -> None:
    bundle = make(files={f"{number:02}.bin": bytes([number]) * 20_000 for number in range(30)})
    size = sum(entry.size for entry in bundle.bundle.manifest.all_files)
    file = r"model(/|%2F)\d\d\.bin"
    with fault_proxy(bucket.port, answer(403, method=PUT_OR_POST, path=file, first=20, times=ALWAYS)) as proxy:
        with pytest.raises(StorageError, match="may not do this"):
            upload(bundle, bucket.uri, endpoint=proxy.endpoint)
        assert proxy.sent(PUT_OR_POST) > 300_000
        proxy.relent()
        done = upload(bundle, bucket.uri, endpoint=proxy.endpoint)
    assert done.skipped >= 18
    assert proxy.sent(PUT_OR_POST) < size + 30_000
    assert published(bucket.uri) == bundle.bundle.manifest
