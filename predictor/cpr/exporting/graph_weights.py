"""The variables of a graph: their values from a checkpoint, and what a SavedModel says of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cpr.errors import ModelError, UsageError
from cpr.exporting._tensorflow import variable_message

_REFERENCES = frozenset(("Variable", "VariableV2", "AutoReloadVariable"))
_RESOURCE = "VarHandleOp"
_COLLECTION = "variables"
_SHOWN = 6


Value = Callable[[str], Any]
"""A variable's value by its name."""


class Slot(NamedTuple):
    """A variable's node, and the nodes added to it: ``fill`` is fed to ``assign``."""

    name: str
    assign: str
    fill: str


class Weights:
    """The values of a graph's variables by their names: those ``known``, else of a checkpoint.

    Parts of partitioned variables are cut out of the whole.
    """

    def __init__(self, tf: Any, graph: Any, meta: Any, prefix: Path, known: Mapping[str, Any]) -> None:
        self._known = known
        self._reader = tf.train.load_checkpoint(str(prefix))
        self._parts = _parts(meta)
        there = self._reader.get_variable_to_shape_map()
        self._keys: dict[str, str] = {}
        missing = []
        for node in variables(graph):
            if node.name in known:
                continue
            spellings = [self._parts[node.name].full_name] if node.name in self._parts else []
            spellings += [node.name, node.attr["shared_name"].s.decode(), f"{node.name}/.ATTRIBUTES/VARIABLE_VALUE"]
            key = next((each for each in spellings if each in there), None)
            if key is None:
                missing.append(node.name)
            else:
                self._keys[node.name] = key
        if missing:
            names = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
            raise ModelError(
                f"The checkpoint {prefix} has no value for {names}.", "Name the checkpoint of this graph.", str(prefix)
            )

    def value(self, name: str) -> Any:
        """As an array."""
        if name in self._known:
            return self._known[name]
        whole = self._reader.get_tensor(self._keys[name])
        part = self._parts.get(name)
        if part is None or self._keys[name] == name:
            return whole
        return whole[tuple(slice(at, at + size) for at, size in zip(part.var_offset, part.var_shape, strict=True))]


def variables(graph: Any) -> list[Any]:
    """The nodes of a ``GraphDef`` that are variables."""
    return [node for node in graph.node if node.op in _REFERENCES or node.op == _RESOURCE]


def refuse_variables(graph: Any, known: Collection[str]) -> None:
    """``UsageError`` for a graph that has weights elsewhere than in those ``known``."""
    names = [node.name for node in variables(graph) if node.name not in known]
    if names:
        raise UsageError(
            f"The graph has variables and no values for them: {', '.join(names[:_SHOWN])}.",
            "Add `--checkpoint PREFIX`, the checkpoint that belongs to it.",
            "--checkpoint",
        )


def attach(tf: Any, meta: Any) -> list[Slot]:
    """Give every variable of a ``MetaGraphDef`` an initializer of zeros, which costs no space, and list it as a variable.

    The loaders find the variables by that list; what the training initialised them with is not needed any more.
    """
    nodes = variables(meta.graph_def)
    if not nodes:
        return []
    slots, listed = [], []
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(meta.graph_def, name="")
        for node in nodes:
            slot, read = _added(tf, graph, node)
            slots.append(slot)
            listed.append(_described(node, slot, read))
        meta.graph_def.CopyFrom(graph.as_graph_def())
    meta.collection_def[_COLLECTION].bytes_list.value.extend(each.SerializeToString() for each in listed)
    return slots


def load(session: Any, slots: list[Slot], value: Value) -> None:
    """Set the variables, one after the other."""
    for slot in slots:
        session.run(session.graph.get_operation_by_name(slot.assign), {slot.fill: value(slot.name)})


def _added(tf: Any, graph: Any, node: Any) -> tuple[Slot, str]:
    variable = graph.get_tensor_by_name(f"{node.name}:0")
    dtype, shape = tf.as_dtype(node.attr["dtype"].type), tf.TensorShape(node.attr["shape"].shape)
    if not shape.is_fully_defined():
        raise ModelError(f"The variable {node.name} has no fixed shape.", "Such a graph cannot be exported here.", node.name)
    with tf.name_scope(f"export/{node.name}/"):
        zero = tf.constant("" if dtype == tf.string else False if dtype == tf.bool else 0, dtype)
        fill = tf.fill(shape.as_list(), zero)
        if node.op == _RESOURCE:
            assign = tf.raw_ops.AssignVariableOp(resource=variable, value=fill)
            read = tf.raw_ops.ReadVariableOp(resource=variable, dtype=dtype)
        else:
            assign = tf.raw_ops.Assign(ref=variable, value=fill).op
            read = tf.identity(variable)
    return Slot(node.name, assign.name, fill.name), read.name


def _described(node: Any, slot: Slot, read: str) -> Any:
    return variable_message()(
        variable_name=f"{node.name}:0",
        initial_value_name=slot.fill,
        initializer_name=slot.assign,
        snapshot_name=read,
        is_resource=node.op == _RESOURCE,
        trainable=True,
    )


def _parts(meta: Any) -> Mapping[str, Any]:
    """Where each part of a partitioned variable lies in the whole."""
    described = (variable_message().FromString(written) for written in meta.collection_def[_COLLECTION].bytes_list.value)
    return {
        each.variable_name.partition(":")[0]: each.save_slice_info_def
        for each in described
        if each.HasField("save_slice_info_def") and each.save_slice_info_def.full_name
    }
