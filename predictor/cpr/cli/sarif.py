"""A report as SARIF 2.1.0, which code-scanning services and editors read.

The format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cpr import __version__
from cpr.checks import CATALOGUE, Check
from cpr.cli.names import printable_lines
from cpr.cli.places import place_of
from cpr.report import Finding, Report, Severity

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def text(report: Report, folders: Sequence[Path]) -> str:
    """Findings, suppressed ones marked so; rules are all checks, so that a service can explain those of older runs as well."""
    rules = {check.id: number for number, check in enumerate(CATALOGUE)}
    results = [_result(finding, rules, folders) for finding in report.findings]
    for each in report.suppressed:
        accepted = {"kind": "external", "justification": printable_lines(each.reason)}
        results.append({**_result(each.finding, rules, folders), "suppressions": [accepted]})
    driver = {"name": "cpr", "semanticVersion": __version__, "rules": [_rule(check) for check in CATALOGUE]}
    run = {
        "tool": {"driver": driver},
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {"digest": report.digest, "target": report.target, "machineType": report.machine_type},
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2)


def _rule(check: Check) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.cause},
        "help": {"text": f"{check.remedy}\n\nSource: {check.source}"},
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
    }
    if check.source.startswith("https://") and " " not in check.source:
        rule["helpUri"] = check.source
    return rule


def _result(finding: Finding, rules: dict[str, int], folders: Sequence[Path]) -> dict[str, Any]:
    where = printable_lines(finding.where)
    place = place_of(finding.where, folders)
    message = f"{finding.message} {finding.remedy}" if place else f"{where}: {finding.message} {finding.remedy}"
    result: dict[str, Any] = {
        "ruleId": finding.check,
        "level": _LEVELS[finding.severity],
        "message": {"text": printable_lines(message)},
        # The place without its line, which changes with what stands above it.
        "partialFingerprints": {"cprFinding/v1": _digest(finding.check, finding.where.rpartition(":")[0] or finding.where)},
    }
    if finding.check in rules:
        result["ruleIndex"] = rules[finding.check]
    if place is None:
        result["locations"] = [{"logicalLocations": [{"fullyQualifiedName": where}]}]
        return result
    prefix = "file://" if place.path.startswith("/") else ""
    physical: dict[str, Any] = {"artifactLocation": {"uri": prefix + quote(place.path)}}
    if place.line is not None:
        physical["region"] = {"startLine": place.line}
    result["locations"] = [{"physicalLocation": physical}]
    return result


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
