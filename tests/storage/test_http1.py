"""Answers of servers as they come over a socket, in one piece and byte by byte, and requests as they go out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cpr.storage.http1 import BadAnswer, Reading, send

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\nb\r\n3\r\nody\r\n0\r\nAfter: all\r\n\r\n"


@contextmanager
def answered(*pieces: bytes, method: str = "GET") -> Iterator[Reading]:
    """The answer of a server that says this and ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for piece in pieces:
            theirs.sendall(piece)
        theirs.shutdown(socket.SHUT_WR)
        yield Reading(ours, method)


@pytest.mark.parametrize(
    ("method", "answer", "status", "body", "reusable"),
    [
        ("GET", PLAIN, 200, b"body", True),
        ("GET", CHUNKS, 200, b"body", True),
        ("PUT", b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, 200, b"body", True),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 200, b"", True),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, b"", True),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        ("GET", b"HTTP/1.1 308\r\nContent-Length: 0\r\n\r\n", 308, b"", True),
        ("GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody", 200, b"body", False),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", 200, b"body", False),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\nbody", 200, b"body", False),
        ("GET", PLAIN + b"HTTP/1.1 200 OK\r\n", 200, b"body", False),
    ],
)
def test_the_body_ends_where_the_answer_says(method: str, answer: bytes, status: int, body: bytes, reusable: bool) -> None:
    with answered(answer, method=method) as reading:
        assert (reading.status, b"".join(reading.blocks()), reading.reusable) == (status, body, reusable)


@pytest.mark.parametrize("answer", [PLAIN, CHUNKS])
def test_an_answer_may_come_byte_by_byte(answer: bytes) -> None:
    with answered(*(answer[place : place + 1] for place in range(len(answer)))) as reading:
        assert b"".join(reading.blocks()) == b"body"


@pytest.mark.parametrize("answer", [PLAIN[:-1], PLAIN[:20], b"", CHUNKS[:-1], CHUNKS[:-20], b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_an_answer_that_is_cut_off_is_none(answer: bytes) -> None:
    with pytest.raises(BadAnswer, match="broke off"), answered(answer) as reading:
        b"".join(reading.blocks())


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        PLAIN.replace(b"4", b"-4"),
        PLAIN.replace(b"4", b"4\r\nContent-Length: 5"),
        CHUNKS.replace(b"1;x", b"x"),
        CHUNKS.replace(b"1;x", b"-1;x"),
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(BadAnswer), answered(answer) as reading:
        b"".join(reading.blocks())


def test_headers_that_come_twice_are_joined() -> None:
    with answered(PLAIN.replace(b"OK\r\n", b"OK\r\nX-Goog-Hash: crc32c=a\r\nx-goog-hash: md5=b\r\n")) as reading:
        assert reading.headers["x-goog-hash"] == "crc32c=a, md5=b"


def test_a_header_cannot_begin_another_one() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="line break"):
        send(ours, "GET", "/", {"Name": "value\nOther: value"}, None)
