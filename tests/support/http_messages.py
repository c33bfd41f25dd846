"""HTTP/1.1 messages as they stand on a socket: enough of them to pass one on, or half of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Head:
    """The first line and the headers. ``length`` is that of the body; none in chunks, or where the connection ends it."""

    text: bytes
    length: int | None
    chunked: bool

    @property
    def words(self) -> list[str]:
        return self.text.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)

    def has(self, header: bytes) -> bool:
        """Whether a header of this name and value, a regular expression, is there."""
        return re.search(rb"(?im)^" + header, self.text) is not None

    def without(self, name: bytes) -> bytes:
        return re.sub(rb"(?im)^" + name + rb":[^\r\n]*\r\n", b"", self.text)


def read_head(stream: BinaryIO) -> Head | None:
    """None where the other side has closed the connection."""
    lines = []
    while line := stream.readline(_BLOCK):
        lines.append(line)
        if line == b"\r\n" and len(lines) > 1:
            break
    else:
        return None
    text = b"".join(lines)
    found = re.search(rb"(?im)^content-length:\s*(\d+)", text)
    return Head(text, int(found[1]) if found else None, re.search(rb"(?im)^transfer-encoding:.*chunked", text) is not None)


def body_of(stream: BinaryIO, head: Head, to_the_end: bool = False) -> Iterator[bytes]:
    """The body piece by piece, out of its chunks; ``to_the_end`` of the connection where no length is told."""
    if head.chunked:
        while size := int(_line(stream).partition(b";")[0], 16):
            yield from _exactly(stream, size)
            _line(stream)
        while _line(stream).strip():
            pass
    elif head.length is not None:
        yield from _exactly(stream, head.length)
    elif to_the_end:
        while block := stream.read1(_BLOCK):  # type: ignore[attr-defined]
            yield block


def framed(block: bytes, head: Head) -> bytes:
    """A piece of a body as it is sent after this head."""
    return b"%x\r\n%s\r\n" % (len(block), block) if head.chunked else block


def end_of(head: Head) -> bytes:
    """What is sent after the last piece."""
    return b"0\r\n\r\n" if head.chunked else b""


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if not line:
        raise _ended()
    return line


def _exactly(stream: BinaryIO, left: int) -> Iterator[bytes]:
    while left:
        block = stream.read1(min(left, _BLOCK))  # type: ignore[attr-defined]
        if not block:
            raise _ended()
        left -= len(block)
        yield block


def _ended() -> ConnectionError:
    return ConnectionError("the other side ended in the middle of a body")
