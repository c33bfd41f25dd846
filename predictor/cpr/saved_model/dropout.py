"""Dropout that is on, seen in the operations: a mask of random numbers, and what it lets through scaled up to make good for it.

Random numbers alone are no dropout: models sample, explore and add noise. What proves one is that the numbers are compared with
a constant, which keeps a known part of them, and that what the mask is applied to is divided by just this part. So it is in
every form that ``tf.nn.dropout`` has had (``tensorflow/python/ops/nn_ops.py``)::

    1.0     (x / keep) * floor(keep + random)
    1.13    x * (1 / (1 - rate)) * cast(random >= rate)
    2.10    select(random >= rate, x * scale, 0)

Alpha dropout (Keras) puts ``-1.7580993`` in place of what is dropped. A rate that a request feeds, or that is computed from
anything but constants, proves nothing; a ``PlaceholderWithDefault`` that nobody feeds is its default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from cpr.saved_model.constants import SAME, Constants
from cpr.saved_model.graph import UNIFORM
from cpr.saved_model.nodes import Node, node_name

_ALPHA = -1.7580993408473766
"""Minus alpha times scale of SELU: https://arxiv.org/abs/1706.02515, appendix."""

_DEEPEST = 8
"""Steps from the random numbers to their comparison, from there to what is masked, and down to the constants of a rate."""

_STEPS = 200_000
"""Uses looked at in one body, for all of its random operations together."""

_SUMS = frozenset((b"Add", b"AddV2"))
_QUOTIENTS = frozenset((b"RealDiv", b"Div"))
_ABOVE, _BELOW = frozenset((b"GreaterEqual", b"Greater")), frozenset((b"Less", b"LessEqual"))
_SELECTS = frozenset((b"SelectV2", b"Select"))


class Search:
    """For the dropouts among ``nodes``, those that are run and used for certain. ``steps`` counts the work."""

    def __init__(self, nodes: Mapping[bytes, Node], constants: Constants) -> None:
        self.nodes, self.constants = nodes, constants
        self.steps = 0
        self.users: dict[bytes, list[tuple[bytes, Node]]] = {}
        for name, node in nodes.items():
            for written in node.inputs[:3]:
                if written[:1] != b"^":
                    self.users.setdefault(node_name(written), []).append((name, node))

    def found(self) -> Iterator[bytes]:
        """Names of random operations."""
        for name, node in self.nodes.items():
            if node.op in UNIFORM and any(self.masks(mask, keep) for mask, keep in self.compared(name)):
                yield name

    def uses(self, name: bytes) -> list[tuple[bytes, Node]]:
        """The nodes that have this one for an input; none any more when all steps are used up."""
        users = self.users.get(name, [])
        self.steps += 1 + len(users)
        return users if self.steps < _STEPS else []

    def compared(self, source: bytes) -> Iterator[tuple[bytes, float]]:
        """The masks made of a source of random numbers, and how many of 1 they keep."""
        # Each value on the way is factor * random + offset.
        steps, seen = [(source, 1.0, 0.0, 0)], {source}
        for name, factor, offset, depth in steps:
            for user, node in self.uses(name) if depth < _DEEPEST else ():
                if user in seen:
                    continue
                seen.add(user)
                if node.op in SAME:
                    steps.append((user, factor, offset, depth + 1))
                elif node.op == b"Floor":
                    if offset < 1 <= offset + factor <= 2:
                        yield user, (offset + factor - 1) / factor
                elif len(node.inputs) >= 2:
                    first = node_name(node.inputs[0]) == name
                    other = self.constants.value(node.inputs[1 if first else 0])
                    if other is None:
                        continue
                    if node.op == b"Mul" and other > 0:
                        steps.append((user, factor * other, offset * other, depth + 1))
                    elif node.op in _SUMS:
                        steps.append((user, factor, offset + other, depth + 1))
                    elif node.op in _ABOVE or node.op in _BELOW:
                        below = (other - offset) / factor
                        yield user, 1 - below if (node.op in _ABOVE) == first else below

    def masks(self, mask: bytes, keep: float) -> bool:
        """True where what the mask lets through is divided by ``keep``."""
        if not 0 < keep < 1:
            return False
        steps, seen = [(mask, 0)], {mask}
        for name, depth in steps:
            for user, node in self.uses(name) if depth < _DEEPEST else ():
                if node.op in SAME and user not in seen:
                    seen.add(user)
                    steps.append((user, depth + 1))
                elif self.applies(user, node, name, keep):
                    return True
        return False

    def applies(self, user: bytes, node: Node, mask: bytes, keep: float) -> bool:
        if len(node.inputs) < 2:
            return False
        first = node_name(node.inputs[0]) == mask
        other = node.inputs[1 if first else 0]
        if node.op in _SELECTS and first and len(node.inputs) >= 3:
            kept, dropped = node.inputs[1:3]
            return (
                self.scaled(kept, keep)
                or self.scaled(dropped, 1 - keep)  # the mask says what to drop
                or _near(self.constants.value(dropped), _ALPHA)
            )
        if node.op in _QUOTIENTS:
            return first and _fits(1, self.constants.value(other), keep)
        if node.op == b"Mul":
            return self.scaled(other, keep) or any(self.scales(product, user, keep) for _, product in self.uses(user))
        if node.op == b"Sub" and not first and self.constants.value(other) == 1:
            products = (product for _, product in self.uses(user) if product.op == b"Mul")
            return any(_near(self.constants.value(written), _ALPHA) for product in products for written in product.inputs[:2])
        return False

    def scaled(self, written: bytes, keep: float) -> bool:
        """True for a tensor divided by ``keep``, and for the number 1 divided by it."""
        if _fits(self.constants.value(written), 1, keep):
            return True
        for _ in range(_DEEPEST):
            node = self.nodes.get(node_name(written))
            if node is None or not node.inputs:
                return False
            if node.op not in SAME and node.op != b"Reshape":
                return self.scales(node, b"", keep)
            written = node.inputs[0]
        return False

    def scales(self, node: Node, tensor: bytes, keep: float) -> bool:
        """True where a node divides by ``keep``; ``tensor``, where given, is not what it divides by."""
        if len(node.inputs) < 2:
            return False
        first, second = (None if node_name(written) == tensor else written for written in node.inputs[:2])
        if node.op == b"Mul":
            factors = [written for written in (first, second) if written is not None]
            return any(_fits(self.constants.value(written), 1, keep) for written in factors)
        return node.op in _QUOTIENTS and second is not None and _fits(1, self.constants.value(second), keep)


def _near(value: float | None, wanted: float) -> bool:
    return value is not None and math.isclose(value, wanted, rel_tol=0.01)


def _fits(scale: float | None, divisor: float | None, keep: float) -> bool:
    """True where ``scale / divisor`` is ``1 / keep``, as exact as three digits (bfloat16) allow, and never for 1."""
    if scale is None or divisor is None:
        return False
    return abs(scale * keep - divisor) <= abs(divisor) * min(0.01, 0.3 * (1 - keep))
