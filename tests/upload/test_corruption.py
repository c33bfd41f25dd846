"""A byte that changes on the way, or in the store, is found before anything is published."""

from __future__ import annotations

import random

import pytest
from support.buckets import Place
from support.faults import ALWAYS, FaultProxy, corrupt_request, fault_proxy
from support.uploads import PART, published
from upload.conftest import MakeValidated

from cpr.bundle import ValidatedBundle
from cpr.errors import ChecksumError, CprError
from cpr.steps.upload import upload
from cpr.storage import fingerprint, open_storage

LENGTHS = (40, 200, 900, 20_000, PART)
"""Of a request's body, up to which a byte is flipped: in what wraps the content, in small files, in parts."""


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes_are_found(seed: int, way: Place, make: MakeValidated, noise: bytes) -> None:
    if way.kind == "folder":
        pytest.skip("nothing is on the way to a folder")
    draw = random.Random(f"{seed} {way.kind}")
    bundle = make(files={"large.bin": noise[: 2 * PART + 5], **{f"{number}.bin": noise[number:20_000] for number in range(4)}})
    rules = [
        corrupt_request(draw.randrange(draw.choice(LENGTHS)), method="PUT|POST", first=draw.randrange(1, 12)) for _ in range(3)
    ]
    with fault_proxy(way.port, *rules) as proxy:
        try:
            upload(bundle, way.uri, endpoint=proxy.endpoint)
        except CprError:
            assert published(way.uri) is None
            proxy.relent()
            upload(bundle, way.uri, endpoint=proxy.endpoint)
        assert sum(proxy.hits) > 0
    assert published(way.uri) == bundle.bundle.manifest


@pytest.mark.parametrize("what", ["uploading", "manifest"])
@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_flipped_bytes_in_what_publishes(kind: str, what: str, make: MakeValidated, request: pytest.FixtureRequest) -> None:
    """Here and there a byte of what is sent with the claim or the manifest, its name and checksums among them."""
    place: Place = request.getfixturevalue(f"{kind}_place")
    bundle = make()
    for number, at in enumerate(range(3, 420, 60)):
        uri = f"{place.uri}/{number}"
        with fault_proxy(place.port, corrupt_request(at, method="PUT|POST", path=f"{what}.json")) as proxy:
            assert spoilt_or_whole(proxy, bundle, uri)


def spoilt_or_whole(proxy: FaultProxy, bundle: ValidatedBundle, uri: str) -> bool:
    try:
        upload(bundle, uri, endpoint=proxy.endpoint)
    except CprError:
        return published(uri) is None
    return published(uri) == bundle.bundle.manifest


def test_what_is_damaged_every_time_is_given_up(way: Place, make: MakeValidated, noise: bytes) -> None:
    if way.kind == "folder":
        pytest.skip("nothing is on the way to a folder")
    bundle = make(files={"large.bin": noise[: PART + 5]})
    parts = corrupt_request(method="PUT", path="partNumber=|upload_id=", times=ALWAYS)
    with fault_proxy(way.port, parts) as proxy, pytest.raises(ChecksumError, match=r"large\.bin"):
        upload(bundle, way.uri, endpoint=proxy.endpoint)
    assert published(way.uri) is None
    assert upload(bundle, way.uri).uploaded


@pytest.mark.parametrize("times", [1, 10])
def test_verify_finds_what_the_store_reports_wrongly(times: int, place: Place, make: MakeValidated) -> None:
    bundle = make(files={"weights.bin": b"w" * 5000})
    storage, prefix = open_storage(place.uri)
    left = times

    def alter(name: str, count: int) -> None:
        nonlocal left
        if name == "model/weights.bin" and left:
            left -= 1
            storage.write(f"{prefix}tiny/1.2.0/{name}", b"v" * 5000, fingerprint(b"v" * 5000, storage.hasher()))

    if times == 1:
        upload(bundle, place.uri, verify=True, progress=alter)
        assert published(place.uri) == bundle.bundle.manifest
    else:
        with pytest.raises(ChecksumError, match=r"read back.* model/weights\.bin"):
            upload(bundle, place.uri, verify=True, progress=alter)
        assert published(place.uri) is None
    assert left == (0 if times == 1 else 8)
