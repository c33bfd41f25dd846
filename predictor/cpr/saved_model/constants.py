"""Numbers that every request finds the same, read from a graph: constants, and sums and products of them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection, Mapping

from cpr.saved_model.nodes import Body, Node, attribute, node_name
from cpr.saved_model.wire import ANY, BYTES, VARINT, Buffer, select, signed, varints

SAME = frozenset((b"Identity", b"Cast", b"Enter", b"StopGradient", b"PlaceholderWithDefault"))
"""Operations that give what they get; a placeholder with a default, where nobody feeds it."""

_DEEPEST = 8

_ARITHMETIC: Mapping[bytes, Callable[[float, float], float]] = {
    b"Add": lambda a, b: a + b,
    b"AddV2": lambda a, b: a + b,
    b"Sub": lambda a, b: a - b,
    b"Mul": lambda a, b: a * b,
    b"RealDiv": lambda a, b: a / b,
    b"Div": lambda a, b: a / b,
}

_PACKED = {1: "<f", 2: "<d", 3: "<i", 9: "<q", 19: "<e"}
"""How a single number of a type lies in ``tensor_content``; bfloat16 (14) is the upper half of a float32."""

_TENSOR = {1: VARINT, 4: BYTES, 5: ANY, 6: ANY, 7: ANY, 10: ANY, 13: ANY}


class Constants:
    """The numbers in a body of which a request feeds the inputs ``fed``. ``steps`` counts the work."""

    def __init__(self, buffer: Buffer, body: Body, fed: Collection[bytes]) -> None:
        self.buffer, self.body, self.fed = buffer, body, fed
        self.steps = 0
        self._known: dict[bytes, float | None] = {}

    def value(self, written: bytes, depth: int = _DEEPEST) -> float | None:
        """The number that a tensor is, ``None`` where it is not seen to be one."""
        name = node_name(written)
        node = self.body.nodes.get(name)
        if node is None or written in self.fed or not depth:
            return None
        if name not in self._known:
            self._known[name] = None  # until it is known: a graph has cycles
            self._known[name] = self._computed(node, depth)
        return self._known[name]

    def _computed(self, node: Node, depth: int) -> float | None:
        self.steps += 5
        if node.op == b"Const":
            return _constant(self.buffer, node)
        if node.op in SAME and node.inputs:
            return self.value(node.inputs[0], depth - 1)
        if node.op in _ARITHMETIC and len(node.inputs) >= 2:
            first, second = (self.value(written, depth - 1) for written in node.inputs[:2])
            if first is not None and second is not None:
                try:
                    result = _ARITHMETIC[node.op](first, second)
                except ZeroDivisionError:
                    return None
                return result if math.isfinite(result) else None
        return None


def _constant(buffer: Buffer, node: Node) -> float | None:
    """The number in a ``Const`` of one element, or of equal ones written as one; ``None`` for others and for text."""
    dtype, found = 0, []
    for _, begin, stop in select(buffer, *attribute(buffer, node.begin, node.stop, b"value"), {8: BYTES}):
        for number, at, to in select(buffer, begin, stop, _TENSOR):
            if number == 1:
                dtype = at
            elif to - at > 10:
                return None
            else:
                found.append((number, at, to))
    if len(found) != 1 or (dtype != 14 and dtype not in _PACKED):
        return None
    number, at, to = found[0]
    if number in (7, 10, 13):
        values = [signed(value) for value in varints(buffer, at, to)]
        if len(values) != 1 or number != 13:
            return float(values[0]) if len(values) == 1 else None
        packed = (values[0] & 0xFFFF).to_bytes(2, "little")
    else:
        packed = buffer[at:to]
    return _number(dtype, packed)


def _number(dtype: int, packed: bytes) -> float | None:
    if dtype == 14:
        dtype, packed = 1, b"\0\0" + packed
    if len(packed) != struct.calcsize(_PACKED[dtype]):
        return None
    value = float(struct.unpack(_PACKED[dtype], packed)[0])
    return value if math.isfinite(value) else None
