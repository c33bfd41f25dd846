"""The CRC32C of two contents one after the other, from theirs alone: parts arrive in any order, and nothing of them is kept."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78


def combined(first: int, second: int, length: int) -> int:
    """The CRC32C of ``A + B`` from those of ``A`` and ``B``, with ``length`` bytes in ``B``.

    Appending zeros is linear over the bits, so that the operator for any number of them is made by squaring (Mark Adler's
    ``crc32_combine``, https://github.com/madler/zlib).
    """
    operator = [_POLYNOMIAL, *(1 << bit for bit in range(31))]  # one zero bit
    for _ in range(3):
        operator = _squared(operator)  # one zero byte
    while length:
        if length & 1:
            first = _applied(operator, first)
        operator = _squared(operator)
        length >>= 1
    return first ^ second


def _applied(operator: list[int], bits: int) -> int:
    result, column = 0, 0
    while bits:
        if bits & 1:
            result ^= operator[column]
        bits >>= 1
        column += 1
    return result


def _squared(operator: list[int]) -> list[int]:
    return [_applied(operator, column) for column in operator]
