"""FarmHash's 64-bit fingerprint, with which TensorFlow 2.12 and later name the parts of a SavedModel.

Source: ``Fingerprint64`` of https://github.com/google/farmhash, namespace ``farmhashna``, whose values never change. It reads
about 10 MB a second: for an index, not for weights.
"""

from __future__ import annotations

import struct

_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_MASK = (1 << 64) - 1
_EIGHT = struct.Struct("<8Q")

Pair = tuple[int, int]


def fingerprint64(content: bytes) -> int:
    """The fingerprint of some bytes, from 0 to 2**64-1."""
    if len(content) <= 16:
        return _up_to_16(content)
    if len(content) <= 32:
        return _up_to_32(content)
    if len(content) <= 64:
        return _up_to_64(content)
    return _longer(content)


def _word(content: bytes, position: int) -> int:
    return int.from_bytes(content[position : position + 8], "little")


def _rotated(value: int, count: int) -> int:
    value &= _MASK
    return (value >> count | value << (64 - count)) & _MASK


def _mixed(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _joined(one: int, other: int, factor: int) -> int:
    first = _mixed((one ^ other) * factor)
    second = _mixed((other & _MASK ^ first) * factor)
    return second * factor & _MASK


def _up_to_16(content: bytes) -> int:
    size = len(content)
    factor = _K2 + 2 * size
    if size >= 8:
        first, last = _word(content, 0) + _K2, _word(content, size - 8)
        return _joined(_rotated(last, 37) * factor + first & _MASK, (_rotated(first, 25) + last) * factor & _MASK, factor)
    if size >= 4:
        first, last = (int.from_bytes(part, "little") for part in (content[:4], content[-4:]))
        return _joined(size + (first << 3), last, factor)
    if size:
        low, high = content[0] + (content[size >> 1] << 8), size + (content[-1] << 2)
        return _mixed(low * _K2 ^ high * _K0) * _K2 & _MASK
    return _K2


def _up_to_32(content: bytes) -> int:
    size = len(content)
    factor = _K2 + 2 * size
    a, b = _word(content, 0) * _K1, _word(content, 8)
    c, d = _word(content, size - 8) * factor, _word(content, size - 16) * _K2
    return _joined(_rotated(a + b, 43) + _rotated(c, 30) + d & _MASK, a + _rotated(b + _K2, 18) + c & _MASK, factor)


def _up_to_64(content: bytes) -> int:
    size = len(content)
    factor = _K2 + 2 * size
    a, b = _word(content, 0) * _K2, _word(content, 8)
    c, d = _word(content, size - 8) * factor, _word(content, size - 16) * _K2
    y = _rotated(a + b, 43) + _rotated(c, 30) + d & _MASK
    z = _joined(y, a + _rotated(b + _K2, 18) + c & _MASK, factor)
    e, f = _word(content, 16) * factor, _word(content, 24)
    g, h = (y + _word(content, size - 32)) * factor, (z + _word(content, size - 24)) * factor
    return _joined(_rotated(e + f, 43) + _rotated(g, 30) + h & _MASK, e + _rotated(f + a, 18) + g & _MASK, factor)


def _longer(content: bytes) -> int:
    """In blocks of 64 bytes, of which the last one overlaps the one before it."""
    x, y, z, v, w = _words_begin(content)
    blocks = (len(content) - 1) // 64
    for block in range(blocks):
        x, y, z, v, w = _stirred(content, 64 * block, x, y, z, v, w, _K1, 1)
    rest = len(content) - 1 & 63
    factor = _K1 + ((z & 255) << 1)
    first = w[0] + rest
    v = v[0] + first, v[1]
    w = first + v[0], w[1]
    x, y, z, v, w = _stirred(content, len(content) - 64, x, y, z, v, w, factor, 9)
    return _joined(_joined(v[0], w[0], factor) + _mixed(y) * _K0 + z & _MASK, _joined(v[1], w[1], factor) + x & _MASK, factor)


def _words_begin(content: bytes) -> tuple[int, int, int, Pair, Pair]:
    seed = 81
    y = seed * _K1 + 113 & _MASK
    return seed * _K2 + _word(content, 0) & _MASK, y, _mixed(y * _K2 + 113) * _K2 & _MASK, (0, 0), (0, 0)


def _stirred(
    content: bytes, position: int, x: int, y: int, z: int, v: Pair, w: Pair, factor: int, weight: int
) -> tuple[int, int, int, Pair, Pair]:
    words = _EIGHT.unpack_from(content, position)
    x = _rotated(x + y + v[0] + words[1], 37) * factor
    y = _rotated(y + v[1] + words[6], 42) * factor
    x = (x ^ w[1] * weight) & _MASK
    y = y + v[0] * weight + words[5] & _MASK
    z = _rotated(z + w[0], 33) * factor & _MASK
    v = _weak(words[:4], v[1] * factor, x + w[0])
    w = _weak(words[4:], z + w[1], y + words[2])
    return z, y, x, v, w


def _weak(words: tuple[int, ...], one: int, other: int) -> Pair:
    first = one + words[0]
    other = _rotated(other + first + words[3], 21)
    total = first + words[1] + words[2]
    return total + words[3] & _MASK, other + _rotated(total, 44) + first & _MASK
