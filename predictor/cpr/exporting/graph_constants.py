"""Large constants of a frozen graph become variables again: a server loads them in a fraction of the time and memory.

A constant is parsed with the graph, copied into kernels and folded anew: 430 MB of them took 7.7 GB at the first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEAST = 1 << 20
"""Bytes of a constant that is worth a variable."""


def thaw(tf: Any, graph: Any) -> Mapping[str, Any]:
    """Turn the large constants of a ``GraphDef`` into variables with an initial read, in place; gives the values by variable.

    The read keeps the constant's name. Constants within a loop of TensorFlow 1 stay, as a variable cannot be read there.
    """
    values: dict[str, Any] = {}
    taken = {node.name for node in graph.node}
    for node in list(graph.node):
        if node.op != "Const" or node.input or node.attr["value"].tensor.ByteSize() < _LEAST:
            continue
        name = f"{node.name}/variable"
        if name in taken:
            continue
        values[name] = tf.make_ndarray(node.attr["value"].tensor)
        dtype = node.attr["dtype"].type
        handle = graph.node.add(name=name, op="VarHandleOp")
        handle.attr["dtype"].type = dtype
        handle.attr["shape"].shape.CopyFrom(tf.TensorShape(values[name].shape).as_proto())
        handle.attr["shared_name"].s = name.encode()
        del node.attr["value"]
        node.op = "ReadVariableOp"
        node.input.append(name)
    return values


def told(values: Mapping[str, Any]) -> list[str]:
    """What was done, in words."""
    if not values:
        return []
    size = sum(array.nbytes for array in values.values())
    count = "1 constant" if len(values) == 1 else f"{len(values)} constants"
    return [f"weights: {count} of {size:,} bytes became variables, which take less memory to load"]
