"""The proxy that harms requests, between plain clients and the test server of Google Cloud Storage."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from google.cloud import storage
from support.buckets import free_port
from support.faults import (
    ALWAYS,
    FaultProxy,
    answer,
    corrupt_answer,
    corrupt_request,
    cut,
    delay,
    drop,
    fault_proxy,
    lose_answer,
    stall,
    truncate,
)
from support.gs_asking import Answer, Session, ask, bucket_on, put

CONTENT = bytes(range(256)) * 4000
LOST = (http.client.HTTPException, OSError)


@pytest.fixture
def bucket(gs_port: int) -> Iterator[storage.Bucket]:
    with bucket_on(gs_port) as bucket:
        yield bucket


def content(bucket: storage.Bucket, name: str = "a") -> bytes | None:
    found = bucket.get_blob(name)
    return None if found is None else found.download_as_bytes()


def send(proxy: FaultProxy, bucket: storage.Bucket, name: str = "a", body: bytes = CONTENT) -> Answer:
    return ask(proxy.port, "PUT", f"/{bucket.name}/{name}", body)


def test_nothing_is_changed_without_a_rule(bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port) as proxy, bucket_on(proxy.port) as through:
        assert put(through, "a", CONTENT).download_as_bytes() == CONTENT
        session = Session(through, "b", size=len(CONTENT))
        assert f":{proxy.port}/" in session.url
        assert session.ask("PUT", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}", CONTENT).status == 200
        assert [blob.name for blob in through.list_blobs()] == ["a", "b"]
        through.blob("a").delete()
        assert through.get_blob("a") is None
        assert ask(proxy.port, "HEAD", f"/{through.name}/b").headers["Content-Length"] == str(len(CONTENT))


def test_one_connection_serves_many_requests_and_bodies_in_chunks(bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port, corrupt_request(at=0, first=2)) as proxy, connected(proxy) as connection:
        for expected in (b"abcd", b"`bcd"):
            connection.request("PUT", f"/{bucket.name}/a", iter([b"ab", b"cd"]), encode_chunked=True)
            assert connection.getresponse().read() == b""
            assert content(bucket) == expected
        connection.request("GET", f"/{bucket.name}/a", headers={"Expect": "100-continue"})
        assert connection.getresponse().read() == b"`bcd"
    assert [one.sent for one in proxy.attempts] == [4, 4, 0]


@contextmanager
def connected(proxy: FaultProxy) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def test_drop(bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port, drop(method="PUT", path="/a$", first=2, times=2)) as proxy:
        assert send(proxy, bucket, body=b"1").status == 200
        for _ in range(2):
            with pytest.raises(LOST):
                send(proxy, bucket, body=b"2")
        assert send(proxy, bucket, "b").status == 200
        assert (content(bucket), proxy.hits, proxy.sent(path="/a$")) == (b"1", [2], 1)
        assert send(proxy, bucket, body=b"3").status == 200
        assert [one.faults for one in proxy.matching(path="/a")] == [(), ("drop",), ("drop",), ()]


def test_cut(bucket: storage.Bucket, gs_port: int) -> None:
    """As much as was let through is there."""
    total, kept = len(CONTENT), 2 * (256 << 10)
    with fault_proxy(gs_port, cut(kept + 5, method="PUT")) as proxy, bucket_on(proxy.port) as through:
        session = Session(through, "a", size=total)
        with pytest.raises(LOST):
            session.ask("PUT", f"bytes 0-{total - 1}/{total}", CONTENT)
        assert proxy.sent("PUT") == kept + 5
        deadline = time.monotonic() + 30
        while session.kept() < kept and time.monotonic() < deadline:
            time.sleep(0.005)
        assert session.kept() == kept
        assert session.ask("PUT", f"bytes {kept}-{total - 1}/{total}", CONTENT[kept:]).status == 200
        assert proxy.sent("PUT") == total + 5
        assert content(through) == CONTENT


def test_lose_answer(bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port, lose_answer()) as proxy:
        with pytest.raises(LOST):
            send(proxy, bucket)
        assert content(bucket) == CONTENT
        assert [(one.status, one.sent) for one in proxy.attempts] == [(200, len(CONTENT))]


def test_stall_holds_one_request_and_no_other(bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port, stall(600, path="/slow"), stall(0.01, path="/b")) as proxy:
        with pytest.raises(TimeoutError), connected(proxy) as connection:
            connection.timeout = 0.2
            connection.request("PUT", f"/{bucket.name}/slow", CONTENT)
            connection.getresponse()
        assert (send(proxy, bucket, "a").status, send(proxy, bucket, "b").status) == (200, 200)
        assert [content(bucket, name) for name in ("a", "b", "slow")] == [CONTENT, CONTENT, None]
        assert proxy.sent(path="/slow") == len(CONTENT) // 2


@pytest.mark.parametrize("at", [None, 0, len(CONTENT) - 1])
def test_corrupt_request(at: int | None, bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port, corrupt_request(at)) as proxy:
        assert send(proxy, bucket).status == 200
    assert differing(content(bucket) or b"") == [len(CONTENT) // 2 if at is None else at]


def differing(found: bytes) -> list[int]:
    return [number for number, (one, other) in enumerate(zip(found, CONTENT, strict=True)) if one != other]


def test_harmed_answers(bucket: storage.Bucket, gs_port: int) -> None:
    put(bucket, "a", CONTENT)
    with fault_proxy(gs_port, corrupt_answer(at=5), truncate(1000), truncate(0)) as proxy:
        assert differing(ask(proxy.port, "GET", f"/{bucket.name}/a").body) == [5]
        for length in (1000, 0):
            with pytest.raises(http.client.IncompleteRead) as caught:
                ask(proxy.port, "GET", f"/{bucket.name}/a")
            assert caught.value.partial == CONTENT[:length]
        assert ask(proxy.port, "GET", f"/{bucket.name}/a").body == CONTENT
        assert proxy.hits == [1, 1, 1]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_answers_in_the_servers_place(status: int, bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port, answer(status, retry_after=7, method="PUT|POST", times=2)) as proxy:
        with connected(proxy) as connection:
            for expected in (status, status, 200):
                connection.request("PUT", f"/{bucket.name}/a", CONTENT)
                got = connection.getresponse()
                got.read()
                assert got.status == expected
                assert got.headers["Retry-After"] == (None if expected == 200 else "7")
        times = [one.at for one in proxy.matching("PUT")]
        assert times == sorted(times)
        assert proxy.sent() == len(CONTENT)
        assert content(bucket) == CONTENT


def test_delay_comes_on_top(bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port, delay(0.01), answer(500), drop(times=ALWAYS, path="/b")) as proxy:
        begun = time.monotonic()
        assert send(proxy, bucket).status == 500
        assert send(proxy, bucket).status == 200
        assert time.monotonic() - begun >= 0.02
        with pytest.raises(LOST):
            send(proxy, bucket, "b")
        assert proxy.hits == [3, 1, 1]


def test_chance_repeats_itself(bucket: storage.Bucket, gs_port: int) -> None:
    def drawn(seed: int) -> list[int | None]:
        with fault_proxy(gs_port, answer(503, probability=0.5, seed=seed)) as proxy:
            for _ in range(30):
                ask(proxy.port, "GET", f"/{bucket.name}/a")
            return [one.status for one in proxy.attempts]

    first = drawn(1)
    assert set(first) == {503, 404}
    assert drawn(1) == first != drawn(2)


def test_many_at_once(bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port, answer(503, times=5)) as proxy, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: send(proxy, bucket, str(number)).status, range(32)))
        assert (found.count(503), found.count(200)) == (5, 27)
        assert proxy.sent() == 27 * len(CONTENT)


def test_a_server_that_is_not_there(bucket: storage.Bucket) -> None:
    with fault_proxy(free_port()) as proxy, pytest.raises(LOST):
        send(proxy, bucket)


def test_closing_ends_what_is_open(bucket: storage.Bucket, gs_port: int) -> None:
    before = set(threading.enumerate())
    with fault_proxy(gs_port, stall(600, path="/a")) as proxy, connected(proxy) as connection:
        connection.request("PUT", f"/{bucket.name}/a", CONTENT)
        while not proxy.sent():
            time.sleep(0.005)
        assert re.search("/a", proxy.attempts[0].path)
    assert set(threading.enumerate()) <= before
