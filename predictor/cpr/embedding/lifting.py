"""A graph without Python objects, as TensorFlow 1 wrote it, for use inside a function of TensorFlow 2.

``tf.saved_model.load`` gives one that runs, but cannot be saved again: reference variables stay nodes, without their values. So
variables and tables become objects of TensorFlow 2 here, and the nodes between them are imported.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cpr.errors import ModelError

_VARIABLES = frozenset(("Variable", "VariableV2", "AutoReloadVariable", "VarHandleOp"))
_TABLE = "HashTableV2"
_FROM_FILE = frozenset(("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"))
_ASSETS = "saved_model_assets"
_STALE = ("_class", "_output_shapes")
"""Attributes that name nodes which are no longer there, and shapes that may change."""


class Lifted:
    """One signature of a SavedModel, with its ``variables`` and ``tables``: call it with tensors by name in a ``tf.function``.

    ``ModelError`` for tables of kinds that cannot be lifted, and for inputs and outputs that are no dense tensors.
    """

    def __init__(self, tf: Any, path: Path, tags: Sequence[str], name: str) -> None:
        self._tf = tf
        v1 = tf.compat.v1
        load = v1.saved_model.loader.load
        load = getattr(load, "__wrapped__", load)  # which leaves out the advice to use the other loader
        with (
            tf.Graph().as_default() as graph,
            v1.Session(graph=graph, config=v1.ConfigProto(allow_soft_placement=True)) as session,
        ):
            meta = load(session, list(tags), str(path))
            definition = meta.signature_def[name]
            self._inputs, self._outputs = _names(definition.inputs), _names(definition.outputs)
            kept, ends = _reached(meta.graph_def, self._outputs.values(), set(self._inputs.values()))
            tensors = {key: graph.get_tensor_by_name(info) for key, info in self._inputs.items()}
            specs = [tf.TensorSpec(tensor.shape, tensor.dtype, key) for key, tensor in tensors.items()]
            values = {node.name: _value(tf, graph, session, node) for node in ends if node.op in _VARIABLES}
            fills = {node.name: _fill(tf, session, meta, node, path) for node in ends if node.op == _TABLE}
        self._graph = _cut(meta.graph_def, kept)
        self.variables = {
            node.name: tf.Variable(values.pop(node.name), name=node.name, dtype=node.attr["dtype"].type)
            for node in ends
            if node.op in _VARIABLES
        }
        self.tables = {name: _table(tf, fill) for name, fill in fills.items()}
        self._handles = {node.name for node in ends if node.op == "VarHandleOp"}
        # Not a tf.function: that would order operations, and across the frames of TensorFlow 1's loops it may not.
        self._run = v1.wrap_function(self._imported, specs)

    def __call__(self, **given: Any) -> dict[str, Any]:
        return dict(zip(self._outputs, self._run(*(given[key] for key in self._inputs)), strict=True))

    def _imported(self, *given: Any) -> list[Any]:
        capture = self._tf.compat.v1.get_default_graph().capture
        mapped = dict(zip(self._inputs.values(), given, strict=True))
        for name, variable in self.variables.items():
            mapped[f"{name}:0"] = capture(variable.handle) if name in self._handles else variable.read_value()
        mapped |= {f"{name}:0": capture(table.resource_handle) for name, table in self.tables.items()}
        wanted = [name for name in self._outputs.values() if name not in mapped]
        made = self._tf.graph_util.import_graph_def(self._graph, _used(self._graph, mapped), wanted, name="model")
        found = {**mapped, **dict(zip(wanted, made, strict=True))}
        return [self._tf.identity(found[name]) for name in self._outputs.values()]


class _Fill(NamedTuple):
    """What a table holds: a ``file`` and how it is read, or ``keys`` and ``values``."""

    key_dtype: Any
    value_dtype: Any
    file: Path | None
    how: Mapping[str, Any]
    keys: Any = None
    values: Any = None


def _names(infos: Mapping[str, Any]) -> dict[str, str]:
    for key, info in infos.items():
        if info.WhichOneof("encoding") != "name":
            raise ModelError(f"{key!r} is no dense tensor.", "Export a signature of dense tensors.", key)
    return {key: info.name for key, info in infos.items()}


def _full(written: str) -> str:
    """The name of a tensor as signatures have it: ``x`` is ``x:0``."""
    return written if ":" in written or written.startswith("^") else f"{written}:0"


def _reached(graph: Any, outputs: Iterable[str], stops: Collection[str]) -> tuple[set[str], list[Any]]:
    """The nodes that make the outputs from the tensors ``stops``; and the variables and tables where that ends, too."""
    nodes = {node.name: node for node in graph.node}
    kept: set[str] = set()
    ends: dict[str, Any] = {}
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        name = tensor.removeprefix("^").partition(":")[0]
        if tensor in stops or name in kept or name in ends:
            continue
        node = nodes[name]
        if node.op in _VARIABLES or node.op == _TABLE:
            ends[name] = node
        elif "HashTable" in node.op:
            raise ModelError(
                f"The graph has a table of the kind {node.op}, which cannot be lifted out of it.",
                "Export the model again with TensorFlow 2, or with tf.lookup.StaticHashTable.",
                name,
            )
        else:
            kept.add(name)
            waiting += map(_full, node.input)
    return kept, list(ends.values())


def _cut(graph: Any, kept: Collection[str]) -> Any:
    cut = type(graph)()
    cut.versions.CopyFrom(graph.versions)
    cut.library.CopyFrom(graph.library)
    for node in graph.node:
        if node.name in kept:
            copied = cut.node.add()
            copied.CopyFrom(node)
            copied.device = ""
            copied.input[:] = [each for each in node.input if not each.startswith("^") or each[1:] in kept]
            for name in _STALE:
                copied.attr.pop(name, None)
    _rename_functions(cut, secrets.token_hex(4))
    return cut


def _rename_functions(graph: Any, mark: str) -> None:
    """Give the functions of a graph names of its own: in a process, all functions of a name are held to be one."""
    names = {each.signature.name: f"{each.signature.name}_{mark}" for each in graph.library.function}
    for each in graph.library.function:
        each.signature.name = names[each.signature.name]
    for gradient in graph.library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    for node in (*graph.node, *(node for each in graph.library.function for node in each.node_def)):
        node.op = names.get(node.op, node.op)
        for value in node.attr.values():
            for called in (*([value.func] if value.HasField("func") else []), *value.list.func):
                called.name = names.get(called.name, called.name)


def _used(graph: Any, mapped: Mapping[str, Any]) -> dict[str, Any]:
    """Of the tensors that are put in those that a node takes: the others are refused."""
    taken = {_full(each) for node in graph.node for each in node.input}
    return {name: tensor for name, tensor in mapped.items() if name in taken}


def _value(tf: Any, graph: Any, session: Any, node: Any) -> Any:
    tensor = graph.get_tensor_by_name(f"{node.name}:0")
    if node.op == "VarHandleOp":
        tensor = tf.raw_ops.ReadVariableOp(resource=tensor, dtype=node.attr["dtype"].type)
    return session.run(tensor)


def _fill(tf: Any, session: Any, meta: Any, node: Any, path: Path) -> _Fill:
    keys, values = (tf.as_dtype(node.attr[name].type) for name in ("key_dtype", "value_dtype"))
    assets = _assets(meta)
    for each in meta.graph_def.node:
        if each.op in _FROM_FILE and _full(each.input[0]) == f"{node.name}:0" and _full(each.input[1]) in assets:
            size = each.attr["vocab_size"].i if "vocab_size" in each.attr else -1
            how = {
                "key_index": each.attr["key_index"].i,
                "value_index": each.attr["value_index"].i,
                "vocab_size": size if size > 0 else None,
                "delimiter": each.attr["delimiter"].s.decode() or "\t",
            }
            return _Fill(keys, values, path / "assets" / assets[_full(each.input[1])], how)
    handle = session.graph.get_tensor_by_name(f"{node.name}:0")
    held = session.run(tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=keys, Tvalues=values))
    return _Fill(keys, values, None, {}, held[0], held[1])


def _assets(meta: Any) -> dict[str, str]:
    """File names below ``assets`` by the tensors that hold them. TensorFlow 1 lists them in a collection."""
    kind = type(meta.asset_file_def.add())
    listed = [kind.FromString(each.value) for each in meta.collection_def[_ASSETS].any_list.value]
    return {each.tensor_info.name: each.filename for each in (*meta.asset_file_def, *listed) if each.filename}


def _table(tf: Any, fill: _Fill) -> Any:
    if fill.file is None:
        initializer = tf.lookup.KeyValueTensorInitializer(fill.keys, fill.values, fill.key_dtype, fill.value_dtype)
    else:
        initializer = tf.lookup.TextFileInitializer(str(fill.file), fill.key_dtype, value_dtype=fill.value_dtype, **fill.how)
    default = "" if fill.value_dtype == tf.string else 0  # never used: the graph brings its own
    return tf.lookup.StaticHashTable(initializer, tf.constant(default, fill.value_dtype))
