"""Store variables in a smaller type, and turn what is read of them back into the type that the graph computes in.

A variable stays a variable. What a gather takes of it is turned back behind the gather, so that an embedding is never whole in
memory in the larger type. Scales of quantised variables are constants, one number a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cpr.shrinking import _tensorflow
from cpr.shrinking.model import Model, Stored
from cpr.shrinking.pruning import listed_operations
from cpr.shrinking.restoring import Target, read_targets, saver_nodes, write_saver
from cpr.shrinking.scopes import MAIN, Scope, keep_functions, keep_nodes, node_of, scopes_of
from cpr.shrinking.sites import GATHER, READ, VALUE, Variable, find_sites

_GATHERS = ("GatherV2", "Gather")
_OUTPUTS = {
    "ReadVariableOp": "value",
    "ResourceGather": "output",
    "Identity": "output",
    "GatherV2": "output",
    "Gather": "output",
}
_TYPES = {"ReadVariableOp": "dtype", "ResourceGather": "dtype", "Identity": "T", "GatherV2": "Tparams", "Gather": "Tparams"}


@dataclass(frozen=True)
class Storing:
    """How a variable is to be stored: ``tensor`` in place of the one it has, and ``scale``, the NumPy array that what is read
    is multiplied by (``None``: it is only cast). ``scale`` broadcasts against the last axes."""

    tensor: Stored
    scale: Any = None


def variables_of(model: Model) -> dict[str, str | None]:
    """The names in the checkpoint of the variables that every graph can have in another type, mapped to ``None``, and of the
    others, mapped to the reason."""
    found: dict[str, str | None] = {}
    for meta in model.proto.meta_graphs:
        targets = read_targets(meta)
        sites = find_sites(meta, targets)
        for target in (each for each in targets if not each.is_table):
            reason = sites[target.node].blocked
            if target.slices[0] and not target.slices[0].endswith(("-", ":-")):
                reason = "it is partitioned along its channels"
            found[target.keys[0]] = found.get(target.keys[0]) or reason
    return found


def gathered_only(model: Model) -> set[str]:
    """The names in the checkpoint of variables of which rows are read alone: embeddings."""
    found: dict[str, bool] = {}
    for meta in model.proto.meta_graphs:
        scopes = scopes_of(meta.graph_def)
        targets = read_targets(meta)
        sites = find_sites(meta, targets)
        for target in (each for each in targets if not each.is_table):
            key = target.keys[0]
            gathers = all(_gathers(scopes[scope], name, kind) for scope, name, kind in sites[target.node].sites)
            found[key] = found.get(key, True) and gathers
    return {key for key, gathers in found.items() if gathers}


def stored_as(model: Model, storings: Mapping[str, Storing]) -> Model:
    """The model with these variables, by name in the checkpoint, stored in another way."""
    if not storings:
        return model
    proto = model.copied_proto()
    for meta in proto.meta_graphs:
        _retype(meta, storings, model)
        listed_operations(meta)
    tensors = {key: storings[key].tensor if key in storings else tensor for key, tensor in model.tensors.items()}
    return replace(model, proto=proto, tensors=tensors)


def _retype(meta: Any, storings: Mapping[str, Storing], model: Model) -> None:
    targets = read_targets(meta)
    keys = {target.node: target.keys[0] for target in targets if not target.is_table}
    sites = find_sites(meta, targets)
    scopes = scopes_of(meta.graph_def)
    done: set[tuple[str, str]] = set()
    for node, key in keys.items():
        if key not in storings:
            continue
        dtype = storings[key].tensor.dtype
        scopes[MAIN].by_name[node].attr["dtype"].type = dtype
        for place in sites[node].sites:
            if place[:2] not in done or place[2] == VALUE:
                done.add(place[:2])
                _site(meta, scopes[place[0]], place, sites[node], storings[key], model.tensors[key].dtype)
        _handles(scopes, sites[node], dtype)
        _initial(scopes[MAIN], sites[node], dtype)
    _objects(meta, model, storings)
    _restored(meta, targets, storings)


def _site(meta: Any, scope: Scope, place: tuple[str, str, str], variable: Variable, storing: Storing, back: int) -> None:
    """Turn what is read at one place back into the type ``back``."""
    node = scope.by_name[place[1]]
    if place[2] == VALUE and node.op not in (*_GATHERS, "Identity"):
        _value(scope, node, variable.node, storing, back)
        return
    node.attr[_TYPES[node.op]].type = storing.tensor.dtype
    if node.op in ("ReadVariableOp", "Identity"):
        for gather in _gathers_behind(scope, node):
            gather.attr["Tparams"].type = storing.tensor.dtype
            _turned(meta, scope, gather, storing, back)
        if not _is_used(meta, scope, node):
            return
    _turned(meta, scope, node, storing, back)


def _turned(meta: Any, scope: Scope, node: Any, storing: Storing, back: int) -> None:
    """Put the operations that turn it back behind a node, and let everybody who took its output take theirs."""
    source = scope.written(node.name, _OUTPUTS[node.op])
    users = [use for use in scope.uses().get(node.name, ()) if not _keeps(use.node, use.position, storing)]
    made = _back(scope, node.name, source, storing, back)
    for use in users:
        use.node.input[use.position] = made
    if scope.function is not None:
        for key, value in scope.function.ret.items():
            if value == source:
                scope.function.ret[key] = made
        return
    for signature in meta.signature_def.values():
        for info in signature.outputs.values():
            if node_of(info.name) == node.name and info.WhichOneof("encoding") == "name":
                info.name = f"{made}:0"


def _value(scope: Scope, node: Any, source: str, storing: Storing, back: int) -> None:
    """The same for an operation that takes a reference variable itself."""
    made = _back(scope, node.name, source, storing, back)
    for index, written in enumerate(node.input):
        if not written.startswith("^") and node_of(written) == source:
            node.input[index] = made


def _back(scope: Scope, name: str, source: str, storing: Storing, back: int) -> str:
    """Add the operations; the tensor that they make."""
    name = scope.fresh(f"{name}/restored")
    cast = _tensorflow.node("Cast", name, [source], SrcT=storing.tensor.dtype, DstT=back)
    scope.add(cast)
    if storing.scale is None:
        return scope.written(name, "y")
    scale = scope.fresh(f"{name}/scale")
    # The control input keeps it in the frame of a loop of TensorFlow 1, where the variable is read.
    scope.add(_tensorflow.constant(scale, storing.scale, [f"^{name}"] if scope.function is None else ()))
    scaled = scope.fresh(f"{name}/scaled")
    scope.add(_tensorflow.node("Mul", scaled, [scope.written(name, "y"), scope.written(scale, "output")], T=back))
    return scope.written(scaled, "z")


def _gathers_behind(scope: Scope, node: Any) -> list[Any]:
    """The gathers along the first axis that take the output of a node."""
    return [use.node for use in scope.uses().get(node.name, ()) if _is_row_gather(scope, use.node, use.position)]


def _is_row_gather(scope: Scope, node: Any, index: int) -> bool:
    if node.op not in _GATHERS or index:
        return False
    if node.op == "Gather":
        return True
    axis = scope.by_name.get(node_of(node.input[2]))
    if axis is None or axis.op != "Const" or _tensorflow.number(node, "batch_dims"):
        return False
    return int(_tensorflow.tensorflow().make_ndarray(axis.attr["value"].tensor)) == 0


def _gathers(scope: Scope, name: str, kind: str) -> bool:
    """Whether a place reads rows alone."""
    node = scope.by_name[name]
    if kind == GATHER or node.op in _GATHERS:
        return True
    if node.op not in ("ReadVariableOp", "Identity"):
        return False
    uses = scope.uses().get(name, ())
    return bool(uses) and all(_is_row_gather(scope, use.node, use.position) for use in uses)


def _keeps(node: Any, index: int, storing: Storing) -> bool:
    """True for a gather that takes the stored type itself."""
    return node.op in _GATHERS and index == 0 and node.attr["Tparams"].type == storing.tensor.dtype


def _is_used(meta: Any, scope: Scope, node: Any) -> bool:
    """Whether anybody takes the output of a node, but for gathers that take the stored type."""
    dtype = node.attr[_TYPES[node.op]].type
    if any(use.node.op not in _GATHERS or use.node.attr["Tparams"].type != dtype for use in scope.uses().get(node.name, ())):
        return True
    if scope.function is not None:
        return any(node_of(value) == node.name for value in scope.function.ret.values())
    outputs = (info.name for signature in meta.signature_def.values() for info in signature.outputs.values())
    return any(node_of(name) == node.name for name in outputs)


def _handles(scopes: Mapping[str, Scope], variable: Variable, dtype: int) -> None:
    """What functions say of the variables that they are given."""
    for name, argument in variable.args:
        function = scopes[name].function
        position = [each.name for each in function.signature.input_arg].index(argument)
        if position in function.arg_attr and "_handle_dtypes" in function.arg_attr[position].attr:
            function.arg_attr[position].attr["_handle_dtypes"].list.type[:] = [dtype]


def _initial(main: Scope, variable: Variable, dtype: int) -> None:
    """The zeros that a variable begins with."""
    tf = _tensorflow.tensorflow()
    for name in variable.written:
        assign = main.by_name[name]
        assign.attr["dtype" if assign.op == "AssignVariableOp" else "T"].type = dtype
        fill = main.by_name[node_of(assign.input[1])]
        fill.attr["T"].type = dtype
        value = main.by_name[node_of(fill.input[1])]
        value.CopyFrom(_tensorflow.constant(value.name, tf.zeros([], dtype).numpy()))


def _objects(meta: Any, model: Model, storings: Mapping[str, Storing]) -> None:
    """The types of the variables among the objects, which have the numbers that they have in the checkpoint."""
    if not meta.HasField("object_graph_def"):
        return
    for item, stored in zip(meta.object_graph_def.nodes, model.objects.nodes, strict=True):
        for attribute in stored.attributes:
            if attribute.checkpoint_key in storings and item.WhichOneof("kind") == "variable":
                item.variable.dtype = storings[attribute.checkpoint_key].tensor.dtype


def _restored(meta: Any, targets: tuple[Target, ...], storings: Mapping[str, Storing]) -> None:
    """Let the graph restore the types that are stored now."""
    new = [
        target._replace(dtypes=(storings[target.keys[0]].tensor.dtype,)) if target.keys[0] in storings else target
        for target in targets
    ]
    gone = saver_nodes(meta, targets)
    main = scopes_of(meta.graph_def)[MAIN]
    keep_nodes(main, set(main.by_name) - gone)
    write_saver(meta, new)
    keep_functions(meta.graph_def, meta.object_graph_def.concrete_functions)


__all__ = ["READ", "Storing", "gathered_only", "stored_as", "variables_of"]
