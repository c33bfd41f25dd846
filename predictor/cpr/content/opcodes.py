"""The opcodes of a pickle, one by one, without loading it and without holding it: what is long is stepped over.

:func:`pickletools.genops` tells the same and keeps every argument whole, so that a few bytes can ask it for gigabytes.
"""

from __future__ import annotations

import codecs
import io
import pickletools
from collections.abc import Iterator
from typing import BinaryIO

MAX_TEXT = 512
"""Strings up to this many bytes are told; names of modules and classes are shorter."""

_MAX_LINE = 1 << 16
_BLOCK = 1 << 16


class PickleError(Exception):
    """The bytes are not, or not wholly, a pickle that any Python loads; the message says why."""


class PickleCut(PickleError):
    """The bytes end before the pickle does."""


class PickleUnread(Exception):
    """It was not read to its end: it is more than may be looked at, or of a kind that is not known here."""


class Budget:
    """What may be looked at in all: opcodes, bytes that are unpacked, and distinct names. Shared by the files of one bundle."""

    def __init__(self, opcodes: int = 600_000, unpacked: int = 64 << 20, names: int = 10_000) -> None:
        self.opcodes = opcodes
        self.unpacked = unpacked
        self.names = names

    def name(self) -> None:
        self.names -= 1
        if self.names < 0:
            raise PickleUnread("it names too many things")


class Stream:
    """A file read forwards: ``read`` and ``skip`` raise :class:`PickleCut` where there is less."""

    def __init__(self, file: BinaryIO, size: int | None) -> None:
        """``size`` is that of a file which can be sought in, ``None`` for one that cannot."""
        self.file = file
        self.size = size

    def tell(self) -> int:
        return self.file.tell()

    def read(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            raise PickleCut("it ends in the middle")
        return data

    def skip(self, count: int) -> None:
        if self.size is not None and count > _BLOCK:
            if self.file.tell() + count > self.size:
                raise PickleCut("it ends in the middle")
            self.file.seek(count, io.SEEK_CUR)
            return
        while count:
            count -= len(self.read(min(count, _BLOCK)))

    def line(self) -> bytes | None:
        """Up to the next newline, without it; ``None`` where that is too long to be told."""
        line = self.file.readline(_MAX_LINE)
        whole = True
        while not line.endswith(b"\n"):
            if len(line) < _MAX_LINE:
                raise PickleCut("it ends in the middle")
            whole, line = False, self.file.readline(_MAX_LINE)
        return line[:-1] if whole else None


Argument = int | str | tuple[str, str] | None
Opcode = tuple[str, Argument, int]
"""Its name as pickletools has it; what was read with it, ``None`` where that is long or of no matter here; its number."""

_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_LINE, _PAIR = -1, -2
_NUMBERS = frozenset(("PROTO", "BININT", "BININT1", "BININT2", "EXT1", "EXT2", "EXT4"))
_NUMBERS |= {"BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT"}
_SIGNED = frozenset(("BININT", "EXT4"))
_TEXTS = {
    "SHORT_BINSTRING": "latin-1",
    "BINSTRING": "latin-1",
    "SHORT_BINUNICODE": "utf-8",
    "BINUNICODE": "utf-8",
    "BINUNICODE8": "utf-8",
}
PROTOCOL_OF = {item.name: item.proto for item in pickletools.opcodes}


def _row(item: pickletools.OpcodeInfo) -> tuple[str, int, int]:
    """Name, width of a fixed argument (or how a line is read), width of a length before it."""
    size = 0 if item.arg is None else item.arg.n
    if item.arg is not None and item.arg.name == "stringnl_noescape_pair":
        return item.name, _PAIR, 0
    if size == pickletools.UP_TO_NEWLINE:
        return item.name, _LINE, 0
    return (item.name, size, 0) if size >= 0 else (item.name, 0, _LENGTHS[size])


_TABLE = {item.code.encode("latin-1"): _row(item) for item in pickletools.opcodes}


def opcodes(stream: Stream, budget: Budget) -> Iterator[Opcode]:
    """The opcodes of the pickle at the place of ``stream``, up to its STOP. :class:`PickleError` where they are none,
    :class:`PickleUnread` where the budget ends first. The stream may be read further between two of them."""
    short, count = stream.file.read, 0
    table, numbers, spent = _TABLE, _NUMBERS, budget.opcodes
    try:
        while count < spent:
            code = short(1)
            row = table.get(code)
            if row is None:
                raise PickleError(f"it has an unknown opcode {code!r}") if code else PickleCut("it ends without a STOP")
            count += 1
            name, width, length = row
            argument: Argument = None
            if width > 0:
                data = short(width)
                if len(data) != width:
                    raise PickleCut("it ends in the middle")
                if name in numbers:
                    argument = int.from_bytes(data, "little", signed=name in _SIGNED)
            elif name == "SHORT_BINUNICODE":  # most of what a pickle is made of
                data = short(1)
                text = short(data[0]) if data else b""
                if not data or len(text) != data[0]:
                    raise PickleCut("it ends in the middle")
                argument = _decoded(text, "utf-8")
            elif length:
                argument = _sized(stream, name, length)
            elif width < 0:
                argument = _pair(stream) if width == _PAIR else _line(name, stream.line())
            yield name, argument, count
            if name == "STOP":
                return
        raise PickleUnread("it is longer than what is looked at")
    finally:
        budget.opcodes -= count


def _decoded(text: bytes, encoding: str) -> str:
    try:
        return text.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        raise PickleError("it has a string that is not UTF-8") from None


def _sized(stream: Stream, name: str, length: int) -> int | str | None:
    size = int.from_bytes(stream.read(length), "little")
    if length == 4 and size >= 1 << 31 and name in ("BINSTRING", "LONG4"):
        raise PickleError("it has a negative length")
    if name in _TEXTS and size <= MAX_TEXT:
        return _decoded(stream.read(size), _TEXTS[name])
    if name == "LONG1" and size <= 8:
        return int.from_bytes(stream.read(size), "little", signed=True)
    stream.skip(size)
    return None


def _pair(stream: Stream) -> tuple[str, str]:
    first, second = stream.line(), stream.line()
    if first is None or second is None or len(first) + len(second) > 2 * MAX_TEXT:
        raise PickleUnread("it has a name that is too long")
    try:
        return first.decode("utf-8"), second.decode("utf-8")
    except UnicodeDecodeError:
        raise PickleError("it has a name that is not UTF-8") from None


def _line(name: str, line: bytes | None) -> int | str | None:
    """The argument of an opcode of protocol 0, which is text up to the end of the line."""
    if line is None or len(line) > MAX_TEXT:
        return None
    try:
        if name == "UNICODE":
            return line.decode("raw-unicode-escape")
        if name == "STRING":
            text = line.strip()
            if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b"'\"":
                raise PickleError("it has a string without quotes")
            return codecs.escape_decode(text[1:-1])[0].decode("latin-1")  # as pickle does
    except ValueError:
        raise PickleError("it has a string with an escape that is none") from None
    if name in ("INT", "LONG", "GET", "PUT"):
        try:
            return int(line.rstrip(b"L"))
        except ValueError:
            raise PickleError("it has a number that is none") from None
    return None
