"""Text and numbers as bytes whose order is that of the values: the keys under which slices of variables are filed.

Source: ``tensorflow/core/lib/strings/ordered_code.cc`` and ``EncodeTensorNameSlice`` in ``saved_tensor_slice_util.cc``.
"""

from __future__ import annotations

from collections.abc import Iterable

WHOLE = -1
"""The extent of a slice in a dimension that is not cut; it starts at 0."""


def slice_key(name: bytes, extents: Iterable[tuple[int, int]]) -> bytes:
    """The key of a slice of the variable ``name``, of which ``extents`` are first element and count in each dimension."""
    numbers = [number for extent in extents for number in extent]
    return _unsigned(0) + _text(name) + _unsigned(len(numbers) // 2) + b"".join(map(_signed, numbers))


def _text(value: bytes) -> bytes:
    """Ended by 0, 1; so the bytes 0 and 255 need a second one."""
    return b"\xff\0".join(part.replace(b"\0", b"\0\xff") for part in value.split(b"\xff")) + b"\0\1"


def _unsigned(value: int) -> bytes:
    length = (value.bit_length() + 7) // 8
    return bytes([length]) + value.to_bytes(length, "big")


def _signed(value: int) -> bytes:
    """From -2**63 to 2**63-1. First come as many ones (zeros where it is negative) as it has bytes, then the number."""
    length = (value if value >= 0 else ~value).bit_length() // 7 + 1
    header = (1 << length) - 1 << 7 * length
    return (value & (1 << 8 * length) - 1 ^ header).to_bytes(length, "big")
