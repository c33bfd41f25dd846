"""The CRC32C of a content from those of its parts: they are taken side by side, and nothing is read twice."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_POLYNOMIAL = 0x82F63B78


def joined(parts: Iterable[tuple[int, int]]) -> int:
    """The CRC32C of contents one after the other, from the CRC32C and the length in bytes of each.

    Appending zeros is linear over the bits, so that the operator for any number of them is made by squaring (Mark Adler's
    ``crc32_combine``, https://github.com/madler/zlib).
    """
    whole = 0
    for crc32c, length in parts:
        whole = _applied(_zeros(length), whole) ^ crc32c
    return whole


@lru_cache(maxsize=64)
def _zeros(length: int) -> tuple[int, ...]:
    """The operator that appends ``length`` zero bytes: its 32 columns."""
    result = tuple(1 << bit for bit in range(32))  # none
    step = (_POLYNOMIAL, *(1 << bit for bit in range(31)))  # one zero bit
    for _ in range(3):
        step = _product(step, step)  # one zero byte
    while length:
        if length & 1:
            result = _product(step, result)
        step = _product(step, step)
        length >>= 1
    return result


def _product(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_applied(first, column) for column in second)


def _applied(operator: tuple[int, ...], bits: int) -> int:
    result, column = 0, 0
    while bits:
        if bits & 1:
            result ^= operator[column]
        bits >>= 1
        column += 1
    return result
