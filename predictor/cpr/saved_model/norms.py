"""Batch normalisation in training mode: it uses the statistics of the request's own rows, so each answer depends on the others.

The fused operations say so themselves. Where the layer is put together from simpler ones (Keras 3 always, Keras 2 for all but
images), as a layer normalisation is as well, what proves it is the moving average: the mean that the output is computed
from also goes into a variable, as ``v * 0.99 + mean * 0.01`` (Keras 3) or ``v -= (v - mean) * 0.01`` (Keras 2, TensorFlow 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cpr.saved_model.constants import Constants
from cpr.saved_model.graph import FUSED_NORMS
from cpr.saved_model.nodes import Body, Node, attribute, node_name
from cpr.saved_model.wire import VARINT, Buffer, select

_ASSIGNS = frozenset((b"AssignVariableOp", b"Assign"))
_SUBTRACTS = frozenset((b"AssignSubVariableOp", b"AssignSub"))
_SUMS = frozenset((b"Add", b"AddV2"))
_SHAPES = frozenset((b"Cast", b"Identity", b"Reshape", b"Squeeze", b"StopGradient"))
_DEEPEST = 6


def training_norms(buffer: Buffer, body: Body, nodes: Mapping[bytes, Node], constants: Constants) -> Iterator[bytes]:
    """Names of those among ``nodes`` (of ``body``, run and used for certain): the fused operation, or the mean."""
    for name, node in nodes.items():
        if node.op in FUSED_NORMS and _is_training(buffer, node) and not _is_by_row(body, node):
            yield name
    for node in body.nodes.values():
        for written in _averaged(body, node, constants):
            mean = _mean(body, written)
            if mean is not None and mean in nodes:
                yield mean


def _is_training(buffer: Buffer, node: Node) -> bool:
    """What is not written is the default, and that is true."""
    training = True
    for _, flag, _ in select(buffer, *attribute(buffer, node.begin, node.stop, b"is_training"), {5: VARINT}):
        training = bool(flag)
    return training


def _is_by_row(body: Body, node: Node) -> bool:
    """True for the layer normalisation of Keras 2, which has the rows as channels; so their scale is as long as the batch."""
    scale = _at(body, node.inputs[1]) if len(node.inputs) > 1 else None
    return scale is not None and scale.op == b"Fill"


def _averaged(body: Body, node: Node, constants: Constants) -> Iterator[bytes]:
    """What a node adds to a moving average, if it does."""
    if len(node.inputs) < 2 or (node.op not in _ASSIGNS and node.op not in _SUBTRACTS):
        return
    variable, change = node.inputs[0], _at(body, node.inputs[1])
    if node.op in _SUBTRACTS and change is not None and change.op == b"Mul":
        for written in change.inputs[:2]:
            difference = _at(body, written)
            if difference is not None and difference.op == b"Sub" and len(difference.inputs) >= 2:
                old, new = difference.inputs[:2]
                if _reads(body, old, variable):
                    yield new
    if node.op in _ASSIGNS and change is not None and change.op in _SUMS:
        parts = [_weighted(body, written, constants) for written in change.inputs[:2]]
        for (old, kept), (new, added) in (parts, parts[::-1]) if len(parts) == 2 else ():
            if kept is not None and added is not None and abs(kept + added - 1) < 0.01 and _reads(body, old, variable):
                yield new


def _weighted(body: Body, written: bytes, constants: Constants) -> tuple[bytes, float | None]:
    """A tensor and the constant that it is multiplied by."""
    node = _at(body, written)
    if node is None or node.op != b"Mul" or len(node.inputs) < 2:
        return written, None
    first, second = node.inputs[:2]
    weight = constants.value(second)
    return (first, weight) if weight is not None else (second, constants.value(first))


def _reads(body: Body, written: bytes, variable: bytes) -> bool:
    """True for the value of a variable, given as what an assignment to it names."""
    for _ in range(_DEEPEST):
        if node_name(written) == node_name(variable):
            return True
        node = _at(body, written)
        if node is None or not node.inputs or node.op not in (b"ReadVariableOp", b"Identity", b"Cast"):
            return False
        written = node.inputs[0]
    return False


def _mean(body: Body, written: bytes) -> bytes | None:
    """The mean of a batch that a tensor is in another shape; not its variance, which is the mean of squares."""
    for _ in range(_DEEPEST):
        node = _at(body, written)
        if node is None or not node.inputs:
            return None
        if node.op == b"Mean":
            of = _at(body, node.inputs[0])
            return None if of is not None and of.op == b"SquaredDifference" else node_name(written)
        if node.op not in _SHAPES:
            return None
        written = node.inputs[0]
    return None


def _at(body: Body, written: bytes) -> Node | None:
    return body.nodes.get(node_name(written))
