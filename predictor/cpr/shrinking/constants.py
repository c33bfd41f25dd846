"""Large constants of a frozen graph, made variables: as constants they take many times their size at the first call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cpr.shrinking import _tensorflow
from cpr.shrinking.model import Model, Stored
from cpr.shrinking.pruning import listed_operations
from cpr.shrinking.restoring import Target, read_targets, saver_nodes, write_saver
from cpr.shrinking.scopes import MAIN, Scope, keep_nodes, scopes_of

LARGE, MIDDLING = 1 << 20, 1 << 14
"""Bytes from which a constant is worth it: by itself, and where weights are to be stored smaller, which only variables can."""


def with_variables(model: Model, least: int = LARGE) -> Model:
    """The model with the floating-point constants of its graph, from so many bytes on, as variables of its checkpoint.

    That of TensorFlow 1 alone, where a variable is a node of the graph: in functions it would have to be handed to them. A
    model with several graphs stays as it is.
    """
    if len(model.proto.meta_graphs) != 1 or model.proto.meta_graphs[0].HasField("object_graph_def"):
        return model
    graph = model.proto.meta_graphs[0].graph_def
    if not any(_is_large(node, least) for node in graph.node):
        return model
    proto = model.copied_proto()
    meta = proto.meta_graphs[0]
    targets = read_targets(meta)
    main = scopes_of(meta.graph_def)[MAIN]
    saved = saver_nodes(meta, targets)
    keep_nodes(main, set(main.by_name) - saved)
    tensors = dict(model.tensors)
    made = []
    for node in [node for node in main.nodes if _is_large(node, least)]:
        target, tensor = _as_variable(main, node, set(tensors))
        tensors[target.keys[0]] = tensor
        made.append(target)
        meta.collection_def["variables"].bytes_list.value.append(_described(main, target, tensor))
    _with_saver(meta, main)
    write_saver(meta, (*targets, *made))
    listed_operations(meta)
    return replace(model, proto=proto, tensors=tensors)


def _is_large(node: Any, least: int) -> bool:
    if node.op != "Const" or node.ByteSize() < least:
        return False
    return bool(_tensorflow.tensorflow().as_dtype(node.attr["dtype"].type).is_floating)


def _as_variable(main: Scope, node: Any, taken: set[str]) -> tuple[Target, Stored]:
    """Put a variable and its read, which gets the name of the constant, in its place."""
    tf = _tensorflow.tensorflow()
    value = tf.make_ndarray(node.attr["value"].tensor)
    dtype = node.attr["dtype"].type
    name = main.fresh(f"{node.name}/variable")
    while name in taken:
        name += "_"
    main.add(_tensorflow.variable_node(name, dtype, value.shape))
    node.CopyFrom(_tensorflow.node("ReadVariableOp", node.name, [name], dtype=dtype))
    target = Target(name, "AssignVariableOp", (name,), ("",), (dtype,))
    return target, Stored(dtype, tuple(value.shape), lambda: tf.constant(value))


def _described(main: Scope, target: Target, tensor: Stored) -> bytes:
    """The entry of the collection by which TensorFlow 2 finds the variable. It begins with zeros."""
    import numpy as np

    tf = _tensorflow.tensorflow()
    name, dtype = target.node, target.dtypes[0]
    main.add(_tensorflow.constant(f"{name}/dims", np.array(tensor.shape, np.int32)))
    main.add(_tensorflow.constant(f"{name}/zero", tf.zeros([], dtype).numpy()))
    kinds = {"T": dtype, "index_type": tf.int32.as_datatype_enum}
    main.add(_tensorflow.node("Fill", f"{name}/zeros", [f"{name}/dims", f"{name}/zero"], **kinds))
    main.add(_tensorflow.node("AssignVariableOp", f"{name}/Assign", [name, f"{name}/zeros"], dtype=dtype))
    main.add(_tensorflow.node("ReadVariableOp", f"{name}/Read", [name], dtype=dtype))
    return _tensorflow.variable_entry(f"{name}:0", f"{name}/Assign", f"{name}/Read:0", f"{name}/zeros:0")


def _with_saver(meta: Any, main: Scope) -> None:
    """A frozen graph has none."""
    saver = meta.saver_def
    if saver.restore_op_name:
        return
    tf = _tensorflow.tensorflow()
    name = main.fresh("serving_file")
    main.add(_tensorflow.node("Placeholder", name, [], dtype=tf.string.as_datatype_enum))
    saver.filename_tensor_name = f"{name}:0"
    saver.save_tensor_name = saver.restore_op_name = name  # to be written anew
    saver.version = type(saver).V2
