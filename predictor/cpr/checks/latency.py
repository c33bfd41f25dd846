"""CPR561, CPR562: whether the calls keep to a budget, where one is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from cpr.checks.registry import Family, Fault, Subject
from cpr.latency import ENOUGH, Latency, latency
from cpr.manifest import EXAMPLES_NAME
from cpr.report import Severity

FAMILY = Family()


@FAMILY.check(
    "CPR561",
    "The calls are slower than the budget",
    cause="The 99th percentile of the calls with the examples, on this machine, is above what --max-p99 allows.",
    remedy="Load and prepare in from_path, do less for each instance, send fewer of them, or allow more with --max-p99.",
    source="--max-p99",
)
def too_slow(subject: Subject) -> Iterator[Fault]:
    figures = _figures(subject)
    if figures is None or subject.max_p99 is None:
        return
    budget, (line, slowest) = subject.max_p99, figures.slowest
    # Of few calls the slowest is no percentile; where half of them are too slow, the 99th surely is.
    percent = 99 if len(figures.calls) >= ENOUGH else 50
    if figures.percentile(percent) > budget:
        yield Fault(
            f"{EXAMPLES_NAME}:{line}",
            f"p{percent} of {len(figures.calls)} calls after the first is {figures.percentile(percent):,.1f} ms, the budget is "
            f"{budget:g} ms; the slowest, {slowest:,.1f} ms, was line {line}.",
        )
    first = dict(figures.cold).get("first_predict", 0.0)
    if first > budget:
        yield Fault(
            f"{EXAMPLES_NAME}:{figures.first_line}",
            f"The first call of a process takes {first:,.1f} ms (line {figures.first_line}), the budget is {budget:g} ms.",
            "Answer a request like it in from_path, so that nobody waits for it.",
            Severity.WARNING,
        )


@FAMILY.check(
    "CPR562",
    "Too few calls for a percentile",
    severity=Severity.WARNING,
    cause="The 99th percentile of fewer than a hundred calls is their slowest.",
    remedy="Give the rehearsal more time with --timeout, send fewer instances in an example, or measure on the service.",
    source="--max-p99",
)
def too_few_calls(subject: Subject) -> Iterator[Fault]:
    figures = _figures(subject)
    if subject.max_p99 is None or subject.run is None or not subject.run.complete:
        return
    if figures is None:
        yield Fault(EXAMPLES_NAME, "No call went well enough to be timed.")
    elif len(figures.calls) < ENOUGH and figures.percentile(50) <= subject.max_p99:
        message = (
            f"In the time there was, {len(figures.calls)} calls were timed; the slowest took {figures.slowest[1]:,.1f} ms."
        )
        yield Fault(EXAMPLES_NAME, message)


def _figures(subject: Subject) -> Latency | None:
    figures = None if subject.run is None else latency(subject.run)
    return figures if figures is not None and figures.calls else None
