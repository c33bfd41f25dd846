"""One request to the test server of Google Cloud Storage and its answer, apart from the sockets they travel on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

BLOCK = 1 << 16


class Broken(Exception):
    """The client went away in the middle of its request: there is nobody to answer."""


class Refused(Exception):
    """The request is answered with an error. ``reason`` is the one word of it that programs read."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.status, self.reason = status, reason


@dataclass
class Call:
    """A request whose head was read. ``arrived`` counts the bytes of its body so far, ``status`` is that of the answer."""

    method: str
    target: str
    headers: Mapping[str, str]
    stream: BinaryIO
    arrived: int = 0
    status: int | None = None
    done: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        self.path = parts.path
        self.query = dict(reversed(parse_qsl(parts.query, keep_blank_values=True)))

    @property
    def base(self) -> str:
        """The server's address as the client knows it: a proxy's, where there is one between."""
        return f"http://{self.headers['Host']}"

    def blocks(self) -> Iterator[bytes]:
        """The body, piece by piece as it arrives."""
        pieces = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "").lower() else self._plain(self.length)
        for block in pieces:
            self.arrived += len(block)
            yield block
        self.done = True

    def body(self) -> bytes:
        return b"".join(self.blocks())

    def drain(self) -> None:
        """Take what is left of the body: a client that still sends does not listen."""
        if not self.done:
            for _ in self._plain(self.length - self.arrived) if self.length else self.blocks():
                pass

    @property
    def length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def _plain(self, left: int) -> Iterator[bytes]:
        while left > 0:
            try:
                block = self.stream.read1(min(BLOCK, left))  # type: ignore[attr-defined]
            except OSError as error:
                raise Broken from error
            if not block:
                raise Broken
            left -= len(block)
            yield block

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line().partition(b";")[0], 16):
            yield from self._plain(size)
            self._line()
        while self._line().strip():
            pass

    def _line(self) -> bytes:
        line = self.stream.readline()
        if not line:
            raise Broken
        return line


@dataclass
class Answer:
    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(document: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json; charset=UTF-8"})


def json_error(error: Refused) -> Answer:
    if error.status == 304:
        return Answer(304)
    details = [{"domain": "global", "reason": error.reason, "message": str(error)}]
    return json_answer({"error": {"code": error.status, "message": str(error), "errors": details}}, error.status)


def byte_range(text: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last that a ``Range`` header asks for; none where it is absent or not understood."""
    found = re.fullmatch(r"\s*bytes=(\d*)-(\d*)\s*", text or "")
    if not found or not any(found.groups()):
        return None
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size or stop <= start:
        raise Refused(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
    return start, stop


def content_answer(content: bytes, headers: dict[str, str], asked: str | None) -> Answer:
    """The content or the range of it that was asked for."""
    part = byte_range(asked, len(content))
    if part is None:
        return Answer(200, content, headers)
    start, stop = part
    return Answer(206, content[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"})
