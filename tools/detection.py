"""Plant each fault and write which check caught it to docs/detection.md: `python tools/detection.py`, by hand, ten minutes.

`--only TEXT` prints the rows of the faults whose names hold the text, and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from faults import behaviour, data, declared, models, source
from faults.planting import Fault
from faults.routines import ROUTINES

from cpr import checks
from cpr.errors import CprError
from cpr.report import Finding, Severity
from cpr.steps.build import build
from cpr.steps.validate import examine

PAGE = Path(__file__).resolve().parents[1] / "docs" / "detection.md"
NOTE = "<!-- Written by tools/detection.py. Do not edit. -->\n"
GROUPS = {
    "The model directory and its files": data.FAULTS,
    "The source": source.FAULTS,
    "What the routine does": behaviour.FAULTS,
    "SavedModels": models.FAULTS,
    "What is declared, and the examples": declared.FAULTS,
}
FAULTS: tuple[Fault, ...] = tuple(fault for faults in GROUPS.values() for fault in faults)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault: the checks that found something, with their severity, those of them that fit, and when they did."""

    fault: Fault
    found: tuple[tuple[str, str], ...]
    fitting: tuple[str, ...]
    when: str
    seconds: float

    @property
    def caught(self) -> bool:
        return self.when != ""

    @property
    def how(self) -> str:
        """The checks in the order of their ids, those that fit in bold."""
        return ", ".join(f"**{id}** {severity}" if id in self.fitting else f"{id} {severity}" for id, severity in self.found)

    def row(self) -> str:
        fault = self.fault
        cells = (fault.name, fault.base, f"`{fault.where}`", self.how or "–", self.when or "missed", f"{self.seconds:.1f}")
        return f"| {' | '.join(cells)} |"


def plant(fault: Fault, folder: Path, usual: frozenset[tuple[str, str]] = frozenset()) -> Outcome:
    """Make the routine in an empty folder, plant the fault, build and validate it. ``usual``: found in the healthy one too."""
    ROUTINES[fault.base](folder / "routine")
    fault.plant(folder / "routine")
    start = time.monotonic()
    try:
        bundle = build(folder / "routine", folder / "bundle")
    except CprError:
        return Outcome(fault, (), (), "refused by the build", time.monotonic() - start)
    if fault.after is not None:
        fault.after(bundle.root)
        try:
            bundle = type(bundle).open(bundle.root)
        except CprError:
            return Outcome(fault, (), (), "refused as altered", time.monotonic() - start)
    with Looking() as subjects:
        try:
            findings = examine(bundle, machine_type=fault.machine, timeout=fault.timeout).findings
        except CprError:
            when = "refused as altered" if fault.after is not None else "refused at the start"
            return Outcome(fault, (), (), when, time.monotonic() - start)
    seconds = time.monotonic() - start
    found = _loud(findings) - usual
    fitting = {id for id, _ in found if any(fnmatchcase(id, pattern) for pattern in fault.fits)}
    early = {id for id, _ in _loud(checks.inspect(replace(subjects[0], run=None)))} if fitting else set()
    when = "" if not fitting else "before the rehearsal" if fitting & early else "in the rehearsal"
    return Outcome(fault, tuple(sorted(found)), tuple(sorted(fitting)), when, seconds)


class Looking:
    """Keeps what the checks are given to look at."""

    def __enter__(self) -> list[checks.Subject]:
        self.inspect = inspect = checks.inspect
        seen: list[checks.Subject] = []

        def keeping(subject: checks.Subject, *rest: object, **more: object) -> object:
            seen.append(subject)
            return inspect(subject, *rest, **more)  # type: ignore[arg-type]

        checks.inspect = keeping  # type: ignore[assignment]
        return seen

    def __exit__(self, *_: object) -> None:
        checks.inspect = self.inspect


def _loud(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(finding.check, finding.severity.value) for finding in findings if finding.severity is not Severity.NOTE}


