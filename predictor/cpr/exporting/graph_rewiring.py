"""A ``GraphDef`` cut down to what serving runs, with placeholders where requests come in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from cpr.errors import UsageError
from cpr.exporting._tensorflow import copied
from cpr.exporting.graph_ends import Ends, full, reached
from cpr.exporting.graph_tables import table_initializers

_STALE = ("_output_shapes", "_class")
"""Attributes that tell of the graph as it was: shapes that may change, and nodes that may be gone."""


class Served(NamedTuple):
    """The graph for serving: tensor names by the names of its signature, and the nodes that fill tables when it is loaded."""

    graph: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    initializers: tuple[str, ...]


def as_it_is(graph: Any, ends: Ends) -> Served:
    """What the outputs need, and what makes the inputs, unchanged but for devices: to ask the source itself."""
    nodes = {node.name: node for node in graph.node}
    tensors = [*ends.outputs.values(), *ends.inputs.values(), *ends.constants]
    kept, initializers = _with_tables(nodes, reached(nodes, tensors))
    return Served(_graph(graph, [nodes[name] for name in kept]), ends.inputs, ends.outputs, initializers)


def rewired(tf: Any, graph: Any, ends: Ends, shapes: Mapping[str, Any], dtypes: Mapping[str, Any]) -> Served:
    """Placeholders of these types and shapes (by input name, ``None`` for what is unknown) in place of the inputs' tensors."""
    nodes = {node.name: node for node in graph.node}
    stops = {*ends.inputs.values(), *ends.constants}
    if len(stops) != len(ends.inputs) + len(ends.constants):
        raise UsageError("One tensor is named twice among the inputs and constants.", "Name each once.", "--input")
    kept, initializers = _with_tables(nodes, reached(nodes, ends.outputs.values(), stops), stops)
    moved: dict[str, str] = {}
    made = []
    for key, tensor in ends.inputs.items():
        name = _place(nodes, tensor, key, set(kept) | set(moved.values()))
        moved[tensor] = name
        made.append(_placeholder(tf, name, dtypes[key], shapes[key]))
    for tensor, value in ends.constants.items():
        name = _place(nodes, tensor, tensor, set(kept) | set(moved.values()))
        moved[tensor] = name
        made.append(_constant(tf, name, dtypes[tensor], value, tensor))
    fresh = {node.name for node in made}
    rest = [nodes[name] for name in kept if name not in fresh]
    served = _graph(graph, [*made, *rest])
    for node in served.node:
        node.input[:] = [moved.get(full(written), written) for written in node.input]
    inputs = {key: f"{moved[tensor]}:0" for key, tensor in ends.inputs.items()}
    outputs = {key: f"{moved[tensor]}:0" if tensor in moved else tensor for key, tensor in ends.outputs.items()}
    return Served(served, inputs, outputs, initializers)


def _with_tables(nodes: Mapping[str, Any], kept: list[str], stops: set[str] | None = None) -> tuple[list[str], tuple[str, ...]]:
    initializers = table_initializers(nodes, kept)
    more = reached(nodes, initializers, stops or ())
    return list(dict.fromkeys([*kept, *more])), initializers


def _graph(graph: Any, nodes: list[Any]) -> Any:
    cut = type(graph)()
    cut.versions.CopyFrom(graph.versions)
    cut.library.CopyFrom(graph.library)
    order = {node.name: number for number, node in enumerate(graph.node)}
    for node in sorted(nodes, key=lambda node: order.get(node.name, -1)):
        cut.node.add().CopyFrom(node)
    for node in cut.node:
        node.device = ""
        for name in _STALE:
            node.attr.pop(name, None)
    return cut


def _place(nodes: Mapping[str, Any], tensor: str, key: str, taken: set[str]) -> str:
    """A placeholder keeps its name; in place of one output of another operation stands a node with a new one."""
    operation = tensor.partition(":")[0]
    if nodes[operation].op.startswith("Placeholder"):
        return operation
    stem = re.sub(r"[^A-Za-z0-9_.\\/-]", "_", key).lstrip("_/\\-") or "input"
    name, count = stem, 0
    while name in taken or name in nodes:
        count += 1
        name = f"{stem}_{count}"
    return name


def _placeholder(tf: Any, name: str, dtype: Any, shape: Any) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Placeholder")
    node.attr["dtype"].type = dtype.base_dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return node


def _constant(tf: Any, name: str, dtype: Any, value: Any, tensor: str) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    try:
        proto = tf.make_tensor_proto(value, dtype=dtype.base_dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"The value of {tensor} does not fit its type {dtype.base_dtype.name}: {error}.", "Correct it.", "--constant"
        ) from None
    node.attr["dtype"].type = dtype.base_dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(proto)
    return copied(node)
