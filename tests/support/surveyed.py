"""What a survey finds, in the shapes that tests compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cpr.report import Finding
from cpr.saved_model.survey import survey


def checks(path: Path, **options: Any) -> list[str]:
    """The ids of all findings, in order."""
    return [finding.check for finding in survey(path, **options).findings]


def found(path: Path, *wanted: str, **options: Any) -> list[Finding]:
    """The findings of these kinds."""
    return [finding for finding in survey(path, **options).findings if finding.check in wanted]


def ranked(path: Path, *wanted: str, **options: Any) -> list[tuple[str, str]]:
    """Severity and place of the findings of these kinds."""
    return [(finding.severity.value, finding.where) for finding in found(path, *wanted, **options)]
