"""``variables.index``: what a checkpoint holds, and how long its shards must be. The weights themselves are not read.

The file is a sorted-string table as LevelDB's (``tensorflow/core/lib/io/table_format.txt``): blocks of key/value pairs with
shared prefixes, an index block that says where they lie, and a footer of 48 bytes. The values are ``BundleHeaderProto`` (under
the empty key) and ``BundleEntryProto`` (``tensor_bundle.proto``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import ModelError
from cpr.saved_model.dtypes import dtype_name, element_size
from cpr.saved_model.reader import tensor_shape
from cpr.saved_model.wire import BYTES, FIXED32, VARINT, Buffer, malformed, opened, select, signed, varint

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER = 5
"""Behind each block: one byte of compression type, four of masked CRC-32C."""

_KEY_BYTES, _KEY_RATIO = 1 << 20, 100
"""Names share prefixes, so a small file can spell out very long ones: 1 MiB and 100 times the file's size are the most read."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One tensor of a checkpoint.

    ``bytes`` is what it takes in its shard, from ``offset`` on; ``crc32c`` is the masked checksum of these bytes. A partitioned
    variable lies in several slices: then ``slices`` is their count, ``bytes`` what they should take together by type and shape,
    and ``shard``, ``offset`` and ``crc32c`` say nothing.
    """

    name: str
    dtype: str | None
    shape: tuple[int | None, ...]
    bytes: int
    shard: int
    offset: int
    crc32c: int
    slices: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointIndex:
    """What ``variables.index`` says.

    ``variables`` are in order of name. ``shard_sizes`` is how many bytes each shard that holds something must have at least, by
    number; ``shards`` is how many shards there were when it was written.
    """

    path: Path
    shards: int
    variables: tuple[Variable, ...]
    shard_sizes: tuple[tuple[int, int], ...]

    def shard_path(self, shard: int) -> Path:
        """``variables.data-00000-of-00001`` beside the index."""
        return self.path.with_name(f"{self.path.name.removesuffix('.index')}.data-{shard:05d}-of-{self.shards:05d}")


def read_checkpoint_index(path: Path | str) -> CheckpointIndex:
    """Read a checkpoint's index (``…/variables/variables.index``). ``ModelError`` where it is missing or broken."""
    path = Path(path)
    with opened(path) as buffer:
        shards, variables, shard_sizes = parse_checkpoint_index(buffer)
    return CheckpointIndex(path, shards, variables, shard_sizes)


def parse_checkpoint_index(buffer: Buffer) -> tuple[int, tuple[Variable, ...], tuple[tuple[int, int], ...]]:
    """Number of shards, the variables, and the bytes that each used shard must have, from an index file's bytes."""
    shards = None
    variables: list[Variable] = []
    needed: dict[int, int] = {}
    for key, value in _table(buffer):
        if not key:
            shards = _shard_count(value)
            continue
        variable = _variable(key, value)
        if not variable.slices:
            needed[variable.shard] = max(needed.get(variable.shard, 0), variable.offset + variable.bytes)
        # Each slice of a partitioned variable has an entry of its own, under a key that starts with a zero byte.
        if not key.startswith(b"\0"):
            variables.append(variable)
    if shards is None:
        raise malformed("the header of the checkpoint is missing")
    if any(shard >= shards for shard in needed):
        raise malformed(f"a variable lies in shard {max(needed)} of {shards}")
    return shards, tuple(variables), tuple(sorted(needed.items()))


def _shard_count(value: bytes) -> int:
    shards = 0
    for number, content, _ in select(value, 0, len(value), {1: VARINT, 2: VARINT}):
        if number == 1:
            shards = content
        elif content:
            raise ModelError(
                "The checkpoint was written on a big-endian machine.", "Export the model again on the machine's own kind."
            )
    return shards


def _variable(key: bytes, value: bytes) -> Variable:
    numbers = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}
    shape: tuple[int | None, ...] | None = ()
    slices = 0
    fields = {1: VARINT, 2: BYTES, 3: VARINT, 4: VARINT, 5: VARINT, 6: FIXED32, 7: BYTES}
    for number, begin, stop in select(value, 0, len(value), fields):
        if number == 2:
            shape = tensor_shape(value, begin, stop)
        elif number == 6:
            numbers[6] = int.from_bytes(value[begin:stop], "little")
        elif number == 7:
            slices += 1
        else:
            numbers[number] = signed(begin)
    name = key.decode(errors="backslashreplace")
    if shape is None or min(numbers.values()) < 0:
        raise malformed(f"the entry of {name!r} has no shape, or a negative number")
    size = numbers[5]
    if slices:
        size = math.prod(dimension or 0 for dimension in shape) * (element_size(numbers[1]) or 0)
    return Variable(name, dtype_name(numbers[1]), shape, size, numbers[3], numbers[4], numbers[6], slices)


def _table(buffer: Buffer) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value of the table, in order."""
    size = len(buffer)
    if size < _FOOTER:
        raise malformed(f"it has {size} bytes, fewer than the footer of a checkpoint index" if size else "it is empty")
    if int.from_bytes(buffer[size - 8 : size], "little") != _MAGIC:
        raise malformed("it does not end as a checkpoint index does")
    # The first handle is that of the meta-index, which TensorFlow leaves empty.
    _, _, position = _handle(buffer, size - _FOOTER, size - 8)
    offset, length, _ = _handle(buffer, position, size - 8)
    budget = _KEY_BYTES + _KEY_RATIO * size
    free = 0
    for _, value in _pairs(_block(buffer, offset, length)):
        offset, length, _ = _handle(value, 0, len(value))
        # Blocks follow each other; an index that leads back to a block would be read for ever.
        if offset < free:
            raise malformed("its blocks overlap")
        free = offset + length + _TRAILER
        for pair in _pairs(_block(buffer, offset, length)):
            budget -= len(pair[0])
            if budget < 0:
                raise malformed("its names are longer than those of any model")
            yield pair


def _handle(buffer: Buffer, position: int, end: int) -> tuple[int, int, int]:
    """Offset and length of a block, and the place behind its handle."""
    offset, position = varint(buffer, position, end)
    length, position = varint(buffer, position, end)
    return offset, length, position


def _block(buffer: Buffer, offset: int, length: int) -> bytes:
    """The content of a block, its checksum compared."""
    if offset + length + _TRAILER > len(buffer) - _FOOTER:
        raise malformed(f"a block at byte {offset} is longer than the file")
    content = buffer[offset : offset + length + _TRAILER]
    if content[length] == 1:
        raise ModelError(
            "The index of the checkpoint is compressed with Snappy, which is not read yet.",
            "Export the model with TensorFlow's own writer, which does not compress it.",
        )
    if content[length] != 0:
        raise malformed(f"the block at byte {offset} has compression type {content[length]}")
    if masked_crc32c(content[: length + 1]) != int.from_bytes(content[-4:], "little"):
        raise malformed(f"the checksum of the block at byte {offset} does not match")
    return content[:length]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(block) < 4:
        raise malformed("a block is too short")
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    if end < 0:
        raise malformed("a block has more restart points than bytes")
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position, end)
        unshared, position = varint(block, position, end)
        length, position = varint(block, position, end)
        stop = position + unshared
        if shared > len(key) or stop + length > end:
            raise malformed("an entry is longer than its block")
        key = key[:shared] + block[position:stop]
        position = stop + length
        yield key, block[stop:position]


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC_TABLE = _crc_table()


def masked_crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and shifted as LevelDB stores it. About 10 MB a second: for an index, not for weights."""
    crc, table = 0xFFFFFFFF, _CRC_TABLE
    for byte in content:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
