"""Leave out what no request needs: training functions, optimizer slots, stale and duplicate variables, unused assets,
unreachable nodes, debug information, and files that are no part of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from cpr.errors import ModelError
from cpr.shrinking import _tensorflow
from cpr.shrinking.collected import INIT_COLLECTIONS, TABLES, asset_files, keep_collections
from cpr.shrinking.model import Model, Stored
from cpr.shrinking.objects import Pruned, pruned_objects
from cpr.shrinking.restoring import Target, read_targets, write_saver
from cpr.shrinking.scopes import MAIN, Scope, keep_functions, keep_nodes, node_of, prune_body, reached, scopes_of

_INIT, _TRAIN = "__saved_model_init_op", "__saved_model_train_op"


def pruned(model: Model) -> Model:
    """The model with what its signatures reach. Their answers stay the same to the last bit.

    ``ModelError`` where no signature can be called, or where it is not known how something in it is restored.
    """
    proto = model.copied_proto()
    objects = None
    keys: set[str] = set()
    for meta in proto.meta_graphs:
        found = None
        if meta.HasField("object_graph_def"):
            if model.objects is None:
                raise ModelError(
                    "The checkpoint does not say where the objects of the model lie in it.",
                    "The files are not of one export: export the model again.",
                    str(model.folder),
                )
            found = pruned_objects(meta.object_graph_def, model.objects)
            meta.object_graph_def.CopyFrom(found.saved)
            objects = found.stored
        keys.update(_prune(meta, found, model.tensors))
    tensors = {key: tensor for key, tensor in model.tensors.items() if key in keys}
    return replace(model, proto=proto, tensors=tensors, objects=objects)


def _prune(meta: Any, objects: Pruned | None, tensors: Mapping[str, Stored]) -> Iterator[str]:
    """Prune a ``MetaGraphDef``; the names in the checkpoint that it restores still."""
    targets = read_targets(meta)
    meta.signature_def.pop(_TRAIN, None)
    if not any(key != _INIT for key in meta.signature_def):
        raise ModelError(
            "The model has no signature, so there is nothing that a request could run.", "Export it with a signature."
        )
    main = scopes_of(meta.graph_def)[MAIN]
    roots = list(_tensors(meta))
    if objects is not None:
        roots += objects.nodes
    serving = reached(main, roots)
    inits = list(_init_nodes(meta))
    for name in inits:
        _spare_inits(main, name, serving)
    serving |= reached(main, inits)
    serving |= reached(main, _table_initializers(meta, main, serving))
    targets = tuple(target for target in targets if target.node in serving)
    if objects is not None:
        targets = tuple(_as_objects(targets, dict(_captured(main, objects)), tensors))
        yield from (key for key in tensors if _is_of(key, objects.keys))
    serving |= asset_files(meta, serving, objects)
    write_saver(meta, targets)
    main = scopes_of(meta.graph_def)[MAIN]
    saver = meta.saver_def
    serving |= reached(main, filter(None, (saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)))
    keep_nodes(main, serving | keep_collections(meta, main, serving, {target.node for target in targets}))
    keep_functions(meta.graph_def, objects.functions if objects is not None else ())
    for scope in scopes_of(meta.graph_def).values():
        if scope.name != MAIN:
            prune_body(scope)
    keep_functions(meta.graph_def, objects.functions if objects is not None else ())
    _meta_info(meta)
    yield from (key for target in targets for key in target.keys)


def _tensors(meta: Any) -> Iterator[str]:
    """The tensors that signatures name."""
    for key, signature in meta.signature_def.items():
        if key != _INIT:
            for info in (*signature.inputs.values(), *signature.outputs.values()):
                yield from names_of(info)


def names_of(info: Any) -> Iterator[str]:
    """The tensors of a ``TensorInfo``, which may be made of several."""
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        yield from (info.coo_sparse.values_tensor_name, info.coo_sparse.indices_tensor_name)
        yield info.coo_sparse.dense_shape_tensor_name
    elif encoding == "composite_tensor":
        for part in info.composite_tensor.components:
            yield from names_of(part)
    else:
        yield info.name


def _table_initializers(meta: Any, main: Scope, serving: set[str]) -> list[str]:
    """What TensorFlow 2 runs on a graph that forgets to fill its tables: the ones that fill tables which a request reads."""
    if TABLES not in meta.collection_def:
        return []
    listed = meta.collection_def[TABLES].node_list.value
    kept = [name for name in listed if serving & {each for each in reached(main, [name]) if _holds(main.by_name[each])}]
    listed[:] = kept
    return kept


def _init_nodes(meta: Any) -> Iterator[str]:
    """The nodes that a loader runs."""
    if _INIT in meta.signature_def:
        yield from (node_of(info.name) for info in meta.signature_def[_INIT].outputs.values())
    for key in INIT_COLLECTIONS:
        if key in meta.collection_def:
            yield from map(node_of, meta.collection_def[key].node_list.value)


def _spare_inits(main: Scope, name: str, serving: set[str]) -> None:
    """Let a node that groups others no longer run what fills tables and variables which no request reads."""
    node = main.by_name.get(name)
    if node is None or node.op != "NoOp":
        return
    kept = []
    for written in node.input:
        inner = main.by_name.get(node_of(written))
        if inner is not None and inner.op == "NoOp":
            _spare_inits(main, inner.name, serving)
        holders = {each for each in reached(main, [written]) if _holds(main.by_name[each])}
        if not holders or holders & serving:
            kept.append(written)
    node.input[:] = kept


def _holds(node: Any) -> bool:
    """True for a variable or a table: what outlives a request."""
    return not node.input and (node.op.endswith(("HandleOp", "TableV2", "HashTable")) or node.op in ("VariableV2", "Variable"))


def _captured(main: Scope, objects: Pruned) -> Iterator[tuple[str, str]]:
    """Nodes of variables in the graph, and the name in the checkpoint of what the functions of the objects have in their place.

    Keras 3 has two variables of each: the graph names the one, and the objects the other.
    """
    for node in main.nodes:
        entry = objects.saved.concrete_functions.get(node.attr["f"].func.name) if "f" in node.attr else None
        if entry is not None and entry.bound_inputs:
            for written, number in zip(node.input[-len(entry.bound_inputs) :], entry.bound_inputs, strict=False):
                attributes = objects.stored.nodes[number].attributes
                if len(attributes) == 1:
                    yield node_of(written), attributes[0].checkpoint_key


def _as_objects(targets: Iterable[Target], captured: Mapping[str, str], tensors: Mapping[str, Stored]) -> Iterator[Target]:
    """Restore every variable from where the objects have it, if the same is stored there; and those that nothing restores,
    as TensorFlow's ``save`` leaves Keras 3's."""
    known = {target.node: target for target in targets}
    for node, key in captured.items():
        if key not in tensors or (node in known and known[node].is_table):
            continue
        if node not in known or tensors[key].same_as(tensors[known[node].keys[0]]):
            known[node] = Target(node, "AssignVariableOp", (key,), ("",), (tensors[key].dtype,))
    yield from known.values()


def _is_of(key: str, kept: frozenset[str]) -> bool:
    """Whether a tensor belongs to an object of the checkpoint: a table's two have names that go on behind its own."""
    return key in kept or any(key.startswith(f"{each}-") for each in kept)


def _meta_info(meta: Any) -> None:
    """Keep in step what the graph says of itself: its operations and the names of its functions."""
    functions = {function.signature.name for function in meta.graph_def.library.function}
    info = meta.meta_info_def
    for name in list(info.function_aliases):
        if name not in functions:
            del info.function_aliases[name]
    listed_operations(meta)


def listed_operations(meta: Any) -> None:
    """Make the list of operations that goes with a graph that of the operations which are in it."""
    listed = meta.meta_info_def.stripped_op_list
    if not listed.op:
        return
    used = {node.op for scope in scopes_of(meta.graph_def).values() for node in scope.nodes}
    known = {operation.name: operation for operation in listed.op}
    for name in used - known.keys():
        operation = _tensorflow.operation(name)
        if operation is not None:
            known[name] = operation
    kept = [type(known[name]).FromString(known[name].SerializeToString()) for name in sorted(used & known.keys())]
    for operation in kept:
        operation.ClearField("description")
        operation.ClearField("summary")
        for part in (*operation.input_arg, *operation.output_arg, *operation.attr):
            part.ClearField("description")
    del listed.op[:]
    listed.op.extend(kept)
