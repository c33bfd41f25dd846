"""What a rehearsal recorded: plain values, and the reading of the probe's events into them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_RESULT_BYTES = 512 * 1024 * 1024  # more than the probe ever writes of its own accord


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: wall time in seconds, peak of resident memory in MiB (``None`` where it cannot be measured), calls.

    ``shared_mib`` is what of that memory are pages of files, which a second process of the same routine shares.
    """

    name: str
    seconds: float
    peak_mib: float | None
    calls: int = 0
    shared_mib: float | None = None

    def to_json(self) -> dict[str, Any]:
        peak = None if self.peak_mib is None else round(self.peak_mib, 1)
        calls = {"calls": self.calls} if self.calls else {}
        shared = {} if self.shared_mib is None else {"shared_mib": round(self.shared_mib, 1)}
        return {"name": self.name, "seconds": round(self.seconds, 4), "peak_mib": peak, **shared, **calls}


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of the author's code. ``where`` is ``module.py:line`` in the package; ``network``: a call was cut off;
    ``hidden``: the module that was not to be seen, where that is why."""

    phase: str
    line: int | None
    type: str
    message: str
    module: str | None
    remedy: str | None
    where: str | None
    traceback: str | None
    network: bool
    hidden: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A module that was looked for, is installed here and was not declared. ``hidden``: it was not found, as on the target.

    ``where`` is the author's ``module.py:line``, ``None`` where another package looked for it; ``distribution`` and ``version``
    are what it belongs to, empty where it belongs to none: then ``folder`` is where it lies. ``sure`` is false where the target
    is only said to bring it.
    """

    module: str
    hidden: bool
    where: str | None
    folder: str | None = None
    distribution: str = ""
    version: str = ""
    sure: bool = True


@dataclass(frozen=True, slots=True)
class ImportCost:
    """What importing a package took of its own, without what it imports in turn; ``installed_mib`` is its size on disk."""

    package: str
    seconds: float
    mib: float
    installed_mib: float | None = None

    def to_json(self) -> dict[str, Any]:
        size = None if self.installed_mib is None else round(self.installed_mib, 1)
        return {
            "package": self.package,
            "seconds": round(self.seconds, 3),
            "mib": round(self.mib, 1),
            "installed_mib": size,
        }


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

    ``problem`` is ``None``, ``type`` (not a list), ``json`` (not JSON) or ``nan``; ``place`` and ``what`` say where and what.
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


@dataclass(frozen=True, slots=True)
class Run:
    """What a rehearsal recorded, phase by phase, until it ended.

    ``children`` is the most processes of the routine's own at one time, and ``together_mib`` the most memory that it and they
    were seen to have at one time.
    """

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
    imported: tuple[Imported, ...] = ()
    costs: tuple[ImportCost, ...] = ()
    children: int = 0
    together_mib: float = 0.0

    @property
    def peak_mib(self) -> float | None:
        return max((phase.peak_mib for phase in self.phases if phase.peak_mib is not None), default=None)

    def needed_mib(self, workers: int) -> float | None:
        """The memory of so many processes that each load the routine: pages of files once, all else for each of them."""
        peaks = [
            (phase.shared_mib or 0.0) + workers * (phase.peak_mib - (phase.shared_mib or 0.0))
            for phase in self.phases
            if phase.peak_mib is not None
        ]
        if not peaks:
            return None
        return max(peaks) + workers * max(0.0, self.together_mib - (self.peak_mib or 0.0))


def read_run(path: Path, grade: str) -> tuple[Run, tuple[str, ...]]:
    """The probe's events as a ``Run``, and the modules it had imported at its end.

    The author's code could have written to the file: what does not fit ends the reading.
    """
    gathered: dict[str, Any] = {"phases": (), "raised": (), "answers": (), "imported": ()}
    facts: dict[str, Any] = {}
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
            elif kind == "import":
                gathered["imported"] += (_imported(event),)
            elif kind == "costs":
                gathered["costs"] = _costs(event["by_package"])
            elif kind == "done":
                gathered |= {"complete": True, "calls": tuple(map(str, event["calls"]))}
                modules = tuple(map(str, event["modules"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        gathered["complete"] = False
    network = gathered.pop("network", "none")
    return Run(grade, network, 0.0, 0.0, environment=facts, **gathered), modules


def _phase(event: Mapping[str, Any]) -> Phase:
    peak = event["peak_mib"]
    shared = event.get("shared_mib")
    return Phase(
        str(event["name"]),
        float(event["seconds"]),
        None if peak is None else float(peak),
        int(event["calls"]),
        None if shared is None else float(shared),
    )


def _imported(event: Mapping[str, Any]) -> Imported:
    return Imported(str(event["module"]), bool(event["hidden"]), _string(event["where"]), _string(event["folder"]))


def _costs(by_package: Mapping[str, Any]) -> tuple[ImportCost, ...]:
    """The dearest in memory first."""
    costs = [ImportCost(str(name), float(seconds), float(mib)) for name, (seconds, mib) in by_package.items()]
    return tuple(sorted(costs, key=lambda cost: -cost.mib))


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
        hidden=_string(event.get("hidden")),
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
