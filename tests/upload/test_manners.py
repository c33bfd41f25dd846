"""How uploads treat servers: what is tried again and when, and what is not."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise

import pytest
from support.buckets import Place
from support.faults import ALWAYS, Rule, answer, cut, drop, fault_proxy, lose_answer, stall
from support.uploads import PART, published
from upload.conftest import MakeValidated

from cpr.bundle import ValidatedBundle
from cpr.errors import StorageError
from cpr.steps.upload import upload
from cpr.storage import open_storage
from cpr.storage.claim import CLAIM_NAME
from cpr.storage.wire import BrokenWire, Wire

CLAIM, FILE, MANIFEST = (
    {"method": "PUT|POST", "path": name} for name in (r"uploading\.json", r"model(/|%2F)factor\.json", r"manifest\.json")
)
BEGIN, COMPLETE, LIST = (
    {"method": "POST", "path": r"\?uploads|uploadType=resumable&fields"},
    {"method": "POST", "path": r"\?uploadId="},
    {"method": "GET", "path": "delimiter="},
)
PARTS = {"method": "PUT", "path": "partNumber=|upload_id="}
EACH = (CLAIM, FILE, MANIFEST, BEGIN, COMPLETE, LIST, PARTS)


@pytest.fixture
def bundle(make: MakeValidated, noise: bytes) -> ValidatedBundle:
    return make(files={"large.bin": noise[: PART + 5]})


def over_the_wire(way: Place) -> None:
    if way.kind == "folder":
        pytest.skip("there is no server")


@pytest.mark.parametrize("fault", [drop, lambda **which: cut(100, **which), lose_answer], ids=["dropped", "cut", "answer lost"])
def test_a_broken_connection_on_each_kind_of_request(fault: type[Rule], way: Place, bundle: ValidatedBundle) -> None:
    over_the_wire(way)
    with fault_proxy(way.port, *(fault(**which) for which in EACH)) as proxy:
        done = upload(bundle, way.uri, endpoint=proxy.endpoint)
    absent = [COMPLETE] if way.kind == "session" else []
    assert [which for which, hits in zip(EACH, proxy.hits, strict=True) if hits != 1] == absent
    assert done.uploaded > 0
    assert published(way.uri) == bundle.bundle.manifest
    storage, prefix = open_storage(way.uri)
    assert not [name for name in storage.list(prefix) if name.endswith(CLAIM_NAME)]


def test_answers_of_busy_servers_on_each_kind_of_request(way: Place, bundle: ValidatedBundle) -> None:
    over_the_wire(way)
    statuses = (408, 429, 500, 502, 503, 504, 503)
    with fault_proxy(way.port, *(answer(status, **which) for status, which in zip(statuses, EACH, strict=True))) as proxy:
        upload(bundle, way.uri, endpoint=proxy.endpoint)
    assert sum(proxy.hits) == len(EACH) - (way.kind == "session")
    assert published(way.uri) == bundle.bundle.manifest


@pytest.mark.parametrize("status", [429, 503])
def test_waits_as_long_as_it_is_asked_to(status: int, gs_place: Place, make: MakeValidated) -> None:
    with fault_proxy(gs_place.port, answer(status, retry_after=1, **CLAIM)) as proxy:
        upload(make(), gs_place.uri, endpoint=proxy.endpoint)
    times = [attempt.at for attempt in proxy.matching(**CLAIM)]
    assert len(times) == 2
    assert all(after - before >= 1 for before, after in pairwise(times))


@pytest.mark.parametrize("status", [400, 403, 404, 412])
def test_what_would_not_help_is_not_tried_again(status: int, way: Place, bundle: ValidatedBundle) -> None:
    over_the_wire(way)
    rules = [answer(status, **which, times=ALWAYS) for which in (LIST, {"method": "PUT", "path": "partNumber=2"})]
    for rule in rules:
        if rule.path == "partNumber=2" and (way.kind == "session" or status == 404):
            continue  # one by one in a session; 404: the server has forgotten the upload, which is begun anew
        with fault_proxy(way.port, rule) as proxy, pytest.raises(StorageError):
            upload(bundle, way.uri, endpoint=proxy.endpoint)
        assert proxy.hits == [1]
        assert published(way.uri) is None


def test_a_server_that_forgets_every_upload(way: Place, bundle: ValidatedBundle) -> None:
    over_the_wire(way)
    with fault_proxy(way.port, answer(404, **PARTS, times=ALWAYS)) as proxy:
        with pytest.raises(StorageError, match="forgot it each time"):
            upload(bundle, way.uri, endpoint=proxy.endpoint)
        assert len(proxy.matching(**BEGIN)) <= 6
    assert upload(bundle, way.uri).uploaded


def test_a_server_that_stays_busy(way: Place, bundle: ValidatedBundle) -> None:
    over_the_wire(way)
    with (
        fault_proxy(way.port, answer(503, **PARTS, times=ALWAYS)) as proxy,
        pytest.raises(StorageError, match="answered with an error: 503"),
    ):
        upload(bundle, way.uri, endpoint=proxy.endpoint)


def test_a_lost_answer_to_the_manifest_is_a_success(place: Place, make: MakeValidated) -> None:
    if not place.port:
        pytest.skip("there is no server")
    bundle = make()
    with fault_proxy(place.port, lose_answer(**MANIFEST)) as proxy:
        done = upload(bundle, place.uri, endpoint=proxy.endpoint)
    assert proxy.hits == [1]
    assert (done.uploaded, done.skipped) == (len(bundle.bundle.manifest.all_files) + 2, 0)
    assert published(place.uri) == bundle.bundle.manifest


def test_a_stall_ends(way: Place, bundle: ValidatedBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    over_the_wire(way)
    monkeypatch.setattr(Wire, "silence_seconds", 0.3)
    with fault_proxy(way.port, stall(30, **PARTS), stall(30, **FILE)) as proxy:
        upload(bundle, way.uri, endpoint=proxy.endpoint)
    assert proxy.hits == [1, 1]
    assert published(way.uri) == bundle.bundle.manifest


def test_a_server_that_never_answers_is_given_up(
    gs_place: Place, make: MakeValidated, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "silence_seconds", 0.2)
    with fault_proxy(gs_place.port, stall(60, times=ALWAYS)) as proxy, pytest.raises(StorageError, match="no answer in time"):
        upload(make(), gs_place.uri, endpoint=proxy.endpoint)
    assert 2 <= len(proxy.attempts) <= 4


def test_a_slow_line_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body takes several times as long as a server may be silent."""
    monkeypatch.setattr(Wire, "silence_seconds", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        thread = threading.Thread(target=taking_slowly, args=(listener, 12 << 20, 0.025))
        thread.start()
        wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert wire.exchange("PUT", "/x", {}, bytes(12 << 20)).status == 200
        thread.join()


_BUFFERED = 5 << 20
"""More than this machine takes from a client before anybody has read it."""


def taking_slowly(listener: socket.socket, size: int, pause: float, until: threading.Event | None = None) -> None:
    client, _ = listener.accept()
    with client:
        received = 0
        while received < size:
            if size - received > _BUFFERED:
                time.sleep(pause)
            block = client.recv(1 << 18, socket.MSG_WAITALL if size - received >= 1 << 18 else 0)
            if not block:
                return
            received += len(block)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        if until:
            until.wait(10)


def test_silence_on_a_kept_connection_is_no_reason_to_ask_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a server that hangs is waited for once for each connection that was kept."""
    monkeypatch.setattr(Wire, "silence_seconds", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=taking_slowly, args=(listener, 1, 0.0, wire.stopped))
        thread.start()
        assert wire.exchange("PUT", "/x", {}, b"1").status == 200
        with pytest.raises(BrokenWire, match="no answer in time") as caught:
            wire.exchange("GET", "/", {})
        assert not caught.value.kept
        wire.stopped.set()
        thread.join()
