"""How long a routine takes to answer: percentiles of its calls in the rehearsal, and what its first answer waits for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cpr.isolation import Run

ENOUGH = 100
"""Calls from which the 99th percentile is more than their slowest."""

_COLD = ("interpreter", "import", "from_path", "first_predict")


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds. ``calls`` are line of the example and time of every call but the first, the fastest first; ``cold`` has
    the phases up to the first answer, in their order."""

    calls: tuple[tuple[int, float], ...]
    cold: tuple[tuple[str, float], ...]
    first_line: int | None

    def percentile(self, percent: float) -> float:
        """By nearest rank: one of the calls took exactly that."""
        return self.calls[max(1, math.ceil(len(self.calls) * percent / 100)) - 1][1]

    @property
    def slowest(self) -> tuple[int, float]:
        return self.calls[-1]

    @property
    def cold_start(self) -> float | None:
        """From the start of the process to its first answer; ``None`` where it came to none."""
        return sum(taken for _, taken in self.cold) if self.cold and self.cold[-1][0] == _COLD[-1] else None

    def to_json(self) -> dict[str, Any]:
        figures: dict[str, Any] = {"calls": len(self.calls)}
        if self.calls:
            figures |= {name: round(self.percentile(percent), 3) for name, percent in (("p50", 50), ("p90", 90), ("p99", 99))}
            figures |= {"max": round(self.slowest[1], 3), "max_line": self.slowest[0]}
        if self.cold_start is not None:
            figures["cold_start"] = round(self.cold_start, 3)
        return {**figures, **{name: round(taken, 3) for name, taken in self.cold}}


def latency(run: Run) -> Latency:
    """The figures of a rehearsal, which may have come to no call at all."""
    taken = {phase.name: phase.seconds * 1000 for phase in run.phases}
    cold = tuple((name, taken[name]) for name in _COLD if name in taken)
    answers = [(answer.line, answer.seconds) for answer in run.answers]
    first = run.answers[0].line if run.answers else None
    return Latency(in_order([*answers[1:], *run.trials.timings]), cold, first)


def in_order(calls: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Calls by line and seconds as a ``Latency`` has them."""
    return tuple(sorted(((line, seconds * 1000) for line, seconds in calls), key=lambda call: call[1]))
