"""Uploads of several requests to the test server: by Google's own client, and by plain requests where that hides them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.resumable_media.requests import ResumableUpload
from support.gs_asking import Parts, Session, ask, bucket_on, crc32c

MIB = 1 << 20
QUANTUM = MIB // 4
CONTENT = os.urandom(3 * MIB + 12_345)


@pytest.fixture
def bucket(gs_port: int) -> Iterator[storage.Bucket]:
    with bucket_on(gs_port) as bucket:
        yield bucket


def test_a_session_goes_on_where_it_ended(bucket: storage.Bucket) -> None:
    total = len(CONTENT)
    session = Session(bucket, "a", size=total)
    assert session.kept() == 0
    first = session.ask("PUT", f"bytes 0-{MIB - 1}/{total}", CONTENT[:MIB])
    assert (first.status, first.headers["Range"]) == (308, f"bytes=0-{MIB - 1}")
    assert session.kept() == MIB
    beyond = session.ask("PUT", f"bytes {2 * MIB}-{total - 1}/{total}", CONTENT[2 * MIB :])
    assert (beyond.status, session.kept()) == (503, MIB)
    assert session.ask("PUT", f"bytes {MIB}-{total}/{total + 1}", b"x" * (total + 1 - MIB)).status == 400
    assert bucket.get_blob("a") is None
    # What was sent before, with other bytes, changes nothing.
    again = session.ask("PUT", f"bytes {MIB // 2}-{2 * MIB - 1}/{total}", b"x" * (MIB // 2) + CONTENT[MIB : 2 * MIB])
    assert again.headers["Range"] == f"bytes=0-{2 * MIB - 1}"
    last = session.ask(
        "PUT", f"bytes {2 * MIB}-{total - 1}/{total}", CONTENT[2 * MIB :], x_goog_hash=f"crc32c={crc32c(CONTENT)}"
    )
    assert (last.status, last.json["size"], last.json["crc32c"]) == (200, str(total), crc32c(CONTENT))
    assert session.ask("PUT", f"bytes */{total}").json == last.json
    assert bucket.blob("a").download_as_bytes() == CONTENT


def test_a_broken_request_leaves_what_came_of_it(bucket: storage.Bucket, tmp_path: Path) -> None:
    session = Session(bucket, "a", size=len(CONTENT))
    session.break_off(len(CONTENT), CONTENT[: 5 * QUANTUM + 77])
    deadline = time.monotonic() + 30
    while (kept := session.kept()) < 5 * QUANTUM and time.monotonic() < deadline:
        time.sleep(0.005)
    assert kept == 5 * QUANTUM
    # Google's library takes it from there.
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    upload = ResumableUpload(session.url, MIB)
    transport = bucket.client._http
    with open(source, "rb") as stream:
        upload._resumable_url, upload._total_bytes, upload._content_type = session.url, len(CONTENT), "x/y"
        upload._stream, upload._invalid = stream, True
        upload.recover(transport)
        assert stream.tell() == kept
        while not upload.finished:
            upload.transmit_next_chunk(transport)
    assert bucket.blob("a").download_as_bytes() == CONTENT


def test_sizes_that_nobody_knew_before(bucket: storage.Bucket) -> None:
    empty, piecemeal = Session(bucket, "empty"), Session(bucket, "piecemeal")
    assert empty.ask("PUT", "bytes */0").status == 200
    # Of a piece that is not the last, no more than a multiple is kept.
    short = piecemeal.ask("PUT", f"bytes 0-{QUANTUM + 9}/*", CONTENT[: QUANTUM + 10])
    assert short.headers["Range"] == f"bytes=0-{QUANTUM - 1}"
    assert piecemeal.ask("PUT", f"bytes {QUANTUM + 10}-{QUANTUM + 19}/*", b"x" * 10).status == 503
    assert piecemeal.ask("PUT", f"bytes {QUANTUM}-{QUANTUM + 9}/{QUANTUM + 10}", CONTENT[QUANTUM : QUANTUM + 10]).status == 200
    assert bucket.blob("piecemeal").download_as_bytes() == CONTENT[: QUANTUM + 10]
    assert bucket.get_blob("empty").size == 0


def test_sessions_end(bucket: storage.Bucket) -> None:
    cancelled = Session(bucket, "a")
    assert cancelled.ask("DELETE", "").status == 499
    assert [cancelled.ask("PUT", about).status for about in ("bytes */*", "bytes 0-0/1")] == [410, 410]
    url = urlsplit(cancelled.url)
    unknown = ask(url.port or 80, "PUT", f"{url.path}?uploadType=resumable&upload_id=unknown", b"", content_range="bytes */*")
    assert unknown.status == 404


def test_parts_become_one_object(bucket: storage.Bucket, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT * 4)
    blob = bucket.blob("a/b c")
    blob.metadata = {"key": "value"}
    transfer_manager.upload_chunks_concurrently(
        str(source), blob, content_type="x/y", chunk_size=5 * MIB, max_workers=3, worker_type="thread", checksum="crc32c"
    )
    found = bucket.get_blob("a/b c")
    assert (found.crc32c, found.md5_hash, found.content_type) == (crc32c(CONTENT * 4), None, "x/y")
    assert found.metadata == {"key": "value"}
    assert found.download_as_bytes(checksum="crc32c") == CONTENT * 4


def test_what_uploads_in_parts_refuse(bucket: storage.Bucket, gs_port: int) -> None:
    upload = Parts(gs_port, bucket.name, "a")
    small, large = CONTENT[:9], CONTENT * 2
    sent = upload.put(1, small)
    assert sent.headers["x-goog-hash"].startswith(f"crc32c={crc32c(small)},md5=")
    etags = {1: sent.headers["ETag"], 2: upload.put(2, large).headers["ETag"], 3: upload.put(3, b"").headers["ETag"]}
    for code, refused in (
        ("EntityTooSmall", upload.complete((1, etags[1]), (2, etags[2]))),
        ("InvalidPartOrder", upload.complete((2, etags[2]), (1, etags[1]))),
        ("InvalidPart", upload.complete((2, etags[1]))),
        ("InvalidPart", upload.complete((4, etags[1]))),
        ("MalformedXML", upload.complete()),
        ("CrcMismatch", upload.put(4, small, x_goog_hash=f"crc32c={crc32c(large)}")),
        ("BadDigest", upload.put(4, small, content_md5="AAAA")),
        ("InvalidArgument", upload.put(10_001, small)),
    ):
        assert (refused.status, refused.xml("Code")) == (400, [code])
    assert upload.complete((1, etags[1]), x_goog_if_generation_match="0").status == 501
    assert bucket.get_blob("a") is None
    done = upload.complete((2, etags[2]), (3, etags[3].strip('"')))
    assert done.headers["x-goog-hash"] == f"crc32c={crc32c(large)}"
    assert str(bucket.get_blob("a").generation) == done.headers["x-goog-generation"]
    for late in (upload.complete((2, etags[2])), upload.put(1, small), upload.ask("GET"), upload.ask("DELETE")):
        assert (late.status, late.xml("Code")) == (404, ["NoSuchUpload"])


def test_unfinished_uploads_are_listed(bucket: storage.Bucket, gs_port: int) -> None:
    uploads = [Parts(gs_port, bucket.name, f"{folder}/{number}") for folder in "ab" for number in range(9)]
    first = uploads[0]
    for number in (*range(20, 30), 5):
        first.put(number, b"%d" % number)
    found, marker = [], "0"
    while marker:
        page = first.ask("GET", f"&part-number-marker={marker}&max-parts=1000")
        found += [(number, etag) for number, etag in zip(page.xml("Part/PartNumber"), page.xml("Part/ETag"), strict=True)]
        marker = (page.xml("NextPartNumberMarker") or [""])[0] or ""
        assert page.xml("IsTruncated") == [str(bool(marker)).lower()]
    assert [number for number, _ in found] == ["5", *(str(number) for number in range(20, 30))]
    assert found[0][1] == first.put(5, b"5").headers["ETag"]

    keys, markers = [], ""
    while True:
        page = ask(gs_port, "GET", f"/{bucket.name}?uploads&prefix=b/{markers}")
        keys += page.xml("Upload/UploadId")
        if page.xml("IsTruncated") == ["false"]:
            break
        markers = f"&key-marker={page.xml('NextKeyMarker')[0]}&upload-id-marker={page.xml('NextUploadIdMarker')[0]}"
    assert keys == [upload.key for upload in uploads[9:]]
    assert first.ask("DELETE").status == 204
    assert ask(gs_port, "GET", f"/{bucket.name}?uploads&prefix=a/0").xml("Upload") == []
    assert list(bucket.list_blobs()) == []
