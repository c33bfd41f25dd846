"""Protocol-buffer bytes, walked without a schema compiler and without copying what is skipped.

The format: https://protobuf.dev/programming-guides/encoding/. A message is named by its buffer and two offsets; a field of
no interest costs one addition, whatever its size. Everything is checked against the end of the message that holds it, so a
length that points outside is found where it stands. The only exception is ``ModelError``; who knows the file's name adds it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cpr.errors import ModelError

Buffer = bytes | mmap.mmap
"""What is walked. Both give an ``int`` for an index and ``bytes`` for a slice."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

ANY = -1
"""For :func:`select`: whatever the wire type is. Repeated numbers are written one by one or packed into one field."""

_MAP_FROM = 1 << 22
"""Files from this size on are mapped instead of read: 4 MiB, above which a copy costs more than the page faults."""

_REMEDY = "The file is cut or altered: export the model again, or fetch it again from where it came."


def malformed(reason: str) -> ModelError:
    return ModelError(f"Not a readable SavedModel file: {reason}.", _REMEDY)


@contextmanager
def opened(path: Path) -> Iterator[Buffer]:
    """The bytes of a file, mapped where it is large. Every ``ModelError`` raised within gets the file's name."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size < _MAP_FROM:
                yield file.read()
            else:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    yield mapped
    except ModelError as error:
        error.where = error.where or str(path)
        raise
    except OSError as error:
        raise ModelError(
            f"The file cannot be read: {error.strerror or error}.", "Check the path and its permissions.", str(path)
        ) from None


def select(buffer: Buffer, start: int, end: int, wanted: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    """The fields of one message whose number is a key of ``wanted``, in order; the values are the wire types they must have.

    Each is ``(number, begin, stop)``: the offsets of its content; for ``VARINT`` the value itself, from 0 to 2**64-1, and 0.
    """
    position = start
    while position < end:
        tag = buffer[position]
        position += 1
        if tag > 127:
            tag, position = varint(buffer, position - 1, end)
        wire = tag & 7
        begin = position
        if wire == BYTES:
            # Nine of ten fields: a length of one or two bytes is read here, without a call.
            if position >= end:
                raise malformed(f"it ends within a field at byte {position}")
            length = buffer[position]
            position += 1
            if length > 127:
                if position < end and buffer[position] < 128:
                    length = length & 127 | buffer[position] << 7
                    position += 1
                else:
                    length, position = varint(buffer, position - 1, end)
            begin = position
            position += length
        elif wire == VARINT:
            begin, position = varint(buffer, position, end)
        elif wire == FIXED64:
            position += 8
        elif wire == FIXED32:
            position += 4
        else:
            raise malformed(f"wire type {wire} at byte {begin} is not in use")
        if position > end:
            raise malformed(f"a field at byte {begin} is longer than what holds it")
        number = tag >> 3
        if number in wanted:
            expected = wanted[number]
            if expected != wire and expected != ANY:
                raise malformed(f"field {number} before byte {position} has wire type {wire}, not {expected}")
            yield number, begin, 0 if wire == VARINT else position
        elif not 0 < number < 1 << 29:
            raise malformed(f"field number {number} before byte {position} does not exist")


def last(buffer: Buffer, start: int, end: int, number: int) -> tuple[int, int]:
    """Where the content of the last length-delimited field ``number`` lies, the one that counts; (0, 0) for none."""
    # As select would find it, written out: a graph asks for this tens of thousands of times.
    wanted = number << 3 | BYTES
    found = (0, 0)
    position = start
    while position < end:
        tag = buffer[position]
        if not 8 <= tag < 128 or tag & 7 != BYTES or position + 1 >= end:
            return _last(buffer, start, end, number)
        length = buffer[position + 1]
        position += 2
        if length > 127:
            length, position = varint(buffer, position - 1, end)
        if tag == wanted:
            found = (position, position + length)
        position += length
    return found if position <= end else _last(buffer, start, end, number)


def _last(buffer: Buffer, start: int, end: int, number: int) -> tuple[int, int]:
    found = (0, 0)
    for _, begin, stop in select(buffer, start, end, {number: BYTES}):
        found = (begin, stop)
    return found


def string(buffer: Buffer, start: int, end: int, number: int) -> bytes:
    """The last field ``number`` of a message as it is; empty for an absent one."""
    begin, stop = last(buffer, start, end, number)
    return buffer[begin:stop]


def varint(buffer: Buffer, position: int, end: int) -> tuple[int, int]:
    """The variable-length integer at ``position`` and the offset behind it. 0 to 2**64-1, at most 10 bytes."""
    value = shift = 0
    while True:
        if position >= end:
            raise malformed(f"it ends within a number at byte {position}")
        byte = buffer[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise malformed(f"the number before byte {position} is longer than 10 bytes")
    if value >> 64:
        raise malformed(f"the number before byte {position} is above 64 bits")
    return value, position


def varints(buffer: Buffer, begin: int, stop: int) -> Iterator[int]:
    """The numbers in a field of repeated varints selected with ``ANY``: one, or many packed."""
    if not stop:
        yield begin
    while begin < stop:
        value, begin = varint(buffer, begin, stop)
        yield value


def signed(value: int) -> int:
    """A varint as the int64 that it stands for."""
    return value - (1 << 64) if value >> 63 else value


def signed32(value: int) -> int:
    """A varint as the int32 that it stands for: what does not fit is cut, as protobuf does."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def text(buffer: Buffer, begin: int, stop: int) -> str:
    """A field of type ``string``."""
    try:
        return buffer[begin:stop].decode()
    except UnicodeDecodeError:
        raise malformed(f"the text at byte {begin} is not UTF-8") from None
