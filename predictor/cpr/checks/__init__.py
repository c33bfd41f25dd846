"""The checks: what would fail after the upload, found before it.

A check is a function in one of the families below, registered with a stable id: CPR1xx the prediction class, CPR2xx the model
directory, CPR3xx the target, CPR4xx the source at the target's Python, CPR5xx the rehearsal, CPR6xx the SavedModels, CPR7xx
what the files hold and are named, CPR8xx the requirements, CPR9xx what the author lets
stand. To add one, write the function.
"""

from __future__ import annotations

from collections.abc import Iterable

from cpr.checks import (
    behaviour,
    examples,
    files,
    imports,
    latency,
    lazy_imports,
    locked,
    memory,
    model,
    pickled,
    prediction_class,
    refusals,
    rehearsal,
    requirements,
    saved_model,
    secrets,
    source,
    suppression,
    target,
)
from cpr.checks.registry import Check, Fault, Subject
from cpr.checks.suppression import suppress
from cpr.report import Finding, Severity

CATALOGUE: tuple[Check, ...] = tuple(
    check
    for module in (
        prediction_class,
        lazy_imports,
        model,
        target,
        source,
        rehearsal,
        memory,
        imports,
        examples,
        behaviour,
        latency,
        refusals,
        saved_model,
        pickled,
        secrets,
        files,
        requirements,
        locked,
        suppression,
    )
    for check in module.FAMILY.checks
)

_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def inspect(subject: Subject, catalogue: Iterable[Check] = CATALOGUE) -> tuple[Finding, ...]:
    """Every finding of every check that applies, the worst first, then by id."""
    found = [finding for check in catalogue if check.applies(subject) for finding in check.findings(subject)]
    return tuple(sorted(found, key=lambda finding: (_RANK[finding.severity], finding.check)))


def check_ids() -> tuple[str, ...]:
    return tuple(sorted(check.id for check in CATALOGUE))


__all__ = ["CATALOGUE", "Check", "Fault", "Subject", "check_ids", "inspect", "suppress"]
