"""TensorFlow's data types: number in the protobufs, name, and size of one element in bytes; and its shapes.

Source: ``tensorflow/core/framework/types.proto`` and ``tf.dtypes`` of TensorFlow 2.21; a test compares every row with them.
"""

from __future__ import annotations

from cpr.saved_model.wire import BYTES, VARINT, Buffer, malformed, select, signed

_TYPES = {
    1: ("float32", 4),
    2: ("float64", 8),
    3: ("int32", 4),
    4: ("uint8", 1),
    5: ("int16", 2),
    6: ("int8", 1),
    7: ("string", None),
    8: ("complex64", 8),
    9: ("int64", 8),
    10: ("bool", 1),
    11: ("qint8", 1),
    12: ("quint8", 1),
    13: ("qint32", 4),
    14: ("bfloat16", 2),
    15: ("qint16", 2),
    16: ("quint16", 2),
    17: ("uint16", 2),
    18: ("complex128", 16),
    19: ("float16", 2),
    20: ("resource", None),
    21: ("variant", None),
    22: ("uint32", 4),
    23: ("uint64", 8),
    24: ("float8_e5m2", 1),
    25: ("float8_e4m3fn", 1),
    26: ("float8_e4m3fnuz", 1),
    27: ("float8_e4m3b11fnuz", 1),
    28: ("float8_e5m2fnuz", 1),
    29: ("int4", 1),
    30: ("uint4", 1),
    31: ("int2", 1),
    32: ("uint2", 1),
    33: ("float4_e2m1fn", 1),
}

_REF = 100
"""What is added to the number of a type for a reference to it (TF1's VariableV2)."""

_SPELT = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}


def numbers_by_enum_name() -> dict[str, int]:
    """``DT_FLOAT`` and ``DT_FLOAT_REF`` to their numbers, as the text form of the protobufs spells them."""
    numbers = {"DT_INVALID": 0}
    for number, (name, _) in _TYPES.items():
        spelt = "DT_" + _SPELT.get(name, name.upper())
        numbers |= {spelt: number, spelt + "_REF": number + _REF}
    return numbers


def dtype_name(number: int) -> str | None:
    """``float32``, ``string``, ``float32_ref``; ``None`` for 0 (none given); ``dtype_99`` for what TensorFlow 2.21 has not."""
    if number == 0:
        return None
    if number in _TYPES:
        return _TYPES[number][0]
    if number - _REF in _TYPES:
        return _TYPES[number - _REF][0] + "_ref"
    return f"dtype_{number}"


def element_size(number: int) -> int | None:
    """Bytes of one element as a checkpoint stores it, or ``None`` where they differ from element to element."""
    return _TYPES.get(number, (None, None))[1]


def tensor_shape(buffer: Buffer, start: int, end: int) -> tuple[int | None, ...] | None:
    """A ``TensorShapeProto``: ``None`` for an unknown rank, ``None`` in it for an unknown dimension."""
    dimensions: list[int | None] = []
    unknown_rank = False
    for number, begin, stop in select(buffer, start, end, {2: BYTES, 3: VARINT}):
        if number == 3:
            unknown_rank = bool(begin)
            continue
        size = 0
        for _, value, _ in select(buffer, begin, stop, {1: VARINT}):
            size = signed(value)
        if size < -1:
            raise malformed(f"the dimension at byte {begin} is {size}")
        dimensions.append(None if size == -1 else size)
    return None if unknown_rank else tuple(dimensions)
