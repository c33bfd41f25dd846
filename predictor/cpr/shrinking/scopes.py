"""A graph and the functions of its library as scopes in which a tensor has a name, and who uses it is found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cpr.shrinking import _tensorflow

MAIN = ""
"""The name of the scope that is the graph itself."""


class Tensor(NamedTuple):
    """A tensor in its scope: the node or the argument that it comes from, and the name and number of the output."""

    node: str
    output: str
    position: int


class Use(NamedTuple):
    """The input at ``position`` of a node."""

    node: Any
    position: int


class Scope:
    """The graph (``function`` is ``None``) or one function. What is altered through it is altered in the protobuf."""

    def __init__(self, name: str, nodes: Any, function: Any = None) -> None:
        self.name, self.nodes, self.function = name, nodes, function
        self.by_name: dict[str, Any] = {node.name: node for node in nodes}

    def add(self, node: Any) -> None:
        self.nodes.append(node)
        self.by_name[node.name] = self.nodes[-1]

    def drop(self, names: set[str]) -> None:
        """Leave nodes out, and let nothing wait for them."""
        for position in reversed(range(len(self.nodes))):
            if self.nodes[position].name in names:
                del self.nodes[position]
        for node in self.nodes:
            kept = [written for written in node.input if not (written.startswith("^") and node_of(written) in names)]
            if len(kept) < len(node.input):
                node.input[:] = kept
        if self.function is not None:
            gone = [key for key, name in self.function.control_ret.items() if name in names]
            for key in gone:
                del self.function.control_ret[key]
            outputs = self.function.signature.control_output
            outputs[:] = [key for key in outputs if key not in gone]
        self.by_name = {node.name: node for node in self.nodes}

    def fresh(self, name: str) -> str:
        """A name that no node has, made of this one."""
        number, made = 0, name
        while made in self.by_name:
            number += 1
            made = f"{name}_{number}"
        return made

    def tensor(self, written: str) -> Tensor | None:
        """What an input names; ``None`` for a control input."""
        if written.startswith("^"):
            return None
        node, _, rest = written.partition(":")
        output, _, index = rest.rpartition(":")
        return Tensor(node, output, int(index or 0))

    def written(self, node: str, output: str, index: int = 0) -> str:
        """How an input names a node's output."""
        if self.function is not None:
            return f"{node}:{output}:{index}"
        return f"{node}:{index}" if index else node

    def uses(self) -> dict[str, list[Use]]:
        """Who takes which node's or argument's outputs."""
        found: dict[str, list[Use]] = {}
        for node in self.nodes:
            for index, written in enumerate(node.input):
                if not written.startswith("^"):
                    found.setdefault(written.partition(":")[0], []).append(Use(node, index))
        return found


def scopes_of(graph: Any) -> dict[str, Scope]:
    """The scopes of a ``GraphDef`` by name."""
    found = {MAIN: Scope(MAIN, graph.node)}
    for function in graph.library.function:
        found[function.signature.name] = Scope(function.signature.name, function.node_def, function)
    return found


def called(node: Any) -> Iterator[str]:
    """The library functions that a node names in its attributes, or is a call of."""
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        elif value.HasField("list"):
            yield from (each.name for each in value.list.func)


def node_of(written: str) -> str:
    """``a`` of ``a``, ``a:1``, ``a:output:0`` and ``^a``."""
    return written.removeprefix("^").partition(":")[0]


def reached(scope: Scope, names: Iterable[str]) -> set[str]:
    """The nodes that these nodes need, with themselves."""
    found: set[str] = set()
    todo = [node_of(name) for name in names]
    while todo:
        name = todo.pop()
        if name in found or name not in scope.by_name:
            continue
        found.add(name)
        todo += map(node_of, scope.by_name[name].input)
    return found


def keep_nodes(scope: Scope, names: set[str]) -> None:
    """Leave the other nodes out, and what refers to them by the way: colocation, and what only debuggers read."""
    kept = [node for node in scope.nodes if node.name in names]
    for node in kept:
        node.ClearField("experimental_debug_info")
        places = [place for place in node.attr["_class"].list.s if place.decode().removeprefix("loc:@") in names]
        del node.attr["_class"]
        if places:
            node.attr["_class"].list.s.extend(places)
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del scope.nodes[:]
    scope.nodes.extend(copies)
    scope.by_name = {node.name: node for node in scope.nodes}


def keep_functions(graph: Any, also: Iterable[str]) -> None:
    """Leave out the library functions that neither the graph nor one of ``also`` reaches, and their gradients."""
    functions = {function.signature.name: function for function in graph.library.function}
    gradients = {each.registered_op_type: each.gradient_func for each in graph.library.registered_gradients}
    kept: set[str] = set()
    todo = [*also, *(name for node in graph.node for name in _named(node, gradients))]
    while todo:
        name = todo.pop()
        if name in kept or name not in functions:
            continue
        kept.add(name)
        todo += (other for node in functions[name].node_def for other in _named(node, gradients))
    for position in reversed(range(len(graph.library.function))):
        if graph.library.function[position].signature.name not in kept:
            del graph.library.function[position]
    for position in reversed(range(len(graph.library.gradient))):
        if not {graph.library.gradient[position].function_name, graph.library.gradient[position].gradient_func} <= kept:
            del graph.library.gradient[position]
    for position in reversed(range(len(graph.library.registered_gradients))):
        if graph.library.registered_gradients[position].gradient_func not in kept:
            del graph.library.registered_gradients[position]


def _named(node: Any, gradients: dict[str, str]) -> Iterator[str]:
    yield from called(node)
    gradient = node.attr["_gradient_op_type"].s.decode() if "_gradient_op_type" in node.attr else ""
    if gradient in gradients:
        yield gradients[gradient]


def prune_body(scope: Scope) -> None:
    """Leave out of a function what neither its results nor an effect needs."""
    function = scope.function
    roots = [*function.ret.values(), *function.control_ret.values()]
    roots += (node.name for node in scope.nodes if _has_effect(node))
    keep_nodes(scope, reached(scope, roots))


def _has_effect(node: Any) -> bool:
    operation = _tensorflow.operation(node.op)
    return operation is None or operation.is_stateful or any(name != node.op for name in called(node))
