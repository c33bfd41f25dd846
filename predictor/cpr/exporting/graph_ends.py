"""Where a graph begins and ends for serving: the tensors that requests feed and fetch, by the names that clients use."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from cpr.errors import UsageError
from cpr.exporting.wanted import Wanted, listed

_PLACEHOLDER = "Placeholder"
_NO_ANSWER = frozenset(
    ("NoOp", "Assert", "Const", "Placeholder", "PlaceholderWithDefault", "Assign", "AssignVariableOp", "VarIsInitializedOp")
)
"""Operations that end a graph without being what it is for."""
_LIKELY = re.compile(r"soft_?max|sigmoid|logits|predict|prob|score|output|class|result", re.IGNORECASE)
_UNLIKELY = re.compile(r"(^|/)(gradients|save|Adam|train|init|report_)|Initializer|Assign|/read$|/Read/", re.IGNORECASE)
_SHOWN = 8


class Ends(NamedTuple):
    """Tensor names (``operation:number``) by the names of the signature. ``notes`` say what was chosen for the user."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    constants: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def ends(graph: Any, wanted: Wanted, trained: bool) -> Ends:
    """The ends that are ``wanted`` of a ``GraphDef``, or those that it leaves no doubt about.

    ``UsageError`` for a tensor that is not there, and where something has to be said. ``trained``: a training is in the graph,
    so its ends are not those of serving.
    """
    nodes = {node.name: node for node in graph.node}
    constants = {_tensor(nodes, name, "--constant"): value for name, value in wanted.constants.items()}
    notes: list[str] = []
    outputs = {key: _tensor(nodes, name, "--output") for key, name in wanted.outputs.items()}
    if not outputs:
        outputs = _sinks(graph, trained)
        notes.append(f"output: {_spelt(outputs)} (nothing else reads it)")
    inputs = {key: _tensor(nodes, str(name), "--input") for key, name in wanted.inputs.items()}
    stops = {*inputs.values(), *constants}
    open_ends = [name for name in reached(nodes, outputs.values(), stops) if nodes[name].op == _PLACEHOLDER]
    if not inputs:
        inputs = {name.rpartition("/")[2]: f"{name}:0" for name in open_ends}
        if len(inputs) != len(open_ends):
            raise UsageError(f"The placeholders are {listed(open_ends)}.", "Name each: `--input NAME=TENSOR`.", "--input")
        if inputs:
            notes.append(f"input: {_spelt(inputs)} (the placeholders)")
    elif open_ends:
        raise _unfed(open_ends)
    return Ends(inputs, outputs, constants, tuple(notes))


def reached(nodes: Mapping[str, Any], tensors: Iterable[str], stops: Iterable[str] = ()) -> list[str]:
    """The nodes that these tensors need; nothing is needed for those in ``stops``."""
    stops = set(stops)
    found: dict[str, None] = {}
    stack = [tensor for tensor in tensors if full(tensor) not in stops]
    while stack:
        name = stack.pop().lstrip("^").partition(":")[0]
        if name in found or name not in nodes:
            continue
        found[name] = None
        stack += [each for each in nodes[name].input if not _stopped(each, stops, nodes)]
    return list(found)


def _stopped(written: str, stops: set[str], nodes: Mapping[str, Any]) -> bool:
    """Whether an input as written needs nothing more: it is fed, or waits for a placeholder that is."""
    if not written.startswith("^"):
        return full(written) in stops
    node = nodes.get(written[1:])
    return node is not None and node.op.startswith(_PLACEHOLDER) and f"{written[1:]}:0" in stops


def full(tensor: str) -> str:
    """Its name always with the number of the output."""
    return tensor if ":" in tensor or tensor.startswith("^") else f"{tensor}:0"


def _tensor(nodes: Mapping[str, Any], name: str, option: str) -> str:
    operation = name.partition(":")[0]
    if operation in nodes:
        return full(name)
    near = [each for each in nodes if each.endswith(f"/{operation}")][:3]
    near += [each for each in difflib.get_close_matches(operation, nodes, n=3) if each not in near]
    remedy = f"Near it are: {', '.join(f'{each}:0' for each in near)}." if near else "Name a tensor: operation:number."
    raise UsageError(f"The graph has no tensor {name!r}.", remedy, option)


def _sinks(graph: Any, trained: bool) -> dict[str, str]:
    """The one tensor that nothing reads; ``UsageError`` where there are more, or a training is in the graph."""
    read = {written.lstrip("^").partition(":")[0] for node in graph.node for written in node.input}
    sinks = [node.name for node in graph.node if node.name not in read and node.op not in _NO_ANSWER]
    if len(sinks) == 1 and not trained:
        return {sinks[0].rpartition("/")[2]: f"{sinks[0]}:0"}
    likely = [node.name for node in graph.node if node.op not in _NO_ANSWER and _LIKELY.search(node.name)]
    shown = [name for name in dict.fromkeys([*likely[::-1], *sinks]) if not _UNLIKELY.search(name)][:_SHOWN]
    places = f" Likely are: {', '.join(f'{name}:0' for name in shown)}." if shown else ""
    raise UsageError(
        "The graph does not say which tensors are its answer.",
        f"Name each: `--output NAME=TENSOR`, as in `--output scores={shown[0] if shown else 'softmax'}:0`.{places}",
        "--output",
    )


def _unfed(names: list[str]) -> UsageError:
    return UsageError(
        f"The outputs also need {', '.join(f'{name}:0' for name in names[:_SHOWN])}, which nothing feeds.",
        f"Make it an input, `--input NAME={names[0]}:0`, or give it a value for good, `--constant {names[0]}:0=VALUE` "
        "(a dropout's keep probability 1.0, a training flag false).",
        "--input",
    )


def _spelt(side: Mapping[str, str]) -> str:
    return listed(f"{key}={tensor}" for key, tensor in side.items())
