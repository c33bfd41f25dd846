"""The test server of Google Cloud Storage, asked by Google's own client and, for what that never asks, by plain requests."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.api_core import exceptions as api
from google.cloud import storage
from support.buckets import gs_server
from support.faults import fault_proxy
from support.gs_asking import Session, ask, bucket_on, crc32c, put

CONTENT = os.urandom((3 << 20) + 12_345)


@pytest.fixture
def bucket(gs_port: int) -> Iterator[storage.Bucket]:
    with bucket_on(gs_port) as bucket:
        yield bucket


@pytest.mark.parametrize("name", ["a", "a/b", "a//b", "../a", "ä ö/%2F?#&+", "a/acl"])
def test_content_and_metadata_come_back(name: str, bucket: storage.Bucket) -> None:
    put(bucket, "a/b c", b"another")
    sent = bucket.blob(name)
    sent.metadata = {"key": "value"}
    sent.upload_from_string(CONTENT[:1000], content_type="x/y")
    found = bucket.get_blob(name)
    assert (found.size, found.crc32c, found.content_type) == (1000, crc32c(CONTENT[:1000]), "x/y")
    assert (found.metadata, found.metageneration) == ({"key": "value"}, 1)
    assert found.generation == sent.generation
    assert found.download_as_bytes(checksum="md5") == CONTENT[:1000]
    assert put(bucket, name, b"").generation > sent.generation
    assert bucket.get_blob(name).download_as_bytes() == b""


def test_a_wrong_checksum_is_refused(bucket: storage.Bucket, gs_port: int) -> None:
    blob = bucket.blob("a")
    blob.crc32c = crc32c(b"something else")
    with pytest.raises(api.BadRequest, match="CRC32C"):
        blob.upload_from_string(b"content", checksum=None)
    place = f"/upload/storage/v1/b/{bucket.name}/o?name=a&uploadType="
    for claim in (f"crc32c={crc32c(b'else')}", f"md5=AAAA,crc32c={crc32c(b'content')}"):
        assert ask(gs_port, "POST", place + "media", b"content", x_goog_hash=claim).status == 400
        session = ask(gs_port, "POST", place + "resumable").headers["Location"]
        last = urlsplit(session)
        assert ask(gs_port, "PUT", f"{last.path}?{last.query}", b"content", x_goog_hash=claim).status == 400
        assert b"<Code>" in ask(gs_port, "PUT", f"/{bucket.name}/a", b"content", x_goog_hash=claim).body
    assert bucket.get_blob("a") is None
    assert ask(gs_port, "POST", place + "media", b"content", x_goog_hash=f"crc32c={crc32c(b'content')}").status == 200


@pytest.mark.parametrize(("quote", "newline"), [("", "\r\n"), ("'", "\n"), ('"', "\r\n")])
@pytest.mark.parametrize("path", ["/upload/storage/v1/b/{}/o", "/resumable/upload/storage/v1/b/{}/o", "/upload/b/{}/o"])
def test_ways_to_write_a_body_of_two_parts(quote: str, newline: str, path: str, bucket: storage.Bucket, gs_port: int) -> None:
    """The second is gcloud's."""
    content = b"--==7==\r\n\r\n--==7" + CONTENT[:1000] + b"\n\r\n"
    first = ["--==7==", "Content-Type: application/json", "", '{"name": "a"}']
    head = [*first, "--==7==", "content-type: x/y", "MIME-Version: 1.0", ""]
    body = "\n".join([*head, ""]).replace("\n", newline).encode() + content + f"{newline}--==7==--".encode()
    kind = f"multipart/related; boundary={quote}==7=={quote}"
    assert ask(gs_port, "POST", path.format(bucket.name) + "?uploadType=multipart", body, content_type=kind).status == 200
    blob = bucket.get_blob("a")
    assert (blob.download_as_bytes(), blob.content_type) == (content, "x/y")


def test_sixteen_creators_have_one_winner(bucket: storage.Bucket) -> None:
    def create(number: int) -> bool:
        try:
            put(bucket, "a", b"%d" % number, if_generation_match=0)
        except api.PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(create, range(16)))
    assert sum(won) == 1
    assert bucket.blob("a").download_as_bytes() == b"%d" % won.index(True)


