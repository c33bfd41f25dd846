"""HTTP/1.1 over a connected socket: a request goes out, its answer is read. Neither tries anything twice.

The answer is parsed by httptools, the parser of Node.js: what ``http.client`` does for each, above all its headers read as a
mail's, took half of the time of an upload of small files (``benchmarks/upload``).
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator, Mapping

import httptools

_HEAD_BYTES, _BODY_BYTES = 8 << 10, 256 << 10
"""Read at a time: of what mostly has a few hundred bytes, and of content."""
_MOST_HEAD = 64 << 10
_SENT_BYTES = 256 << 10
"""Sent at a time: the silence of a server is counted anew after each, as a part may take long on a slow line."""


class BadAnswer(Exception):
    """What came is no whole answer."""


def send(
    connected: socket.socket, method: str, target: str, headers: Mapping[str, str], pieces: tuple[bytes, ...] | None
) -> None:
    """Write a request. ``ValueError`` where a header or the target would break its line."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if pieces is not None and not any(name.lower() == "content-length" for name in headers):
        lines.append(f"Content-Length: {sum(map(len, pieces))}")
    text = "\r\n".join(lines)
    if text.count("\n") + text.count("\r") != 2 * (len(lines) - 1):
        raise ValueError("a header or the address of a request holds a line break")
    for block in _blocks((f"{text}\r\n\r\n".encode("latin-1"), *(pieces or ()))):
        try:
            connected.sendall(block)
        except (BrokenPipeError, ConnectionResetError):
            if pieces is None:
                raise
            return  # a server that refuses what it has not read yet has said why before it closed


def _blocks(pieces: tuple[bytes, ...]) -> Iterator[bytes | memoryview]:
    if sum(map(len, pieces)) <= _SENT_BYTES:
        yield b"".join(pieces)
        return
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(piece), _SENT_BYTES):
            yield view[start : start + _SENT_BYTES]


class Reading:
    """The answer to a request with ``method``, as it comes: ``status`` and ``headers``, their names in lower case.

    Headers that come more than once are joined by commas. ``BadAnswer``, and ``OSError`` of the socket.
    """

    def __init__(self, connected: socket.socket, method: str) -> None:
        self._socket, self._method = connected, method
        self._parser = httptools.HttpResponseParser(self)
        self._bodies: deque[bytes] = deque()
        self._read = 0
        self._whole = self._kept = self._counted = self._extra = False
        self.status = 0
        self.headers: dict[str, str] = {}
        while not self.status:
            if self._read > _MOST_HEAD:
                raise BadAnswer("it sent headers without an end")
            if not self._more(_HEAD_BYTES):
                raise BadAnswer("it broke off its answer")

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request, once the body was read."""
        return self._whole and self._kept and not self._extra

    def blocks(self) -> Iterator[bytes]:
        """The body, as it comes."""
        while True:
            while self._bodies:
                yield self._bodies.popleft()
            if self._whole:
                return
            if not self._more(_BODY_BYTES):
                if self._counted:
                    raise BadAnswer("it broke off its answer")
                return  # the end of the connection is that of the body

    def _more(self, most: int) -> bool:
        block = self._socket.recv(most)
        self._read += len(block)
        try:
            if block:
                self._parser.feed_data(block)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._whole:
                raise BadAnswer("it does not speak HTTP") from error
            self._extra = True
        return bool(block)

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._extra = self._whole

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self.headers.clear()
            return
        self.status = status
        self._kept = self._parser.should_keep_alive()
        self._counted = "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "")
        self._whole = self._method == "HEAD"

    def on_body(self, body: bytes) -> None:
        self._bodies.append(body)

    def on_message_complete(self) -> None:
        self._whole = bool(self.status)  # not after 100 Continue