def healthy(base: str, folder: Path) -> frozenset[tuple[str, str]]:
    """What is found in a routine as it is: no error, or nothing that follows means anything."""
    ROUTINES[base](folder / "routine")
    report = examine(build(folder / "routine", folder / "bundle"))
    if not report.ok:
        raise SystemExit(f"{base} is not healthy: {report.findings}")
    return frozenset(_loud(report.findings))


def outcomes(faults: Iterable[Fault]) -> Iterator[Outcome]:
    """What came of each, in their order; two at a time."""
    chosen = list(faults)
    bases = sorted({fault.base for fault in chosen})
    with ProcessPoolExecutor(2) as pool:
        usual = dict(zip(bases, pool.map(_usual, bases), strict=True))
        told = pool.map(_told, [fault.name for fault in chosen], [usual[fault.base] for fault in chosen])
        yield from (Outcome(fault, *each) for fault, each in zip(chosen, told, strict=True))


def _usual(base: str) -> frozenset[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        return healthy(base, Path(folder))


_Told = tuple[tuple[tuple[str, str], ...], tuple[str, ...], str, float]


def _told(name: str, usual: frozenset[tuple[str, str]]) -> _Told:
    """The fields of an outcome, less the fault: a function that plants does not travel between processes."""
    fault = next(fault for fault in FAULTS if fault.name == name)
    with tempfile.TemporaryDirectory() as folder:
        outcome = plant(fault, Path(folder), usual)
    return outcome.found, outcome.fitting, outcome.when, outcome.seconds


def page(done: Iterable[Outcome]) -> str:
    by_fault = {outcome.fault.name: outcome for outcome in done}
    missed = [outcome for outcome in by_fault.values() if not outcome.caught]
    refused = sum(outcome.when.startswith("refused") for outcome in by_fault.values())
    early = sum(outcome.when == "before the rehearsal" for outcome in by_fault.values())
    late = sum(outcome.when == "in the rehearsal" for outcome in by_fault.values())
    return "\n".join(_lines(by_fault, missed, (refused, early, late)))


def _lines(by_fault: dict[str, Outcome], missed: list[Outcome], counts: tuple[int, int, int]) -> Iterator[str]:
    refused, early, late = counts
    yield NOTE
    yield "# What is caught, and what is not\n"
    yield "Each of these faults was planted alone into a healthy routine, which was then built and validated for the default"
    yield "target and machine type, with no option set. A fault counts as caught where an error or a warning of a check that is"
    yield "about it was found (in bold; the others are what else was found), or where cpr refused in words to go on.\n"
    yield f"**{len(by_fault)} faults: {len(by_fault) - len(missed)} caught, {len(missed)} missed.** Of those caught, {refused}"
    yield f"were refused outright, {early} found before the routine ran, {late} in the rehearsal. The last column is the"
    yield "seconds of the build and the validation on a machine with two processors.\n"
    yield "The routines: `texts` scores texts with a vocabulary and a scaler, in Python alone; `pickled` has a preprocessor"
    yield "from a pickle; `iris` and `add_two` are the samples of these names, with a SavedModel. Where the row does not say"
    yield "otherwise they have examples with expectations, which is why so much is caught: a routine without them loses all of"
    yield "CPR517.\n"
    for title, faults in GROUPS.items():
        yield f"## {title}\n"
        yield "| fault | planted into | where | found by | caught | s |"
        yield "| --- | --- | --- | --- | --- | --- |"
        yield from (by_fault[fault.name].row() for fault in faults if fault.name in by_fault)
        yield ""
    yield "## The misses\n"
    for outcome in missed:
        yield f"- {outcome.fault.name}. {outcome.fault.why_missed or 'No check sees it.'}"
    yield "" if missed else "None.\n"


def main() -> None:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--only", metavar="TEXT", help="print the rows of the faults whose names hold TEXT; write nothing")
    chosen = parser.parse_args().only
    done = []
    for outcome in outcomes(fault for fault in FAULTS if chosen is None or chosen in fault.name):
        print(outcome.row(), file=sys.stderr, flush=True)
        done.append(outcome)
    if chosen is None:
        PAGE.write_text(page(done), encoding="utf-8")


if __name__ == "__main__":
    main()
