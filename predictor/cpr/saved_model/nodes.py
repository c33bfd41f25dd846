"""The nodes of a graph and of the functions in its library, by name.

Field numbers are those of ``graph.proto``, ``node_def.proto``, ``function.proto``, ``op_def.proto`` and ``attr_value.proto`` in
TensorFlow 2.21. A function is read when somebody asks for it, an attribute likewise; no value is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cpr.saved_model.wire import BYTES, Buffer, last, select, string, varint

_WITHOUT_FUNCTIONS = frozenset(
    b"Add AddV2 Assert AssignVariableOp BiasAdd Cast ConcatV2 Const Conv2D DepthwiseConv2dNative Enter Exit ExpandDims Fill "
    b"FusedBatchNormV3 GatherV2 GreaterEqual HashTableV2 Identity IdentityN LookupTableFindV2 LookupTableImportV2 MatMul "
    b"MaxPool Maximum Mean Merge Minimum Mul NextIteration NoOp Pack Pad Placeholder RandomUniform Range ReadVariableOp "
    b"RealDiv Relu Reshape ResourceGather RestoreV2 Rsqrt SaveV2 SelectV2 Shape ShardedFilename Sigmoid Softmax Split Squeeze "
    b"StridedSlice Sub Sum Switch Tanh TensorListReserve Tile Transpose Unpack VarHandleOp VariableV2 ZerosLike".split()
)
"""The usual operations, none of which has a function for an attribute: theirs need not be looked through."""

_NAME, _OP, _INPUT = 0x0A, 0x12, 0x1A
_NODE_TAGS = frozenset((_NAME, _OP, _INPUT, 0x22, 0x2A, 0x32, 0x3A))
"""The fields of a ``NodeDef`` with their wire type: also the device, attributes, debug and type information."""


class Node(NamedTuple):
    """One operation. ``inputs`` are as written: ``name``, ``name:1``, ``^name``, and in a function ``name:output:0``."""

    op: bytes
    inputs: tuple[bytes, ...]
    begin: int
    stop: int


class Body(NamedTuple):
    """The graph itself, or one function of its library.

    ``results`` are the names that a function returns and the inputs-as-written that they come from, in order; ``controls`` are
    nodes that must have run as well.
    """

    name: bytes
    nodes: Mapping[bytes, Node]
    arguments: tuple[bytes, ...] = ()
    results: tuple[tuple[bytes, bytes], ...] = ()
    controls: tuple[bytes, ...] = ()


def node_name(written: bytes) -> bytes:
    """The node that an input as written comes from."""
    if written[:1] == b"^":
        return written[1:]
    colon = written.find(b":")
    return written if colon < 0 else written[:colon]


def output_index(written: bytes) -> int:
    """Which output of the node it is; the first where that is not said."""
    digits = written.rpartition(b":")[2] if b":" in written else b""
    return int(digits) if digits.isdigit() and len(digits) < 9 else 0


def read_nodes(buffer: Buffer, start: int, end: int, number: int, ops: dict[bytes, int], nodes: dict[bytes, Node]) -> None:
    """Add the nodes in the fields ``number`` of a message to ``nodes``, and count their operations in ``ops``."""
    for _, begin, stop in select(buffer, start, end, {number: BYTES}):
        name, op, inputs = _read_node(buffer, begin, stop)
        ops[op] = ops.get(op, 0) + 1
        nodes[name] = Node(op, tuple(inputs), begin, stop)


def _read_node(buffer: Buffer, start: int, end: int) -> tuple[bytes, bytes, list[bytes]]:
    """Name, operation and inputs of a ``NodeDef``."""
    # As select would find them, written out: most of the time that a large graph takes is spent here.
    name = op = b""
    inputs: list[bytes] = []
    position = start
    while position < end:
        tag = buffer[position]
        if tag not in _NODE_TAGS or position + 1 >= end:
            return _select_node(buffer, start, end)
        length = buffer[position + 1]
        position += 2
        if length > 127:
            length, position = varint(buffer, position - 1, end)
        if tag == _INPUT:
            inputs.append(buffer[position : position + length])
        elif tag == _OP:
            op = buffer[position : position + length]
        elif tag == _NAME:
            name = buffer[position : position + length]
        position += length
    return (name, op, inputs) if position <= end else _select_node(buffer, start, end)


def _select_node(buffer: Buffer, start: int, end: int) -> tuple[bytes, bytes, list[bytes]]:
    """The same for a node that has other fields than TensorFlow 2.21 knows, or is broken."""
    name = op = b""
    inputs = []
    for number, begin, stop in select(buffer, start, end, {1: BYTES, 2: BYTES, 3: BYTES}):
        if number == 3:
            inputs.append(buffer[begin:stop])
        elif number == 2:
            op = buffer[begin:stop]
        else:
            name = buffer[begin:stop]
    return name, op, inputs


def read_function(buffer: Buffer, name: bytes, start: int, end: int) -> Body:
    """A ``FunctionDef``."""
    nodes: dict[bytes, Node] = {}
    read_nodes(buffer, start, end, 3, {}, nodes)
    arguments: list[bytes] = []
    outputs: list[bytes] = []
    returned: dict[bytes, bytes] = {}
    controls: list[bytes] = []
    for number, begin, stop in select(buffer, start, end, {1: BYTES, 4: BYTES, 6: BYTES}):
        if number == 1:
            for inner, at, to in select(buffer, begin, stop, {2: BYTES, 3: BYTES}):
                (arguments if inner == 2 else outputs).append(string(buffer, at, to, 1))
        elif number == 4:
            returned[string(buffer, begin, stop, 1)] = string(buffer, begin, stop, 2)
        else:
            controls.append(string(buffer, begin, stop, 2))
    results = tuple((output, returned.get(output, b"")) for output in outputs)
    return Body(name, nodes, tuple(arguments), results, tuple(controls))


def functions_of(buffer: Buffer, node: Node) -> Iterator[bytes]:
    """Every function that an attribute of the node names, alone or in a list."""
    if node.op in _WITHOUT_FUNCTIONS:
        return
    for _, begin, stop in select(buffer, node.begin, node.stop, {5: BYTES}):
        for number, at, to in select(buffer, *last(buffer, begin, stop, 2), {1: BYTES, 10: BYTES}):
            if number == 10:
                yield string(buffer, at, to, 1)
            else:
                for _, item, item_end in select(buffer, at, to, {9: BYTES}):
                    yield string(buffer, item, item_end, 1)


def attribute(buffer: Buffer, start: int, end: int, name: bytes) -> tuple[int, int]:
    """Where the ``AttrValue`` of an attribute lies; (0, 0) where the ``NodeDef`` does not have it."""
    found = (0, 0)
    for _, begin, stop in select(buffer, start, end, {5: BYTES}):
        if string(buffer, begin, stop, 1) == name:
            found = last(buffer, begin, stop, 2)
    return found
