"""Arguments of library functions that they do not use: left out, with what callers and objects pass for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cpr.shrinking import _tensorflow
from cpr.shrinking.scopes import MAIN, Scope, called, node_of, scopes_of

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def drop_unused_arguments(meta: Any) -> None:
    """Leave out variables that functions are given and do not use, from the innermost function out.

    A function that a loop or a branch runs keeps its arguments: those of all its functions are alike.
    """
    while _dropped(meta):
        pass


def _dropped(meta: Any) -> bool:
    resource = _tensorflow.tensorflow().resource.as_datatype_enum
    scopes = scopes_of(meta.graph_def)
    callers = _callers(scopes)
    changed = False
    for name, scope in scopes.items():
        if name == MAIN or any(node.op not in _CALLS for node in callers.get(name, ())):
            continue
        entry = meta.object_graph_def.concrete_functions.get(name)
        arguments = scope.function.signature.input_arg
        captured = len(arguments) - (len(entry.bound_inputs) if entry is not None else 0)
        if entry is None and name not in callers:
            continue
        used = scope.uses().keys() | {node_of(value) for value in scope.function.ret.values()}
        for position in reversed(range(len(arguments))):
            if arguments[position].type != resource or arguments[position].name in used:
                continue
            if entry is not None and position < captured:
                continue
            if entry is not None:
                del entry.bound_inputs[position - captured]
            _drop(scope.function, position)
            for node in callers.get(name, ()):
                _drop_input(node, position)
            changed = True
    return changed


def _callers(scopes: Mapping[str, Scope]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for scope in scopes.values():
        for node in scope.nodes:
            for name in called(node):
                if name in scopes:
                    found.setdefault(name, []).append(node)
    return found


def _drop(function: Any, position: int) -> None:
    count = len(function.signature.input_arg)
    del function.signature.input_arg[position]
    if "_input_shapes" in function.attr and len(function.attr["_input_shapes"].list.shape) == count:
        del function.attr["_input_shapes"].list.shape[position]
    attributes = {number: type(each).FromString(each.SerializeToString()) for number, each in function.arg_attr.items()}
    unique = dict(function.resource_arg_unique_id)
    function.arg_attr.clear()
    function.resource_arg_unique_id.clear()
    for number, each in attributes.items():
        if number != position:
            function.arg_attr[number - (number > position)].CopyFrom(each)
    for number, identity in unique.items():
        if number != position:
            function.resource_arg_unique_id[number - (number > position)] = identity


def _drop_input(node: Any, position: int) -> None:
    del node.input[position], node.attr["Tin"].list.type[position]
    if "_read_only_resource_inputs" in node.attr:
        numbers = node.attr["_read_only_resource_inputs"].list.i
        numbers[:] = [number - (number > position) for number in numbers if number != position]
