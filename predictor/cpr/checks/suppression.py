"""CPR901: findings that the author lets stand, with a reason, and suppressions that let nothing stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase

from cpr.checks.registry import Family, Fault, Subject
from cpr.manifest import Suppression
from cpr.report import Finding, Severity, Suppressed

FAMILY = Family()


def suppress(subject: Subject, findings: tuple[Finding, ...]) -> tuple[tuple[Finding, ...], tuple[Suppressed, ...]]:
    """The findings that count, and those that the manifest suppresses; a suppression that fits none becomes a finding."""
    kept, suppressed = [], []
    unused = list(subject.bundle.manifest.suppress)
    for finding in findings:
        fitting = [each for each in subject.bundle.manifest.suppress if _fits(each, finding)]
        unused = [each for each in unused if each not in fitting]
        if fitting:
            suppressed.append(Suppressed(finding, fitting[0].reason))
        else:
            kept.append(finding)
    (check,) = FAMILY.checks
    return (*kept, *check.findings(replace(subject, unused=tuple(unused)))), tuple(suppressed)


def _fits(suppression: Suppression, finding: Finding) -> bool:
    return suppression.check == finding.check and fnmatchcase(finding.where, suppression.where)


@FAMILY.check(
    "CPR901",
    "A suppression suppresses nothing",
    severity=Severity.NOTE,
    cause="What it was written for is gone, or its place is spelt otherwise; or another target or machine is checked.",
    remedy="Remove it from routine.yaml, or write `where` as the finding has it (`*` stands for anything).",
    source="routine.yaml",
)
def unused(subject: Subject) -> Iterator[Fault]:
    for each in subject.unused:
        at = "" if each.where == "*" else f" at {each.where}"
        yield Fault("routine.yaml: suppress", f"{each.check} finds nothing{at}.")
