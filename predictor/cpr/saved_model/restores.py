"""What a model restores from its checkpoint when it is loaded: the keys that its graph asks for, and their types.

Every saved graph has a node that restores it (``saver_def.restore_op_name``): in TensorFlow 1 it leads to ``RestoreV2`` nodes
that take the saver's file name, in TensorFlow 2 it calls a function that holds them. A second look at the file, apart from the
reader's: most nodes are passed over by searching for a few bytes. Field numbers are those of ``meta_graph.proto``,
``saver.proto``, ``graph.proto``, ``node_def.proto``, ``function.proto``, ``attr_value.proto`` and ``tensor.proto`` of
TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cpr.saved_model.dtypes import dtype_name, tensor_shape
from cpr.saved_model.nodes import attribute, node_name
from cpr.saved_model.wire import BYTES, Buffer, last, opened, select, string, text, varint

Span = tuple[int, int]

_RESTORE, _NAMES = b"RestoreV2", b"/tensor_names"
_VARIABLES = (b"VarHandleOp", b"VariableV2")

_LARGEST = 16 << 20
"""Bytes of a node that is looked into: the names of a hundred thousand variables are no longer."""


class Restored(NamedTuple):
    """``keys`` maps what a graph restores to data types.

    ``resources`` and ``references`` are the shapes of TensorFlow 1's variables whose name is one of these keys; both are empty
    for what TensorFlow 2 saved, where the object graph has them.
    """

    keys: dict[str, str | None]
    resources: dict[str, tuple[int | None, ...]]
    references: dict[str, tuple[int | None, ...]]


def read_restored(path: Path) -> tuple[Restored, ...]:
    """One for each MetaGraph of a ``saved_model.pb``, in order. ``ModelError`` where the file is broken."""
    with opened(path) as buffer:
        return parse_restored(buffer)


def parse_restored(buffer: Buffer) -> tuple[Restored, ...]:
    """The same for the bytes of the file."""
    return tuple(_of_graph(buffer, begin, stop) for _, begin, stop in select(buffer, 0, len(buffer), {2: BYTES}))


def _of_graph(buffer: Buffer, start: int, end: int) -> Restored:
    graph, saver, objects = (0, 0), (0, 0), False
    for number, begin, stop in select(buffer, start, end, {2: BYTES, 3: BYTES, 7: BYTES}):
        if number == 2:
            graph = (begin, stop)
        elif number == 3:
            saver = (begin, stop)
        else:
            objects = stop > begin
    file_name, restore = (node_name(string(buffer, *saver, field)) for field in (1, 3))
    if not restore:
        return Restored({}, {}, {})
    if objects:
        function = _called(buffer, graph, restore)
        nodes = [] if function is None else _nodes(buffer, function, 3, _RESTORE, _NAMES)
        return Restored(dict(_restored(buffer, nodes, None)), {}, {})
    nodes = _nodes(buffer, graph, 1, _RESTORE, _NAMES, *_VARIABLES)
    keys = dict(_restored(buffer, nodes, file_name))
    return Restored(keys, *(dict(_shapes(buffer, nodes, op, keys)) for op in _VARIABLES))


def _called(buffer: Buffer, graph: Span, restore: bytes) -> Span | None:
    """The library function that the node ``restore`` calls."""
    name = b""
    for begin, stop in _nodes(buffer, graph, 1, restore):
        if string(buffer, begin, stop, 1) == restore:
            name = string(buffer, *last(buffer, *attribute(buffer, begin, stop, b"f"), 10), 1)
    for _, library, library_end in select(buffer, *graph, {2: BYTES}):
        for _, begin, stop in select(buffer, library, library_end, {1: BYTES}):
            # The signature comes first; the nodes behind it need not be walked to find the name.
            _, at, to = next(select(buffer, begin, stop, {1: BYTES}), (0, 0, 0))
            if name and string(buffer, at, to, 1) == name:
                return begin, stop
    return None


def _restored(buffer: Buffer, nodes: list[Span], file_name: bytes | None) -> Iterator[tuple[str, str | None]]:
    """Keys and types of the RestoreV2 nodes that read ``file_name`` (``None``: of all)."""
    types: dict[bytes, list[int]] = {}
    for begin, stop in nodes:
        if string(buffer, begin, stop, 2) == _RESTORE:
            inputs = [node_name(buffer[at:to]) for _, at, to in select(buffer, begin, stop, {3: BYTES})]
            if len(inputs) >= 3 and file_name in (None, inputs[0]):
                types[inputs[1]] = list(_types(buffer, *attribute(buffer, begin, stop, b"dtypes")))
    for begin, stop in nodes:
        numbers = types.pop(string(buffer, begin, stop, 1), None)
        if numbers is not None:
            tensor = last(buffer, *attribute(buffer, begin, stop, b"value"), 8)
            keys = [text(buffer, at, to) for _, at, to in select(buffer, *tensor, {8: BYTES})]
            if len(keys) == len(numbers):
                yield from zip(keys, map(dtype_name, numbers), strict=True)


def _shapes(
    buffer: Buffer, nodes: list[Span], op: bytes, keys: dict[str, str | None]
) -> Iterator[tuple[str, tuple[int | None, ...]]]:
    for begin, stop in nodes:
        if string(buffer, begin, stop, 2) == op:
            name = text(buffer, *last(buffer, begin, stop, 1))
            written = last(buffer, *attribute(buffer, begin, stop, b"shape"), 7)
            shape = tensor_shape(buffer, *written) if written != (0, 0) else None
            if name in keys and shape is not None:
                yield name, shape


def _nodes(buffer: Buffer, holder: Span, field: int, *marks: bytes) -> list[Span]:
    """The messages in a field of ``holder`` whose bytes hold one of the marks somewhere, but for large constants."""
    return [
        (begin, stop)
        for _, begin, stop in select(buffer, *holder, {field: BYTES})
        if stop - begin <= _LARGEST and any(buffer.find(mark, begin, stop) >= 0 for mark in marks)
    ]


def _types(buffer: Buffer, start: int, end: int) -> Iterator[int]:
    """The list of types in an ``AttrValue``, packed as protobuf 3 does."""
    position, stop = last(buffer, *last(buffer, start, end, 1), 6)
    while position < stop:
        number, position = varint(buffer, position, stop)
        yield number
