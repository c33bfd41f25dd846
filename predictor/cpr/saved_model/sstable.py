"""A sorted-string table as LevelDB's, the form of ``variables.index``: blocks of key/value pairs with shared prefixes, an index
block that says where they lie, and a footer of 48 bytes.

Source: ``tensorflow/core/lib/io/table_format.txt``, and ``format.cc`` and ``block.cc`` beside it. The only exception is
``ModelError``.
"""

from __future__ import annotations

from collections.abc import Iterator

from cpr.saved_model.crc32c import masked_crc32c
from cpr.saved_model.wire import Buffer, malformed, varint

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER = 5
"""Behind each block: one byte of compression type, four of masked CRC-32C."""

_PLAIN, _SNAPPY = 0, 1

_KEY_BYTES, _KEY_RATIO = 1 << 20, 100
"""Names share prefixes, so a small file can spell out very long ones: 1 MiB and 100 times the file's size are the most read."""

_BLOCK_BYTES, _BLOCK_RATIO = 1 << 20, 10
"""The same for compressed blocks. Offset, size and checksum of an entry do not compress: a real index shrinks to a third."""


def entries(buffer: Buffer) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value of the table, in ascending order of key."""
    size = len(buffer)
    names, room = _KEY_BYTES + _KEY_RATIO * size, _BLOCK_BYTES + _BLOCK_RATIO * size
    free, before = 0, b""
    first = True
    for least, value in _pairs(_block(buffer, *_index_handle(buffer), room)):
        offset, length, _ = _handle(value, 0, len(value))
        # Blocks follow each other; an index that leads back to a block would be read for ever.
        if offset < free:
            raise malformed("its blocks overlap")
        free = offset + length + _TRAILER
        block = _block(buffer, offset, length, room)
        room -= len(block)
        for pair in _pairs(block):
            key = pair[0]
            names -= len(key)
            if names < 0:
                raise malformed("its names are longer than those of any model")
            if key <= before and not first:
                raise malformed("its names are not in order")
            before, first = key, False
            yield pair
        # The key in the index block is one from the last of this block on and before the next: readers search by it.
        if least < before:
            raise malformed(f"the index does not lead to {before.decode(errors='backslashreplace')!r}")
        before = least


def _index_handle(buffer: Buffer) -> tuple[int, int]:
    size = len(buffer)
    if size < _FOOTER:
        raise malformed(f"it has {size} bytes, fewer than the footer of a checkpoint index" if size else "it is empty")
    if int.from_bytes(buffer[size - 8 : size], "little") != _MAGIC:
        raise malformed("it does not end as a checkpoint index does")
    # The first handle is that of the meta-index, which TensorFlow leaves empty.
    _, _, position = _handle(buffer, size - _FOOTER, size - 8)
    offset, length, _ = _handle(buffer, position, size - 8)
    return offset, length


def _handle(buffer: Buffer, position: int, end: int) -> tuple[int, int, int]:
    """Offset and length of a block, and the place behind its handle."""
    offset, position = varint(buffer, position, end)
    length, position = varint(buffer, position, end)
    return offset, length, position


def _block(buffer: Buffer, offset: int, length: int, most: int) -> bytes:
    """The content of a block, its checksum compared, decompressed where it must be, to ``most`` bytes."""
    if offset + length + _TRAILER > len(buffer) - _FOOTER:
        raise malformed(f"a block at byte {offset} is longer than the file")
    content = buffer[offset : offset + length + _TRAILER]
    kind = content[length]
    if kind not in (_PLAIN, _SNAPPY):
        raise malformed(f"the block at byte {offset} has compression type {kind}")
    if masked_crc32c(content[: length + 1]) != int.from_bytes(content[-4:], "little"):
        raise malformed(f"the checksum of the block at byte {offset} does not match")
    content = content[:length]
    if kind == _PLAIN:
        return content
    from cpr.saved_model.snappy import decompress

    return decompress(content, most)


def _restarts(block: bytes) -> tuple[int, list[int]]:
    """Where the entries of a block end, and the offsets of those whose key is written out in full, the last one first.

    A reader looks for a key from one of these on.
    """
    size = len(block)
    if size < 4:
        raise malformed("a block is too short")
    count = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * count
    if end < 0:
        raise malformed("a block has more restart points than bytes")
    points = [int.from_bytes(block[at : at + 4], "little") for at in range(size - 8, end - 4, -4)]
    if not points or points[-1]:
        raise malformed("a block has no restart point at its begin")
    return end, points


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    end, points = _restarts(block)
    position, key = 0, b""
    restart = points.pop()
    while position < end:
        begin = position
        shared, unshared = block[position], block[position + 1]
        length = block[position + 2]
        position += 3
        if shared > 127 or unshared > 127 or length > 127:
            # Nearly always each takes one byte. The restart points lie behind, so the reads above stay within the block.
            shared, position = varint(block, begin, end)
            unshared, position = varint(block, position, end)
            length, position = varint(block, position, end)
        stop = position + unshared
        if shared > len(key) or stop + length > end:
            raise malformed("an entry is longer than its block")
        if begin == restart:
            if shared:
                raise malformed("a restart point does not start a key")
            restart = points.pop() if points else -1
        key = key[:shared] + block[position:stop]
        position = stop + length
        yield key, block[stop:position]
    if points or restart > 0:
        raise malformed("a restart point leads to no entry")