def test_preconditions(bucket: storage.Bucket) -> None:
    late = Session(bucket, "a", if_generation_match=0)
    blob = put(bucket, "a", b"1")
    live = blob.generation
    for refused in (
        lambda: put(bucket, "a", b"2", if_generation_match=live + 1),
        lambda: put(bucket, "b", b"2", if_generation_match=live),
        lambda: Session(bucket, "a", if_generation_match=0),
        lambda: bucket.copy_blob(blob, bucket, "a", if_generation_match=0),
        lambda: bucket.blob("a").rewrite(blob, if_generation_match=0),
        lambda: bucket.blob("b").rewrite(blob, if_source_generation_match=live + 1),
        lambda: blob.delete(if_generation_match=live + 1),
        lambda: blob.download_as_bytes(if_generation_match=live + 1),
    ):
        with pytest.raises(api.PreconditionFailed):
            refused()
    assert late.ask("PUT", "bytes 0-0/1", b"x").status == 412
    with pytest.raises(api.NotModified):
        blob.download_as_bytes(if_generation_not_match=live)
    with pytest.raises(api.NotModified):
        put(bucket, "a", b"2", if_generation_not_match=live)
    with pytest.raises(api.NotModified):
        put(bucket, "b", b"2", if_generation_not_match=0)
    assert [found.name for found in bucket.list_blobs()] == ["a"]
    assert put(bucket, "a", b"2", if_generation_match=live).generation > live
    with pytest.raises(api.NotFound):
        storage.Blob("a", bucket, generation=live).download_as_bytes()
    bucket.blob("a").delete()
    with pytest.raises(api.NotFound):
        bucket.blob("a").delete()


def test_copies(bucket: storage.Bucket) -> None:
    source = bucket.blob("a/b")
    source.metadata = {"key": "value"}
    source.upload_from_string(CONTENT, content_type="x/y")
    rewritten = bucket.blob("e")
    assert rewritten.rewrite(source) == (None, len(CONTENT), len(CONTENT))
    for target in (bucket.copy_blob(source, bucket, "c/d", if_generation_match=0), rewritten):
        target.reload()
        assert (target.crc32c, target.content_type, target.metadata) == (crc32c(CONTENT), "x/y", {"key": "value"})
        assert target.download_as_bytes() == CONTENT


@pytest.mark.parametrize(("first", "last"), [(0, 0), (5, 99), (100, None), (0, None), (len(CONTENT) - 1, None), (10, 1 << 40)])
def test_ranges(first: int, last: int | None, bucket: storage.Bucket) -> None:
    blob = put(bucket, "a", CONTENT)
    assert blob.download_as_bytes(start=first, end=last) == CONTENT[first : None if last is None else last + 1]


def test_more_about_ranges(bucket: storage.Bucket, gs_port: int) -> None:
    put(bucket, "a b", b"0123456789")
    for path in (f"/{bucket.name}/a%20b", f"/storage/v1/b/{bucket.name}/o/a%20b?alt=media"):
        answer = ask(gs_port, "GET", path, range="bytes=2-4")
        assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
        assert ask(gs_port, "GET", path, range="bytes=8-99").headers["Content-Range"] == "bytes 8-9/10"
        assert ask(gs_port, "GET", path, range="bytes=-3").body == b"789"
        assert ask(gs_port, "GET", path, range="bytes=10-").status == 416
        assert ask(gs_port, "GET", path, range="lines=1-2").status == 200


def test_listings_have_pages(bucket: storage.Bucket) -> None:
    names = sorted(f"{folder}/{number}" for folder in ("a", "b", "c/d") for number in range(6))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: put(bucket, name, b""), [*names, "z", "y"]))
    found = bucket.list_blobs()
    assert [[blob.name for blob in page] for page in found.pages] == [names[:7], names[7:14], [*names[14:], "y", "z"]]
    assert [blob.name for blob in bucket.list_blobs(max_results=5, page_size=2)] == names[:5]
    assert [blob.name for blob in bucket.list_blobs(prefix="b/", start_offset="b/2", end_offset="b/5")] == ["b/2", "b/3", "b/4"]
    level = bucket.list_blobs(delimiter="/", page_size=2)
    assert [blob.name for blob in level] == ["y", "z"]
    assert level.prefixes == {"a/", "b/", "c/"}
    assert (level.page_number, list(bucket.list_blobs(prefix="none"))) == (3, [])


