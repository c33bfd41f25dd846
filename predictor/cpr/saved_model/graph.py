"""What a request runs: the graph, walked backwards from a signature's outputs to the tensors that it feeds.

TensorFlow prunes a graph the same way before it runs it (``RewriteGraphForExecution`` in ``graph_execution_state.cc``); of a
function, what neither its results nor its control outputs need is left out. No recursion and no unbounded work: graphs have
cycles, functions call themselves, and a file may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from cpr.saved_model.nodes import Body, Node, functions_of, node_name, read_function, read_nodes
from cpr.saved_model.wire import BYTES, Buffer, malformed, select, string

_VISITS, _VISITS_RATIO = 500_000, 25
"""Nodes and inputs visited for all signatures together, at most: half a second's work, and 25 for each node of the file. The
signatures that come after have no :class:`Call`."""

_PLACEHOLDERS = frozenset((b"Placeholder", b"PlaceholderV2"))
_BRANCHES = frozenset((b"If", b"StatelessIf", b"Case", b"StatelessCase"))
_MERGES = frozenset((b"Merge", b"RefMerge"))
_SELECTS = frozenset((b"Select", b"SelectV2"))
_FLAGS = frozenset((b"Cast", b"ExpandDims", b"Identity", b"LogicalNot", b"Reshape"))
_FLAG_STEPS = 4
_LOOPS = frozenset((b"Enter", b"RefEnter", b"NextIteration", b"RefNextIteration"))

ENCODERS = frozenset(
    b"AudioSummary AudioSummaryV2 EncodeJpeg EncodeJpegVariableQuality EncodePng EncodeProto EncodeWav HistogramSummary "
    b"ImageSummary MergeSummary ReadFile ScalarSummary SerializeManySparse SerializeSparse SerializeTensor TensorSummary "
    b"TensorSummaryV2".split()
)
"""What gives bytes that are no text."""

DECODERS = frozenset(
    b"DecodeAndCropJpeg DecodeBmp DecodeCompressed DecodeGif DecodeImage DecodeJpeg DecodePaddedRaw DecodePng DecodeProtoV2 "
    b"DecodeRaw DecodeWav DecodeWebP DeserializeManySparse DeserializeSparse ExtractJpegShape ParseExample ParseExampleV2 "
    b"ParseSequenceExample ParseSequenceExampleV2 ParseSingleExample ParseSingleSequenceExample ParseTensor".split()
)
"""What reads such bytes, from its first input."""

UNIFORM = frozenset((b"RandomUniform", b"StatelessRandomUniform", b"StatelessRandomUniformV2", b"StatefulUniform"))
"""Random numbers from 0 to 1: what a dropout makes its mask of."""

FUSED_NORMS = frozenset((b"FusedBatchNorm", b"FusedBatchNormV2", b"FusedBatchNormV3"))
_TRAINING = UNIFORM | FUSED_NORMS
_UPDATES = frozenset((b"Assign", b"AssignSub", b"AssignSubVariableOp", b"AssignVariableOp"))
_NEITHER: tuple[frozenset[bytes], frozenset[bytes]] = (frozenset(), frozenset())


class Named(NamedTuple):
    """A node that names a function: in an attribute, or (TensorFlow 1) as its operation."""

    op: bytes
    node: bytes
    function: bytes


_NONE: Mapping[str, str] = MappingProxyType({})


class Call(NamedTuple):
    """What a request of one signature runs, the functions that it calls included; each node counts once.

    ``ops`` are its operations. ``unfed`` are placeholders that it needs and that the signature does not feed: such a request
    fails. ``dropout`` are the random operations of a dropout that is on, ``training_norms`` the batch normalisations that use
    the statistics of the request instead of the training's: both only where every request runs them and uses what they give,
    so none that a condition may skip. ``encodes`` names the operation whose bytes an output holds (``EncodePng``), ``decodes``
    the one that reads the bytes of an input (``DecodeJpeg``, ``ParseExampleV2``), by the names in the signature.
    """

    ops: Mapping[str, int]
    unfed: tuple[str, ...] = ()
    dropout: tuple[str, ...] = ()
    training_norms: tuple[str, ...] = ()
    encodes: Mapping[str, str] = _NONE
    decodes: Mapping[str, str] = _NONE


class Reach(NamedTuple):
    """The part of a body that a walk came to: its nodes, how many of each operation, and the functions that they name."""

    body: Body
    nodes: Mapping[bytes, Node]
    ops: Mapping[bytes, int]
    calls: tuple[Named, ...]


class TooLarge(Exception):
    """There is more to follow than can be followed in reasonable time."""


class Graph:
    """A ``GraphDef``: ``ops`` counts all of its operations, ``functions`` the nodes of each function of its library."""

    def __init__(self, buffer: Buffer, spans: Iterable[tuple[int, int]]) -> None:
        self.buffer = buffer
        self.ops: dict[bytes, int] = {}
        self.functions: dict[bytes, int] = {}
        self._spans: dict[bytes, tuple[int, int]] = {}
        self._bodies: dict[bytes, Body] = {}
        self._reached: dict[tuple[bytes, bool], Reach] = {}
        self._trained: dict[bytes, tuple[frozenset[bytes], frozenset[bytes]]] = {}
        self._visits_left = _VISITS
        nodes: dict[bytes, Node] = {}
        for start, end in spans:
            read_nodes(buffer, start, end, 1, self.ops, nodes)
            for _, begin, stop in select(buffer, start, end, {2: BYTES}):
                for _, at, to in select(buffer, begin, stop, {1: BYTES}):
                    self._count(at, to)
        self.main = Body(b"", nodes)
        self._visits_left += _VISITS_RATIO * sum(self.ops.values())

    def _count(self, start: int, end: int) -> None:
        count, name = 0, b""
        for number, begin, stop in select(self.buffer, start, end, {1: BYTES, 3: BYTES}):
            if number == 1:
                name = string(self.buffer, begin, stop, 1)
                continue
            op = string(self.buffer, begin, stop, 2)
            self.ops[op] = self.ops.get(op, 0) + 1
            count += 1
        self.functions[name] = count
        self._spans[name] = (start, end)

    def body(self, function: bytes) -> Body:
        if function not in self._bodies:
            self._bodies[function] = read_function(self.buffer, function, *self._spans[function])
        return self._bodies[function]

    def load(self, nodes: Iterable[str]) -> dict[str, int]:
        """The operations that these nodes need."""
        return named(_sum(self._reach([node.encode() for node in nodes], frozenset())))

    def call(self, inputs: Mapping[str, Iterable[str]], outputs: Mapping[str, Iterable[str]]) -> Call:
        """What a request runs that feeds the tensors of these inputs, and fetches those of the outputs."""
        feeds = {_full(written): key for key, names in inputs.items() for written in names}
        fed = frozenset(_spellings(feeds, self.main.nodes))
        fetches = {key: [written.encode() for written in names] for key, names in outputs.items()}
        roots = [written for names in fetches.values() for written in names if written not in fed]
        reached = self._reach(roots, fed)
        ops = _sum(reached)
        dropout: set[bytes] = set()
        norms: set[bytes] = set()
        if any(self._suspect(reach) for reach in reached):
            for reach in self._reach(roots, fed, sure=True):
                found = self._training(reach, fed) if self._suspect(reach) else _NEITHER
                dropout |= found[0]
                norms |= found[1]
        encodes, decodes = self._passages(reached, ops, fetches, feeds)
        unfed = (name for name, node in reached[0].nodes.items() if node.op in _PLACEHOLDERS)
        return Call(named(ops), _names(unfed), _names(dropout), _names(norms), encodes, decodes)

    def _suspect(self, reach: Reach) -> bool:
        """True where it is worth a look whether the model is in training mode."""
        if not _TRAINING.isdisjoint(reach.ops):
            return True
        if b"Mean" not in reach.ops or _UPDATES.isdisjoint(self.ops):
            return False
        self._visit(len(reach.body.nodes) // 16)
        return any(node.op in _UPDATES for node in reach.body.nodes.values())

    def _training(self, reach: Reach, fed: Collection[bytes]) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """The random operations of a dropout, and the batch normalisations in training mode."""
        from cpr.saved_model.constants import Constants
        from cpr.saved_model.dropout import Search
        from cpr.saved_model.norms import training_norms

        name = reach.body.name
        if name not in self._trained or not name:
            constants = Constants(self.buffer, reach.body, () if name else fed)
            search = Search(reach.nodes, constants)
            norms = frozenset(training_norms(self.buffer, reach.body, reach.nodes, constants))
            self._trained[name] = frozenset(search.found()), norms
            self._visit(search.steps + constants.steps + len(reach.body.nodes))
        return self._trained[name]

    def _passages(
        self, reached: list[Reach], ops: Iterable[bytes], fetches: Mapping[str, list[bytes]], feeds: Mapping[bytes, str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        if ENCODERS.isdisjoint(ops) and DECODERS.isdisjoint(ops):
            return {}, {}
        from cpr.saved_model.passage import Passage, decodes, encodes

        passage = Passage(reached)
        found = encodes(passage, fetches), decodes(passage, feeds)
        self._visit(6 * passage.steps)  # each costs more than a visit
        return found

    def _visit(self, count: int) -> None:
        self._visits_left -= count
        if self._visits_left < 0:
            raise TooLarge

    def _reach(self, roots: Collection[bytes], fed: Collection[bytes], sure: bool = False) -> list[Reach]:
        """The graph's part first, then each function's. ``sure``: only what is run and used whatever the conditions are."""
        found = [self._walk(self.main, roots, fed, sure)]
        seen: set[bytes] = set()
        for reached in found:
            for call in reached.calls:
                if call.function in seen or (sure and call.op in _BRANCHES):
                    continue
                seen.add(call.function)
                reach = self._function(call.function, sure)
                self._visit(1 + len(reach.ops) + len(reach.calls))
                found.append(reach)
        return found

    def _function(self, name: bytes, sure: bool) -> Reach:
        if (name, sure) not in self._reached:
            body = self.body(name)
            roots = [written for _, written in body.results]
            self._reached[name, sure] = self._walk(body, roots if sure else [*roots, *body.controls], (), sure)
        return self._reached[name, sure]

    def _walk(self, body: Body, roots: Iterable[bytes], fed: Collection[bytes], sure: bool) -> Reach:
        nodes: dict[bytes, Node] = {}
        ops: dict[bytes, int] = {}
        calls: list[Named] = []
        stack = [node_name(root) for root in roots]
        while stack:
            name = stack.pop()
            node = body.nodes.get(name)
            if node is None or name in nodes:
                continue
            op, inputs = node.op, node.inputs
            nodes[name] = node
            ops[op] = ops.get(op, 0) + 1
            self._visit(1 + len(inputs))
            if op in self.functions:
                calls.append(Named(op, name, op))
            for function in functions_of(self.buffer, node):
                self._visit(2)
                if function in self.functions:
                    calls.append(Named(op, name, function))
            if sure and _chooses(body, node):
                continue
            for written in inputs:
                if written in fed or (sure and written[:1] == b"^"):
                    continue
                stack.append(node_name(written))
        return Reach(body, nodes, ops, tuple(calls))


def _chooses(body: Body, node: Node) -> bool:
    """True where a condition, or what a request may feed, decides which of its inputs a node gives."""
    if node.op in _MERGES:
        # Not so the merge at the start of a loop.
        origins = (body.nodes.get(node_name(written)) for written in node.inputs)
        return not any(origin is not None and origin.op in _LOOPS for origin in origins)
    if node.op in _SELECTS and node.inputs:
        flag = body.nodes.get(node_name(node.inputs[0]))
        for _ in range(_FLAG_STEPS):
            if flag is None or flag.op not in _FLAGS or not flag.inputs:
                break
            flag = body.nodes.get(node_name(flag.inputs[0]))
        return flag is not None and (flag.op in _PLACEHOLDERS or flag.op == b"PlaceholderWithDefault")
    return node.op in _BRANCHES


def _full(written: str) -> bytes:
    """The name of a tensor, always with the number of the output."""
    name, _, index = written.partition(":")
    return f"{name}:{index or 0}".encode()


def _spellings(feeds: Iterable[bytes], nodes: Mapping[bytes, Node]) -> Iterator[bytes]:
    """Every input as written that leads to a fed tensor. A placeholder has nothing to run but to be fed."""
    for fed in feeds:
        yield fed
        name = node_name(fed)
        if fed == name + b":0":
            yield name
        if name in nodes and nodes[name].op in _PLACEHOLDERS:
            yield b"^" + name


def _sum(reached: Iterable[Reach]) -> dict[bytes, int]:
    ops: dict[bytes, int] = {}
    for reach in reached:
        for op, count in reach.ops.items():
            ops[op] = ops.get(op, 0) + count
    return ops


def named(counts: Mapping[bytes, int]) -> dict[str, int]:
    """In order of name."""
    try:
        return {name.decode(): count for name, count in sorted(counts.items())}
    except UnicodeDecodeError:
        raise malformed("the name of an operation is not UTF-8") from None


def _names(found: Iterable[bytes]) -> tuple[str, ...]:
    """Without repetition, in order."""
    try:
        return tuple(sorted({name.decode() for name in found}))
    except UnicodeDecodeError:
        raise malformed("the name of a node is not UTF-8") from None
