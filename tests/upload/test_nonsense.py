"""Servers that answer what no store answers: an error with a remedy, never a traceback, and nothing published."""

from __future__ import annotations

import email.utils
import itertools
import time
from collections.abc import Callable, Iterator
from email.message import Message

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.buckets import s3_environment
from support.door import Answer, Call, Front, door
from upload.conftest import validated

from cpr.bundle import Bundle, ValidatedBundle
from cpr.errors import CprError
from cpr.steps.upload import upload
from cpr.storage.gs import GoogleStorage
from cpr.storage.multipart import Dialect, Multipart, parse
from cpr.storage.s3 import S3Storage
from cpr.storage.service import Patience, _retry_after
from cpr.storage.wire import Answer as WireAnswer
from cpr.storage.wire import BrokenWire, Wire

XML = "<?xml version='1.0'?>"
BODIES = [
    b"",
    b"<html><body>Sign in to the hotel's network</body></html>",
    b"{}",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe\x00",
    b'{"name": 3, "size": "many", "crc32c": "!"}',
    b'{"size": null, "crc32c": "AAAAAA=="}',
    b'{"items": 3, "prefixes": 3}',
    b'{"items": [null], "prefixes": [null], "nextPageToken": "again"}',
    b'{"items": [{"size": "1"}], "nextPageToken": ["x"]}',
    b'{"done": false}',
    b'{"done": true}',
    b'{"error": {"message": []}}',
    b"<a/>",
    f"{XML}<ListBucketResult><Contents><Key>a</Key><Size>many</Size></Contents></ListBucketResult>".encode(),
    f"{XML}<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>".encode(),
    f"{XML}<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>".encode(),
    f"{XML}<InitiateMultipartUploadResult/>".encode(),
    b"<?xml version='1.0' encoding='no-such'?><a/>",
    b"<?xml version='1.0' encoding='utf-7'?><a/>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"<Error><Code>InternalError</Code></Error>",
]
HEADERS = [
    {},
    {"ETag": '"', "x-goog-hash": "crc32c=!"},
    {"x-amz-checksum-sha256": "!", "Last-Modified": "yesterday"},
    {"x-amz-checksum-crc32": "é", "Last-Modified": "Thu, 99 Foo 99999 00:00:00"},
    {"Location": "http://["},
    {"Location": "https://elsewhere/x?upload_id=1", "Range": "bytes=0-999999999999"},
    {"Retry-After": "²"},
    {"Content-Encoding": "gzip"},
]
SOCKETS = [
    b"",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n{}",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 999 \r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n{}",
]
STATUS = st.sampled_from([200, 200, 200, 201, 204, 206, 302, 308, 404, 404, 409, 412, 418])
ANSWER = st.tuples(STATUS, st.sampled_from(HEADERS), st.sampled_from(BODIES)) | st.sampled_from(SOCKETS)
"""404 often: an upload begins where nothing is."""


class Liar:
    """Gives one answer after the other, and then the last one for ever."""

    def __init__(self) -> None:
        self.answers = itertools.cycle([b""])

    def say(self, answers: list[Answer]) -> None:
        self.answers = itertools.chain(answers, itertools.repeat(answers[-1]))

    def __call__(self, call: Call) -> Answer:
        return next(self.answers)


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Liar, Front]]:
    monkeypatch.setattr("cpr.storage.service.LOOPBACK", Patience(0.0, 0.0))
    for store in (GoogleStorage, S3Storage):
        monkeypatch.setattr(store, "part_bytes", 1 << 20)
    s3_environment(monkeypatch, 1)
    liar = Liar()
    with door(liar) as front:
        yield liar, front


@pytest.fixture(scope="session")
def large(built: Callable[..., Bundle]) -> ValidatedBundle:
    return validated(built("1.2.0", "3", (("large.bin", bytes(3 << 20)),)))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scheme=st.sampled_from(["gs", "s3"]), answers=st.lists(ANSWER, min_size=1, max_size=12))
