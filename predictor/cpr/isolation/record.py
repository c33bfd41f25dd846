"""What a rehearsal recorded: plain values, and the reading of the probe's events into them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

_RESULT_BYTES = 512 * 1024 * 1024  # more than the probe ever writes of its own accord


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: wall time in seconds, peak of resident memory in MiB (``None`` where it cannot be measured), calls."""

    name: str
    seconds: float
    peak_mib: float | None
    calls: int = 0

    def to_json(self) -> dict[str, Any]:
        peak = None if self.peak_mib is None else round(self.peak_mib, 1)
        calls = {"calls": self.calls} if self.calls else {}
        return {"name": self.name, "seconds": round(self.seconds, 4), "peak_mib": peak, **calls}


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of the author's code. ``where`` is ``module.py:line`` in the package; ``network``: a call was cut off."""

    phase: str
    line: int | None
    type: str
    message: str
    module: str | None
    remedy: str | None
    where: str | None
    traceback: str | None
    network: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """The prediction class as imported. ``arguments`` counts the positional parameters of ``predict`` as the service does;
    ``keywords`` tells whether it takes the keyword arguments that the service adds."""

    from_path: bool
    bound: bool
    predict: bool
    arguments: int | None
    keywords: bool | None
    signature: str | None
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What ``predict`` returned for the example on ``line``.

    ``problem`` is ``None``, ``type`` (not a list), ``json`` (not JSON), ``nan`` or ``exception``; ``place`` and ``what`` say
    where and what. ``error`` is the place of a prediction that is an object with an error or the text of a traceback.
    ``answer`` is what it returned, where the example has an expectation; ``None``: not kept.
    """

    line: int
    seconds: float
    instances: int
    type: str
    rows: int | None
    problem: str | None
    place: str
    what: str
    bytes: int | None
    answer: list[Any] | None
    error: str | None = None


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


@dataclass(frozen=True, slots=True)
class Run:
    """What a rehearsal recorded, phase by phase, until it ended."""

    grade: str
    network: str
    seconds: float
    timeout: float
    phases: tuple[Phase, ...] = ()
    shape: Shape | None = None
    missing: tuple[str, tuple[str, ...]] | None = None
    raised: tuple[Raised, ...] = ()
    no_instance: str | None = None
    answers: tuple[Answer, ...] = ()
    calls: tuple[str, ...] = ()
    install_failure: tuple[str, str] | None = None
    last_phase: str = "interpreter"
    last_line: int | None = None
    complete: bool = False
    timed_out: bool = False
    status: int | None = None
    output: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    altered: tuple[str, ...] = ()
    at_import: tuple[tuple[str, str, str], ...] = ()
    """What the author's module did while it was imported: kind, what, and ``module.py:line``; a client's ``module.py#NAME``."""
    trials: Trials = field(default_factory=Trials)

    @property
    def peak_mib(self) -> float | None:
        return max((phase.peak_mib for phase in self.phases if phase.peak_mib is not None), default=None)


def read_run(path: Path, grade: str) -> tuple[Run, tuple[str, ...]]:
    """The probe's events as a ``Run``, and the modules it had imported at its end.

    The author's code could have written to the file: what does not fit ends the reading.
    """
    gathered: dict[str, Any] = {"phases": (), "raised": (), "answers": ()}
    facts: dict[str, Any] = {}
    trials = Trials()
    modules: tuple[str, ...] = ()
    try:
        for event in _events(path):
            kind = event.pop("event")
            if kind == "start":
                gathered["network"] = str(event["network"])
                facts = {key: str(event[key]) for key in ("python", "implementation", "platform")}
            elif kind == "enter":
                gathered |= {"last_phase": str(event["phase"]), "last_line": _integer(event["line"])}
            elif kind == "phase":
                gathered["phases"] += (_phase(event),)
            elif kind == "missing":
                gathered["missing"] = (str(event["module"]), tuple(map(str, event["classes"])))
            elif kind == "class":
                gathered["shape"] = _shape(event)
            elif kind == "raised":
                gathered["calls"] = tuple(map(str, event["calls"]))
                gathered["raised"] += (_raised(event),)
            elif kind == "no_instance":
                gathered["no_instance"] = str(event["type"])
            elif kind == "answer":
                gathered["answers"] += (_answer(event),)
            elif kind == "at_import":
                gathered["at_import"] = (
                    *gathered.get("at_import", ()),
                    (str(event["kind"]), str(event["what"]), str(event["where"])),
                )
            elif kind in ("trial", "untried", "timing", "behaved", "broken_off"):
                trials = _with_event(trials, kind, event)
            elif kind == "done":
                gathered |= {"complete": True, "calls": tuple(map(str, event["calls"]))}
                modules = tuple(map(str, event["modules"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        gathered["complete"] = False
    gathered["trials"] = trials
    network = gathered.pop("network", "none")
    return Run(grade, network, 0.0, 0.0, environment=facts, **gathered), modules


def _with_event(trials: Trials, kind: str, event: Mapping[str, Any]) -> Trials:
    if kind == "trial":
        details = {str(key): str(value) for key, value in event["details"].items()}
        return replace(trials, found=(*trials.found, Trial(str(event["kind"]), _integer(event["line"]), details)))
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


def _phase(event: Mapping[str, Any]) -> Phase:
    peak = event["peak_mib"]
    return Phase(str(event["name"]), float(event["seconds"]), None if peak is None else float(peak), int(event["calls"]))


def _shape(event: Mapping[str, Any]) -> Shape:
    keywords = event["keywords"]
    return Shape(
        from_path=bool(event["from_path"]),
        bound=bool(event["bound"]),
        predict=bool(event["predict"]),
        arguments=_integer(event["arguments"]),
        keywords=None if keywords is None else bool(keywords),
        signature=_string(event["signature"]),
        bases=tuple(map(str, event["bases"])),
    )


def _raised(event: Mapping[str, Any]) -> Raised:
    return Raised(
        phase=str(event["phase"]),
        line=_integer(event["line"]),
        type=str(event["type"]),
        message=str(event["message"]),
        module=_string(event["module"]),
        remedy=_string(event["remedy"]),
        where=_string(event["where"]),
        traceback=_string(event["traceback"]),
        network=bool(event["network"]),
    )


def _answer(event: Mapping[str, Any]) -> Answer:
    text = event.get("answer")
    return Answer(
        line=int(event["line"]),
        seconds=float(event["seconds"]),
        instances=int(event["instances"]),
        type=str(event["type"]),
        rows=_integer(event.get("rows")),
        problem=_string(event["problem"]),
        place=str(event.get("place", "")),
        what=str(event.get("what", "")),
        bytes=_integer(event.get("bytes")),
        answer=None if text is None else list(json.loads(text)),
        error=_string(event.get("error")),
    )


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)


def _string(value: Any) -> str | None:
    return None if value is None else str(value)


def _events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.stat().st_size > _RESULT_BYTES:
            raise ValueError("the record of the rehearsal is too large")
        with open(path, "rb") as file:
            for row in file:
                event = json.loads(row)
                if not isinstance(event, dict):
                    raise ValueError("an event is no object")
                yield event
    except OSError:
        return
