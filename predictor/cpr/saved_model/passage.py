"""Bytes on their way: which operation an output's bytes come from, and which reads those of an input.

Tensors are followed backwards through operations that pass elements on as they are, through loops, and through functions: into
their results, and from their arguments to whoever calls them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cpr.saved_model.graph import DECODERS, ENCODERS, Reach
from cpr.saved_model.nodes import Node, node_name, output_index

_PASSES = {
    **dict.fromkeys(
        b"BroadcastTo EnsureShape Enter Exit ExpandDims Gather GatherNd GatherV2 Identity NextIteration PlaceholderWithDefault "
        b"PreventGradient RefEnter RefExit RefIdentity RefNextIteration RefSwitch Reshape ReverseV2 Slice Snapshot Squeeze "
        b"StopGradient StridedSlice Switch TensorListConcat TensorListConcatV2 TensorListFromTensor TensorListGather "
        b"TensorListGetItem TensorListPopBack TensorListStack Tile Transpose Unpack".split(),
        (0,),
    ),
    b"Select": (1, 2),
    b"SelectV2": (1, 2),
    b"Split": (1,),
    b"SplitV": (0,),
    b"TensorArrayConcatV3": (2,),
    b"TensorArrayGatherV3": (2,),
    b"TensorArrayReadV3": (2,),
    b"TensorArrayScatterV3": (2, 3),
    b"TensorArrayWriteV3": (2, 3),
    b"TensorListPushBack": (0, 1),
    b"TensorListSetItem": (0, 2),
}
"""Operations whose result has the elements of these inputs."""

_PASS_ALL = frozenset((b"Concat", b"ConcatV2", b"Merge", b"Pack", b"RefMerge"))
_PASS_EACH = frozenset((b"IdentityN", b"While", b"StatelessWhile"))

_BEFORE_ARGUMENTS = {b"If": 1, b"StatelessIf": 1, b"Case": 1, b"StatelessCase": 1, b"RemoteCall": 1}
"""How many inputs stand before those that become the function's arguments."""

_STEPS = 100_000
"""Inputs looked at for one signature: far more than lie between an input and what decodes it."""

Place = tuple[bytes, bytes, int]
"""A tensor: function (empty for the graph), node or argument, number of the output."""


class Passage:
    """The ways through what a request reaches. ``steps`` counts the work; from ``_STEPS`` on, nothing is followed any more."""

    def __init__(self, reached: Iterable[Reach]) -> None:
        self.reached = {reach.body.name: reach for reach in reached}
        self.callers: dict[bytes, list[tuple[bytes, Node]]] = {}
        self.callees: dict[tuple[bytes, bytes], list[bytes]] = {}
        self.positions: dict[bytes, dict[bytes, int]] = {}
        self.steps = 0
        for name, reach in self.reached.items():
            self.positions[name] = {argument: number for number, argument in enumerate(reach.body.arguments)}
            self.steps += len(reach.calls)
            for call in reach.calls:
                self.callers.setdefault(call.function, []).append((name, reach.nodes[call.node]))
                self.callees.setdefault((name, call.node), []).append(call.function)

    def origins(self, function: bytes, written: bytes) -> Iterator[tuple[Place, Node | None]]:
        """Every tensor whose elements this one may hold, nearest first, and the node that gives it (none: an argument)."""
        start = _place(function, written)
        seen, queue = {start}, [start]
        for place in queue:
            if self.steps > _STEPS:
                return
            node = self.reached[place[0]].body.nodes.get(place[1])
            yield place, node
            for before in self.arguments(place) if node is None else self.inputs(place, node):
                if before not in seen:
                    seen.add(before)
                    queue.append(before)

    def inputs(self, place: Place, node: Node) -> Iterator[Place]:
        function, name, index = place
        data = self.data(node)
        chosen: Iterable[int] = _PASSES.get(node.op, ())
        if node.op in _PASS_ALL:
            chosen = range(len(data))
        elif node.op in _PASS_EACH:
            chosen = (index,)
        for number in chosen:
            if number < len(data):
                yield _place(function, data[number])
        callees = self.callees.get((function, name), ())
        self.steps += len(callees)
        for callee in callees:
            results = self.reached[callee].body.results
            if index < len(results):
                yield _place(callee, results[index][1])

    def arguments(self, place: Place) -> Iterator[Place]:
        """What the callers of a function pass for its argument."""
        position = self.positions[place[0]].get(place[1])
        if position is None:
            return
        for function, node in self.callers.get(place[0], ()):
            if self.steps > _STEPS:
                return
            data = self.data(node)
            number = position + _BEFORE_ARGUMENTS.get(node.op, 0)
            if number < len(data):
                yield _place(function, data[number])

    def data(self, node: Node) -> list[bytes]:
        """The inputs that are tensors."""
        self.steps += 1 + len(node.inputs)
        return [written for written in node.inputs if written[:1] != b"^"]


def _place(function: bytes, written: bytes) -> Place:
    return function, node_name(written), output_index(written)


def encodes(passage: Passage, outputs: Mapping[str, Iterable[bytes]]) -> dict[str, str]:
    """For each output whose bytes an operation encoded, that operation."""
    found: dict[str, str] = {}
    for key, names in outputs.items():
        for written in names:
            for _, node in passage.origins(b"", written):
                if node is not None and node.op in ENCODERS:
                    found.setdefault(key, node.op.decode())
    return found


def decodes(passage: Passage, feeds: Mapping[bytes, str]) -> dict[str, str]:
    """For each input whose bytes an operation reads, that operation. ``feeds`` are tensors with the input that each is of."""
    inputs = {_place(b"", written): key for written, key in feeds.items()}
    found: dict[str, str] = {}
    for function, reach in passage.reached.items():
        for node in reach.nodes.values() if not DECODERS.isdisjoint(reach.ops) else ():
            if node.op in DECODERS and node.inputs:
                for place, _ in passage.origins(function, node.inputs[0]):
                    if place in inputs:
                        found.setdefault(inputs[place], node.op.decode())
    return dict(sorted(found.items()))
