"""Integrated gradients (Sundararajan, Taly and Yan, 2017, https://arxiv.org/abs/1703.01365) along the straight path.

The attributions of a smooth model come out of a few steps. Those of a model with kinks (ReLU) take many steps near the kinks
and few elsewhere. So the path is cut into panels of five steps each. For every panel it is known what its attributions should
add up to, the difference of the score at its ends: a panel that misses it is halved, and halved again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cpr.explaining.batches import Arrays, Size, batched, row_bytes
from cpr.explaining.values import TOLERANCE, precision, relative

_PLACES, _WEIGHTS = (values / 2 for values in np.polynomial.legendre.leggauss(5))
_PLACES = _PLACES + 0.5
NODES = len(_PLACES)
"""Steps of a panel, at the nodes of Gauss and Legendre."""

MOST_STEPS = 5000
"""For one value of one instance; what is still inexact then is told."""

_HELD = 16 << 20
"""Bytes of gradients that are kept until it is known which panels are exact enough."""


class Scored(Protocol):
    """A differentiable score: see :class:`cpr.explaining._tensorflow.Differentiated`."""

    def scores(self, points: Arrays, targets: Any) -> Any: ...

    def gradients(self, points: Arrays, targets: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Integral:
    """By row: ``attributions`` in the shape of the inputs, scores there and at the baseline, relative errors, steps."""

    attributions: dict[str, Any]
    scores: Any
    baseline_scores: Any
    errors: Any
    steps: Any


@dataclass(frozen=True, slots=True)
class _Panels:
    """Parts of paths: of which row, from where to where, and the scores there."""

    row: Any
    start: Any
    end: Any
    first: Any
    last: Any

    def __len__(self) -> int:
        return len(self.row)

    def pick(self, chosen: Any) -> _Panels:
        return _Panels(self.row[chosen], self.start[chosen], self.end[chosen], self.first[chosen], self.last[chosen])


class _Path:
    """The straight lines from the baseline's rows to the instances', and what is summed up along them."""

    def __init__(self, scored: Scored, rows: Arrays, baseline: Arrays, targets: Any, size: Size) -> None:
        self.scored, self.baseline, self.targets, self.size = scored, baseline, targets, size
        self.way = {name: rows[name].astype(np.float64) - baseline[name] for name in rows}
        self.dtypes = {name: rows[name].dtype for name in rows}
        self.group = max(1, _HELD // (NODES * row_bytes(rows)))
        self.attributions = {name: np.zeros(array.shape) for name, array in self.way.items()}

    def scores(self, row: Any, at: Any) -> Any:
        return batched(self.scored.scores, self._points(row, at), self.targets[row], self.size)

    def integrate(self, panels: _Panels) -> tuple[dict[str, Any], Any]:
        """For each panel, its part of the attributions, and by how much they miss the difference of its scores."""
        width = panels.end - panels.start
        at = (panels.start[:, None] + width[:, None] * _PLACES).ravel()
        row = np.repeat(panels.row, NODES)
        slopes = batched(self.scored.gradients, self._points(row, at), self.targets[row], self.size)
        parts = {}
        missed = panels.first - panels.last
        for name, slope in slopes.items():
            by_node = slope.astype(np.float64).reshape(len(panels), NODES, -1)
            summed = np.einsum("pnk,n->pk", by_node, _WEIGHTS) * width[:, None]
            parts[name] = summed.reshape(self.way[name][panels.row].shape) * self.way[name][panels.row]
            missed = missed + parts[name].reshape(len(panels), -1).sum(axis=1)
        return parts, missed

    def add(self, panels: _Panels, parts: Arrays, chosen: Any) -> None:
        for name, part in parts.items():
            np.add.at(self.attributions[name], panels.row[chosen], part[chosen])

    def _points(self, row: Any, at: Any) -> dict[str, Any]:
        points = {}
        for name, way in self.way.items():
            along = at.reshape(-1, *[1] * (way.ndim - 1))
            points[name] = (self.baseline[name][row] + along * way[row]).astype(self.dtypes[name])
        return points


def integrate(
    scored: Scored, rows: Arrays, baseline: Arrays, targets: Any, steps: int, size: Size, most: int = MOST_STEPS
) -> Integral:
    """Attributions for ``rows``: float arrays by input, as ``baseline`` (same shapes).

    ``steps`` gradients a row, rounded up to a multiple of five; more where the attributions do not add up to ``TOLERANCE``, up
    to ``most``.
    """
    path = _Path(scored, rows, baseline, targets, size)
    count, parts = len(targets), -(-steps // NODES)
    ends = np.linspace(0.0, 1.0, parts + 1)
    known = path.scores(np.repeat(np.arange(count), parts + 1), np.tile(ends, count)).reshape(count, parts + 1)
    difference = known[:, -1] - known[:, 0]
    budget = _Budget(TOLERANCE * np.abs(difference), precision(np.abs(known).max(axis=1)), most)
    left = _Panels(
        np.repeat(np.arange(count), parts),
        np.tile(ends[:-1], count),
        np.tile(ends[1:], count),
        known[:, :-1].ravel(),
        known[:, 1:].ravel(),
    )
    while len(left):
        left = _halved(path, _round(path, left, budget))
    sums = sum(array.reshape(count, -1).sum(axis=1) for array in path.attributions.values())
    errors = np.array([relative(error, whole) for error, whole in zip(sums - difference, difference, strict=True)])
    return Integral(path.attributions, known[:, -1], known[:, 0], errors, budget.taken)


class _Budget:
    """By row: the error that is still allowed, and the steps that were taken. An error below ``precision`` is none."""

    def __init__(self, allowed: Any, precision: Any, most: int) -> None:
        self.allowed = allowed
        self.precision = precision
        self.most = most
        self.taken = np.zeros(len(allowed), int)

    def exact(self, rows: Any, missed: Any) -> Any:
        """Which panels may stay as they are: those that miss least, for half of the error that is left; the others are halved,
        the worst first, while there are steps left for that."""
        stay = np.ones(len(rows), bool)
        self.taken += NODES * np.bincount(rows, minlength=len(self.taken))
        for row in np.unique(rows):
            mine = np.flatnonzero(rows == row)
            errors = np.maximum(np.abs(missed[mine]) - self.precision[row], 0.0)
            order = np.argsort(errors, kind="stable")
            mine, total = mine[order], np.cumsum(errors[order])
            good = (
                len(mine) if not total[-1] > self.allowed[row] else int(np.searchsorted(total, self.allowed[row] / 2, "right"))
            )
            room = max(0, (self.most - self.taken[row]) // (2 * NODES))
            good = max(good, len(mine) - room)
            stay[mine[good:]] = False
            self.allowed[row] -= total[good - 1] if good else 0.0
        return stay


def _round(path: _Path, left: _Panels, budget: _Budget) -> _Panels:
    """Integrate all these panels, and return those that are not exact enough yet."""
    again = []
    for at in range(0, len(left), path.group):
        panels = left.pick(slice(at, at + path.group))
        parts, missed = path.integrate(panels)
        stay = budget.exact(panels.row, missed)
        path.add(panels, parts, stay)
        again.append(panels.pick(~stay))
    return _joined(again)


def _joined(groups: list[_Panels]) -> _Panels:
    fields = ("row", "start", "end", "first", "last")
    return _Panels(*(np.concatenate([getattr(group, field) for group in groups]) for field in fields))


def _halved(path: _Path, panels: _Panels) -> _Panels:
    if not len(panels):
        return panels
    middle = (panels.start + panels.end) / 2
    score = path.scores(panels.row, middle)
    return _joined(
        [
            _Panels(panels.row, panels.start, middle, panels.first, score),
            _Panels(panels.row, middle, panels.end, score, panels.last),
        ]
    )
