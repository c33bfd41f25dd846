"""A report as JUnit XML, which CI servers show as tests: one for each check of the catalogue.

There is no standard; the elements are those that Jenkins and GitLab read. An error is a failure, and so is a warning where the
validation is strict; other findings are passed tests that say in their output what was found. A suppressed one is skipped.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from cpr.checks import CATALOGUE
from cpr.cli.names import printable_lines
from cpr.manifest import Manifest
from cpr.report import Finding, Report, Severity, Suppressed


def text(manifest: Manifest, report: Report, strict: bool) -> str:
    suite = ET.Element("testsuite")
    failing = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    counts = {"tests": 0, "failures": 0, "skipped": 0}
    for check in CATALOGUE:
        found = [finding for finding in report.findings if finding.check == check.id]
        suppressed = [each for each in report.suppressed if each.finding.check == check.id]
        case = ET.SubElement(suite, "testcase", classname=f"cpr.{report.target}", name=f"{check.id} {check.title}", time="0")
        counts["tests"] += 1
        failures = [finding for finding in found if finding.severity in failing]
        if failures:
            counts["failures"] += 1
            failure = ET.SubElement(case, "failure", type=check.id, message=_clean(failures[0].message))
            failure.text = _told(failures)
        elif suppressed and not found:
            counts["skipped"] += 1
            ET.SubElement(case, "skipped", message=_clean(_reasons(suppressed)))
        others = [finding for finding in found if finding not in failures]
        if others:
            ET.SubElement(case, "system-out").text = _told(others)
    suite.attrib |= {"name": _clean(f"cpr validate {manifest.name} {manifest.version} {report.target} {report.machine_type}")}
    suite.attrib |= {key: str(count) for key, count in counts.items()} | {"errors": "0"}
    suite.attrib["time"] = f"{report.measured.get('seconds', 0):.3f}"
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _told(findings: Iterable[Finding]) -> str:
    return _clean("\n".join(f"{each.severity.value} {each.where}: {each.message}\n  fix: {each.remedy}" for each in findings))


def _reasons(suppressed: Iterable[Suppressed]) -> str:
    return "; ".join(f"{each.finding.where}: {each.reason}" for each in suppressed)


def _clean(value: str) -> str:
    """XML holds no control characters, not even escaped ones."""
    return printable_lines(value)
