"""HTTP/1.1 over a connected socket (RFC 9112): a request goes out, its answer is read. Neither tries anything twice.

Ours because what ``http.client`` does for each answer, above all its headers read as a mail's, took half of the time of an
upload of small files (``benchmarks/upload``).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping

_ANSWER, _BLOCK = 8 << 10, 256 << 10
"""Bytes that are read at a time: of what mostly has a few hundred, and of content."""
_MOST_HEAD = 64 << 10
_JOINED = 128 << 10
"""A body up to this size goes out with the head in one piece."""
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9]\d\d)(?: .*)?")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")
_BODILESS = (204, 304)
_WITH_BODY = ("PATCH", "POST", "PUT")


class BadAnswer(Exception):
    """What came is no whole answer."""


def send(connected: socket.socket, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> None:
    """Write a request. ``ValueError`` where a header or the target would break its line."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    names = {name.lower() for name in headers}
    if "accept-encoding" not in names:
        lines.append("Accept-Encoding: identity")
    if "content-length" not in names and (body is not None or method in _WITH_BODY):
        lines.append(f"Content-Length: {len(body or b'')}")
    text = "\r\n".join(lines)
    if text.count("\n") + text.count("\r") != 2 * (len(lines) - 1):
        raise ValueError("a header or the address of a request holds a line break")
    head = f"{text}\r\n\r\n".encode("latin-1")
    if body is None or len(body) <= _JOINED:
        connected.sendall(head + (body or b""))
    else:
        connected.sendall(head)
        connected.sendall(body)


class Reading:
    """The answer to a request with ``method``, as it comes: ``status`` and ``headers``, their names in lower case.

    Headers that come more than once are joined by commas. ``BadAnswer``, and ``OSError`` of the socket.
    """

    def __init__(self, connected: socket.socket, method: str) -> None:
        self._socket = connected
        self._held = b""
        """What came and was not asked for yet."""
        self.status, newer, self.headers = self._head()
        while 100 <= self.status < 200:
            self.status, newer, self.headers = self._head()
        connection = self.headers.get("connection", "").lower()
        self._kept = "close" not in connection and (newer or "keep-alive" in connection)
        self._chunked = self.headers.get("transfer-encoding", "").lower().endswith("chunked")
        length = self.headers.get("content-length", "")
        if method == "HEAD" or self.status in _BODILESS:
            self._left: int | None = 0
            self._chunked = False
        elif self._chunked or not length:
            self._left = None
        elif length.isdecimal():
            self._left = int(length)
        else:
            raise BadAnswer("it sent a length that is none")

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request, once the body was read."""
        return self._kept and self._left == 0 and not self._held

    def blocks(self) -> Iterator[bytes]:
        """The body, as it comes."""
        if self._chunked:
            while size := self._chunk_size():
                yield from self._counted(size)
                self._line()
            while self._line():
                pass  # trailers
            self._left = 0
        elif self._left is None:
            while block := self._held or self._socket.recv(_BLOCK):
                self._held = b""
                yield block
        else:
            yield from self._counted(self._left)
            self._left = 0

    def _head(self) -> tuple[int, bool, dict[str, str]]:
        status, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        found = _STATUS.fullmatch(status)
        if found is None:
            raise BadAnswer("it does not speak HTTP")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return int(found[2]), found[1] == "1", headers

    def _chunk_size(self) -> int:
        digits = self._line().partition(b";")[0].strip()
        if not _HEX.fullmatch(digits):
            raise BadAnswer("it sent a chunk without a length")
        return int(digits, 16)

    def _line(self) -> bytes:
        return self._until(b"\r\n")

    def _until(self, end: bytes) -> bytes:
        while (place := self._held.find(end)) < 0:
            if len(self._held) > _MOST_HEAD:
                raise BadAnswer("it sent headers without an end")
            self._held += self._more(_ANSWER)
        found, self._held = self._held[:place], self._held[place + len(end) :]
        return found

    def _counted(self, count: int) -> Iterator[bytes]:
        while count > 0:
            block = self._held or self._more(_BLOCK)
            block, self._held = block[:count], block[count:]
            yield block
            count -= len(block)

    def _more(self, most: int) -> bytes:
        block = self._socket.recv(most)
        if not block:
            raise BadAnswer("it broke off its answer")
        return block