def test_servers_that_talk_nonsense(
    scheme: str, answers: list[Answer], liar: tuple[Liar, Front], large: ValidatedBundle
) -> None:
    liar[0].say(answers)
    with pytest.raises(CprError) as caught:
        upload(large, f"{scheme}://bucket/routines", endpoint=liar[1].url)
    assert caught.value.message and caught.value.remedy


@pytest.mark.parametrize("scheme", ["gs", "s3"])
@pytest.mark.parametrize("body", [b"[" * 50_000, b"<a>" * 50_000, b'{"error": ' + b"[" * 50_000], ids=["json", "xml", "error"])
@pytest.mark.parametrize("status", [200, 400])
def test_answers_of_depth(scheme: str, body: bytes, status: int, liar: tuple[Liar, Front], large: ValidatedBundle) -> None:
    liar[0].say([(404, {}, b""), (status, {}, body)])
    with pytest.raises(CprError):
        upload(large, f"{scheme}://bucket/routines", endpoint=liar[1].url)


@given(body=st.binary() | st.sampled_from(BODIES))
@example(b"<?xml version='1.0' encoding='no-such'?><a/>")
@example(b"<?xml version='1.0' encoding='utf-7'?><a/>")
def test_what_is_no_document(body: bytes) -> None:
    try:
        parse(body)
    except ValueError:
        return
    assert body.lstrip()[:1] == b"<"


def answered(status: int, body: bytes, **headers: str) -> WireAnswer:
    message = Message()
    for key, value in headers.items():
        message[key.replace("_", "-")] = value
    return WireAnswer(status, message, body)


PARTS_LISTED = st.lists(st.tuples(st.text("0123456789-x", max_size=4), st.text("0123456789x", max_size=7)), max_size=4).map(
    lambda parts: (
        "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"
        + "".join(f"<Part><PartNumber>{one}</PartNumber><Size>{two}</Size><ETag>e</ETag></Part>" for one, two in parts)
        + "</ListPartsResult>"
    ).encode()
)


@given(
    status=st.sampled_from([200, 204, 400, 403, 404, 501]), body=st.binary(max_size=30) | st.sampled_from(BODIES) | PARTS_LISTED
)
@example(200, b"<a><Part><PartNumber>1</PartNumber><Size>10</Size><ETag>t</ETag></Part></a>")
def test_lists_of_parts_that_are_none(status: int, body: bytes) -> None:
    dialect = Dialect({}, lambda content: {}, lambda answer, content: True)
    parts = Multipart(lambda *_: answered(status, body), dialect, lambda: None, "gs://b/a", 25, 10, "session")
    held = parts.held()
    assert held.keys() <= {0, 1, 2}
    if b"<Size>10</Size><ETag>t" in body and status == 200:
        assert held == {0: "t"}


@given(text=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20))
@example("²")
@example("9" * 5000)
@example("Thu, 01 Jan 0001 00:00:00 GMT")
@example("Thu, 01 Jan 0001 00:00:00 -0000")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Fri, 31 Dec 99999 23:59:59 GMT")
@example("-5")
def test_what_a_server_asks_to_wait(text: str) -> None:
    assert _retry_after(answered(503, b"", Retry_After=text)) >= 0


def test_seconds_and_dates_to_wait_for() -> None:
    assert _retry_after(answered(503, b"", Retry_After="7")) == 7
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < _retry_after(answered(503, b"", Retry_After=later)) <= 100
    assert _retry_after(answered(503, b"")) == 0


@pytest.mark.parametrize("answer", SOCKETS, ids=range(len(SOCKETS)))
def test_what_is_no_http(answer: bytes) -> None:
    """Either an answer or a broken wire, and a connection that is used no more."""
    with door(lambda call: answer) as front:
        wire = Wire(front.url)
        for _ in range(2):
            try:
                assert wire.exchange("GET", "/", {}).body in (b"", b"{}")
            except BrokenWire as error:
                assert str(error)
