"""Where a graph reads a variable: followed through calls, loops and branches into the functions of the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cpr.shrinking import _tensorflow
from cpr.shrinking.restoring import Target, saver_nodes
from cpr.shrinking.scopes import MAIN, Scope, Use, called, node_of, scopes_of

_REFERENCES = ("VariableV2", "Variable")
_THROUGH = ("Identity", "Enter", "RefEnter", "Switch", "RefSwitch", "RefIdentity")
_HARMLESS = ("VarIsInitializedOp", "IsVariableInitialized", "VariableShape", "DestroyResourceOp", "DisableCopyOnRead")
_CALLS = {"While": 0, "StatelessWhile": 0, "If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1}
"""Operations that pass their inputs to functions, without so many of the first."""

READ, GATHER, VALUE = "read", "gather", "value"


@dataclass
class Variable:
    """What is known of a variable's uses. ``sites`` are scope, node and kind; ``args`` the arguments that it becomes.

    ``blocked`` says why it cannot be stored in another type, ``None`` where it can.
    """

    node: str
    is_reference: bool
    sites: list[tuple[str, str, str]] = field(default_factory=list)
    args: list[tuple[str, str]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    blocked: str | None = None


def find_sites(meta: Any, targets: Sequence[Target]) -> dict[str, Variable]:
    """The uses of variables, by their nodes in the graph; not those of the saver, which is written anew.

    A function that is called with different variables in the same place is one for all of them, so they are blocked.
    """
    scopes = scopes_of(meta.graph_def)
    nodes = {target.node: target.keys[0] for target in targets if not target.is_table}
    saver = saver_nodes(meta, targets)
    uses = {name: scope.uses() for name, scope in scopes.items()}
    uses[MAIN] = {name: [use for use in each if use.node.name not in saver] for name, each in uses[MAIN].items()}
    found = {}
    owners: dict[tuple[str, str], str] = {}
    for node in nodes:
        op = scopes[MAIN].by_name[node].op
        variable = found[node] = Variable(node, op in _REFERENCES)
        _follow(variable, scopes, uses, [(MAIN, node)])
    for name, bound in _bound(meta, scopes):
        for argument, node in bound.items():
            if node in found and (name, argument) not in found[node].args:
                _follow(found[node], scopes, uses, [(name, argument)])
    for variable in found.values():
        for place in variable.args:
            other = owners.setdefault(place, variable.node)
            if nodes[other] != nodes[variable.node]:
                for each in (found[other], variable):
                    each.blocked = f"the function {place[0]} is called with several variables"
    return found


def _bound(meta: Any, scopes: Mapping[str, Scope]) -> Iterator[tuple[str, dict[str, str]]]:
    """Arguments of the functions that objects call, and the nodes of the variables that the graph passes there itself."""
    for node in scopes[MAIN].nodes:
        for name in called(node):
            if name in scopes and name in meta.object_graph_def.concrete_functions:
                arguments = [argument.name for argument in scopes[name].function.signature.input_arg]
                yield name, dict(zip(arguments, map(node_of, node.input), strict=False))


def _follow(
    variable: Variable, scopes: Mapping[str, Scope], uses: Mapping[str, dict[str, list[Use]]], start: list[tuple[str, str]]
) -> None:
    todo = list(start)
    seen: set[tuple[str, str]] = set()
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        scope_name, name = place
        if scope_name != MAIN and name not in scopes[scope_name].by_name:
            variable.args.append(place)
        for use in uses[scope_name].get(name, ()):
            todo += _used(variable, scopes, scope_name, use)
        if any(written.partition(":")[0] == name for written in _results(scopes[scope_name])) and not _of_loop(
            scopes, scope_name
        ):
            variable.blocked = f"the function {scope_name} gives it back"


def _used(variable: Variable, scopes: Mapping[str, Scope], scope: str, use: Use) -> Iterator[tuple[str, str]]:
    """Note one use; the places where the variable goes from there."""
    node, op = use.node, use.node.op
    functions = [name for name in called(node) if name in scopes]
    if op in _HARMLESS:
        return
    if op in ("ReadVariableOp", "ResourceGather"):
        variable.sites.append((scope, node.name, READ if op == "ReadVariableOp" else GATHER))
    elif op in ("AssignVariableOp", "Assign") and use.position == 0 and scope == MAIN:
        variable.written.append(node.name)
    elif functions and use.position >= _CALLS.get(op, 0):
        if op not in _CALLS and op not in ("PartitionedCall", "StatefulPartitionedCall") and op not in scopes:
            variable.blocked = f"{node.name} ({op}) passes it on"
            return
        for name in functions:
            argument = scopes[name].function.signature.input_arg[use.position - _CALLS.get(op, 0)].name
            yield name, argument
    elif variable.is_reference:
        if _takes_reference(node, use.position):
            variable.blocked = f"{node.name} ({op}) writes to it"
        else:
            variable.sites.append((scope, node.name, VALUE))
    elif op in _THROUGH:
        yield scope, node.name
    else:
        variable.blocked = f"{node.name} ({op}) uses it"


def _takes_reference(node: Any, index: int) -> bool:
    operation = _tensorflow.operation(node.op)
    if operation is None:
        return True
    arguments = operation.input_arg
    return any(argument.is_ref for argument in arguments) if index < len(arguments) else False


def _results(scope: Scope) -> list[str]:
    return [] if scope.function is None else list(scope.function.ret.values())


def _of_loop(scopes: Mapping[str, Scope], name: str) -> bool:
    """True for the body of a loop, which gives its captures back as it got them."""
    return any(
        node.op in ("While", "StatelessWhile") and node.attr["body"].func.name == name
        for scope in scopes.values()
        for node in scope.nodes
    )
