"""What the trials of a class recorded: plain values, and the reading of the probe's events into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

TRIAL_EVENTS = frozenset(("trial", "untried", "timing", "behaved", "broken_off"))


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial of the class found wrong, and on which line's example; ``details`` are the counter-example as text."""

    kind: str
    line: int | None
    details: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Trials:
    """How the class behaved after the replay.

    ``tried`` names what was tried; ``untried`` what was not, for want of time, with the seconds that a call takes. ``timings``
    are further calls, by line of the example and seconds. ``complete``: the trials came to their end.
    """

    found: tuple[Trial, ...] = ()
    tried: tuple[str, ...] = ()
    untried: tuple[tuple[str, float], ...] = ()
    timings: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0
    calls: int = 0
    complete: bool = False
    broken_off: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "tried": list(self.tried),
            "untried": [name for name, _ in self.untried],
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
        }


def with_event(trials: Trials, kind: str, event: Mapping[str, Any]) -> Trials:
    """The trials with one more event of the probe's; what does not fit raises what reading it raises."""
    if kind == "trial":
        details = {str(key): str(value) for key, value in event["details"].items()}
        line = None if event["line"] is None else int(event["line"])
        return replace(trials, found=(*trials.found, Trial(str(event["kind"]), line, details)))
    if kind == "untried":
        return replace(trials, untried=(*trials.untried, (str(event["what"]), float(event["call"]))))
    if kind == "timing":
        timings = zip(map(int, event["lines"]), map(float, event["seconds"]), strict=True)
        return replace(trials, timings=(*trials.timings, *timings))
    if kind == "broken_off":
        return replace(trials, broken_off=str(event["problem"]))
    return replace(
        trials,
        tried=tuple(map(str, event["tried"])),
        seconds=float(event["seconds"]),
        calls=int(event["calls"]),
        complete=True,
    )