def test_objects_over_xml(bucket: storage.Bucket, gs_port: int) -> None:
    path = f"/{bucket.name}/a/b"
    made = ask(gs_port, "PUT", path, b"content", x_goog_if_generation_match="0", content_type="x/y", x_goog_meta_key="value")
    assert made.status == 200
    assert made.headers["x-goog-hash"].startswith(f"crc32c={crc32c(b'content')}")
    blob = bucket.get_blob("a/b")
    assert (str(blob.generation), blob.metadata) == (made.headers["x-goog-generation"], {"key": "value"})
    refused = ask(gs_port, "PUT", path, b"other", x_goog_if_generation_match="0")
    assert (refused.status, refused.xml("Code")) == (412, ["PreconditionFailed"])
    head, got = ask(gs_port, "HEAD", path), ask(gs_port, "GET", path)
    assert (head.headers["Content-Length"], head.body, got.body) == ("7", b"", b"content")
    assert head.headers["x-goog-generation"] == got.headers["x-goog-generation"] == made.headers["x-goog-generation"]
    assert ask(gs_port, "DELETE", path, x_goog_if_generation_match="1").status == 412
    assert [ask(gs_port, "DELETE", path).status for _ in range(2)] == [204, 404]
    assert ask(gs_port, "GET", path).xml("Code") == ["NoSuchKey"]
    assert ask(gs_port, "PUT", "/no-such-bucket/a", b"").xml("Code") == ["NoSuchBucket"]


def test_slow_senders_stop_nobody(bucket: storage.Bucket, gs_port: int) -> None:
    """More of them than there are threads in any pool, each in the middle of a body."""
    place = f"POST /upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=slow HTTP/1.1\r\nHost: x\r\n"
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", gs_port))) for _ in range(40)]
        for one in slow:
            one.sendall(f"{place}Content-Length: 10\r\n\r\n12345".encode())
        assert put(bucket, "a", CONTENT).download_as_bytes() == CONTENT
        slow[0].sendall(b"67890")
        assert slow[0].recv(12) == b"HTTP/1.1 200"
        assert bucket.get_blob("slow").size == 10


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("body", ["Content-Length: 10\r\n\r\n12345", "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"])
def test_half_a_body_makes_no_object(body: str, proxied: bool, bucket: storage.Bucket, gs_port: int) -> None:
    with fault_proxy(gs_port) as proxy:
        port = proxy.port if proxied else gs_port
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"PUT /{bucket.name}/a HTTP/1.1\r\nHost: x\r\n{body}".encode())
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    assert bucket.get_blob("a") is None


def test_switches_and_the_log() -> None:
    with gs_server("--no-parts") as port, bucket_on(port) as bucket:
        assert (refused := ask(port, "POST", f"/{bucket.name}/a?uploads")).status == 501
        assert refused.xml("Code") == ["NotImplemented"]
        assert ask(port, "DELETE", "/__requests__").status == 204
        put(bucket, "a", b"content", if_generation_match=0)
        session = Session(bucket, "b")
        session.break_off(100, b"12345")
        deadline = time.monotonic() + 30
        log: list[dict[str, Any]] = []
        while not any(one["bytes_received"] == 5 for one in log):
            assert time.monotonic() < deadline
            log = ask(port, "GET", "/__requests__").json
        # Google's client asks for the bucket, at a time of its own.
        log = [one for one in log if one["method"] != "GET"]
        assert [(one["method"], one["status"]) for one in log] == [("POST", 200), ("POST", 200), ("PUT", None)]
        assert "ifGenerationMatch=0" in log[0]["path"]
        assert log[0]["bytes_received"] > len(b"content")
        ask(port, "DELETE", "/__uploads__")
        assert session.ask("PUT", "bytes */*").status == 404
