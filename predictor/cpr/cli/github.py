"""A report as workflow commands: GitHub shows each finding at its line of a change.

The commands and their escapes: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cpr.cli.names import printable
from cpr.cli.places import place_of
from cpr.report import Finding, Report, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def text(report: Report, folders: Sequence[Path]) -> str:
    return "\n".join(_lines(report, folders))


def _lines(report: Report, folders: Sequence[Path]) -> Iterator[str]:
    for finding in report.findings:
        yield _command(_COMMANDS[finding.severity], finding, finding.remedy, folders)
    for each in report.suppressed:
        yield _command("notice", each.finding, f"Suppressed: {each.reason}", folders)


def _command(name: str, finding: Finding, second: str, folders: Sequence[Path]) -> str:
    place = place_of(finding.where, folders)
    properties = {"title": finding.check}
    message = f"{finding.message}\n{second}"
    if place is None:
        message = f"{finding.where}: {message}"
    else:
        properties["file"] = place.path
        if place.line is not None:
            properties["line"] = str(place.line)
    spelt = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {spelt}::{_data(message)}"


def _data(value: str) -> str:
    lines = "\n".join(map(printable, value.split("\n")))
    return lines.replace("%", "%25").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
