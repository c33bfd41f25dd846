"""The weights themselves: is what lies in the shards what was written?

Every tensor's checksum is made again from its bytes, about as fast as they can be read, and block by block. Text and
variants are written and summed up as ``tensor_bundle.cc`` does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import prod
from operator import itemgetter
from typing import BinaryIO, Literal, NamedTuple

from cpr.errors import ModelError
from cpr.saved_model.checkpoint import CheckpointIndex, Slice, Variable
from cpr.saved_model.crc32c import masked
from cpr.saved_model.wire import varint

_BLOCK, _BUFFER = 1 << 18, 1 << 14
"""A block of 256 KiB is still in the processor's cache when it is summed up; small tensors share a buffer of 16 KiB."""

_WINDOW = 1 << 12
"""As many lengths of text are looked at together."""

_LONGEST = 10
"""Bytes of a variable-length integer."""


class Mismatch(NamedTuple):
    """A tensor whose bytes are not those that were written.

    ``shard`` is the number of the file it lies in. ``start`` is the first element of the slice that differs, where the variable
    is partitioned. ``why`` is a sentence about the bytes.
    """

    variable: str
    shard: int
    start: tuple[int, ...] | None
    why: str


def verify(index: CheckpointIndex) -> Iterator[Mismatch]:
    """Every tensor that differs from what was written, shard by shard in the order in which they lie there.

    Shards that are missing, and tensors behind the end of a short one, are passed over: the index alone tells of those.
    ``ModelError`` where a file cannot be read.
    """
    stored = sorted(_stored(index), key=itemgetter(0, 1))
    for shard, tensors in groupby(stored, itemgetter(0)):
        path = index.shard_path(shard)
        if not path.is_file():
            continue
        try:
            with open(path, "rb", buffering=_BUFFER) as file:
                size = file.seek(0, 2)
                for _, _, variable, part in tensors:
                    if part.offset + part.bytes > size:
                        continue
                    why = _difference(file, variable.dtype, part, "big" if index.big_endian else "little")
                    if why is not None:
                        yield Mismatch(variable.name, shard, part.start if isinstance(part, Slice) else None, why)
        except OSError as error:
            raise ModelError(
                f"The weights cannot be read: {error.strerror or error}.", "Check the disk and the permissions.", str(path)
            ) from None


def _stored(index: CheckpointIndex) -> Iterator[tuple[int, int, Variable, Variable | Slice]]:
    for variable in index.variables:
        for part in variable.slices or (variable,):
            yield part.shard, part.offset, variable, part


_Order = Literal["little", "big"]


class _Altered(Exception):
    """What is wrong with the bytes, as a sentence."""


def _difference(file: BinaryIO, dtype: str | None, part: Variable | Slice, order: _Order) -> str | None:
    source = _Source(file, part.offset, part.bytes)
    try:
        if part.bytes and dtype == "string":
            _text(source, prod(part.shape), order)
        elif part.bytes and dtype == "variant":
            _variants(source, prod(part.shape), order)
        source.add(source.left)
    except _Altered as altered:
        return str(altered)
    found = masked(source.crc)
    return None if found == part.crc32c else f"The checksum of its bytes is {found:08x}, and {part.crc32c:08x} was written."


class _Source:
    """The bytes of one tensor and the checksum of what was added to it; ``left`` of them are not read yet."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        from google_crc32c import extend

        file.seek(offset)
        self.file, self.end, self.left, self.crc = file, offset + size, size, 0
        self._extend = extend

    def read(self, count: int) -> bytes:
        content = self.file.read(min(count, self.left))
        if len(content) < count:
            raise _Altered("Its bytes end too early.")
        self.left -= count
        return content

    def back(self, count: int) -> None:
        """Read the last ``count`` bytes again."""
        self.left += count
        self.file.seek(self.end - self.left)

    def sum(self, content: bytes) -> None:
        """Add bytes that are not those of the file."""
        self.crc = self._extend(self.crc, content)

    def add(self, count: int) -> None:
        """Add the next ``count`` bytes."""
        if count > self.left:
            raise _Altered("Its bytes end too early.")
        while count:
            block = self.read(min(count, _BLOCK))
            self.crc = self._extend(self.crc, block)
            count -= len(block)

    def compare(self, order: _Order) -> None:
        """The next four bytes are the checksum of what was added so far, and are added themselves."""
        stored = self.read(4)
        if int.from_bytes(stored, order) != masked(self.crc):
            raise _Altered("A checksum between its elements does not match.")
        self.sum(stored)


def _text(source: _Source, count: int, order: _Order) -> None:
    """The lengths of ``count`` strings; a checksum of them; the strings."""
    total = _lengths(source, count, order)
    source.compare(order)
    if source.left != total:
        raise _Altered(f"Its strings should take {total} bytes, and {source.left} are left for them.")


def _lengths(source: _Source, count: int, order: _Order) -> int:
    """Written as variable-length integers, added as integers of 4 bytes, or 8 where they must be. Returns their sum."""
    total = 0
    while count:
        window = source.read(min(max(count, _LONGEST), source.left, _WINDOW))
        if not window:
            raise _Altered("Its bytes end too early.")
        position, added = 0, bytearray()
        if window[:count].isascii():
            # All below 128, as most are: one byte each.
            lengths = window[:count]
            position = len(lengths)
            added += bytes(4 * position)
            added[0 if order == "little" else 3 :: 4] = lengths
            total += sum(lengths)
            count -= position
        # The last length of a window may go on behind it.
        while count and position < len(window) and (len(window) - position >= _LONGEST or not source.left):
            length, position = _length(window, position)
            added += length.to_bytes(8 if length >> 32 else 4, order)
            total += length
            count -= 1
        source.sum(bytes(added))
        source.back(len(window) - position)
    return total


def _length(window: bytes, position: int) -> tuple[int, int]:
    try:
        return varint(window, position, len(window))
    except ModelError:
        raise _Altered("The length of one of its elements is not readable.") from None


def _variants(source: _Source, count: int, order: _Order) -> None:
    """``count`` times a length, as many bytes, and the checksum of all so far. What the bytes mean is TensorFlow's affair."""
    for _ in range(count):
        window = source.read(min(_LONGEST, source.left))
        length, position = _length(window, 0)
        source.back(len(window) - position)
        source.sum(length.to_bytes(8, order))
        source.add(length)
        source.compare(order)
