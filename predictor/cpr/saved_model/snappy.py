"""Snappy's raw block format, decompressed: https://github.com/google/snappy/blob/main/format_description.txt

Nothing is believed: the declared length bounds what is written, every copy must start in what was already written, and the end
must be where it was declared. The only exception is ``ModelError``.
"""

from __future__ import annotations

from cpr.saved_model.wire import malformed, varint

_DENSEST = 22
"""A copy of 64 bytes takes three: no stream stands for more than 22 times its own length."""


def decompress(content: bytes, most: int) -> bytes:
    """What ``content`` stands for, ``most`` bytes at most."""
    end = len(content)
    length, position = varint(content, 0, min(end, 5))
    if length > min(most, _DENSEST * end):
        raise malformed(f"a compressed block of {end} bytes cannot stand for {length}")
    output = bytearray()
    while position < end:
        tag = content[position]
        position += 1
        if tag & 3:
            width = (0, 1, 2, 4)[tag & 3]
            offset = int.from_bytes(content[position : position + width], "little")
            count = (tag >> 2) + 1
            if width == 1:
                offset |= tag >> 5 << 8
                count = (tag >> 2 & 7) + 4
            position += width
            if position > end or not 0 < offset <= len(output):
                raise malformed("a compressed block copies from where there is nothing")
            _copy(output, offset, count)
        else:
            count = tag >> 2
            if count > 59:
                width = count - 59
                count = int.from_bytes(content[position : position + width], "little")
                position += width
            position += count + 1
            if position > end:
                raise malformed("a compressed block ends within its text")
            output += content[position - count - 1 : position]
        if len(output) > length:
            raise malformed(f"a compressed block is longer than the {length} bytes that it declares")
    if len(output) != length:
        raise malformed(f"a compressed block has {len(output)} bytes and declares {length}")
    return bytes(output)


def _copy(output: bytearray, offset: int, count: int) -> None:
    """Append ``count`` bytes from ``offset`` bytes before the end on. Where they overlap the end they repeat."""
    start = len(output) - offset
    if offset >= count:
        output += output[start : start + count]
    else:
        pattern = output[start:]
        output += (pattern * (count // offset + 1))[:count]
