"""``cpr validate``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from cpr.cli.bundles import open_bundle
from cpr.cli.console import Console, Outcome
from cpr.cli.names import printable_lines
from cpr.errors import UsageError
from cpr.isolation import TIMEOUT_SECONDS
from cpr.isolation.grades import GRADES
from cpr.manifest import Manifest
from cpr.report import Report, Severity
from cpr.resources import suggestion
from cpr.steps.validate import examine

_FORMATS = ("text", "json")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Prove that a bundle will work on the machine it is meant for: limits, names, runtime, the source at the target's\n"
        "Python, and a rehearsal in a fresh process without a network that replays every example.\n"
        "Exit status 1 when a check finds an error. The proof is written to validation.json in the bundle."
    )
    parser.epilog = "example:\n  cpr validate my_routine --target ai-platform --machine-type mls1-c1-m2"
    parser.add_argument("bundle", metavar="BUNDLE_OR_PROJECT", help="a bundle, or a routine folder, which is built first")
    parser.add_argument("--target", default="ai-platform", metavar="T", help="the deploy target (default: ai-platform)")
    parser.add_argument("--machine-type", metavar="M", help="the machine type (default: the target's)")
    parser.add_argument("--format", default="text", metavar="F", help="text (default) or json")
    parser.add_argument(
        "--isolation",
        default=GRADES[0],
        metavar="GRADE",
        help="what the rehearsal runs on: process (default), venv, runtime or none",
    )
    parser.add_argument("--requirements", action="store_true", help="ask the package index for the requirements, too")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=f"for the rehearsal (default: {TIMEOUT_SECONDS:g})",
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    if arguments.format not in _FORMATS:
        raise UsageError(
            f"There is no format {arguments.format!r}.", suggestion(arguments.format, _FORMATS, "The formats are"), "--format"
        )
    console.json = console.json or arguments.format == "json"
    bundle = open_bundle(arguments.bundle, console)
    report = examine(
        bundle,
        arguments.target,
        arguments.machine_type,
        console.note,
        timeout=arguments.timeout,
        isolation=arguments.isolation,
        requirements=arguments.requirements,
    )
    return Outcome(document(report), report_text(bundle.manifest, report), report.ok)


def document(report: Report) -> dict[str, object]:
    return {
        "ok": report.ok,
        "target": report.target,
        "machine_type": report.machine_type,
        "digest": report.digest,
        "findings": [finding.to_json() for finding in report.findings],
        "measured": dict(report.measured),
    }


def report_text(manifest: Manifest, report: Report) -> str:
    """The report for a person: findings with the worst first, the author's own traceback, what each phase took, the verdict."""
    parts = ["\n".join(_findings(report)), _traceback(report), "\n".join(_phases(report)), _verdict(manifest, report)]
    return printable_lines("\n\n".join(part for part in parts if part))  # an exception's text may hold what a terminal obeys


def _findings(report: Report) -> Iterator[str]:
    for finding in report.findings:
        yield f"{finding.severity.value} {finding.check} {finding.where}: {finding.message}"
        yield f"  fix: {finding.remedy}"


def _traceback(report: Report) -> str:
    text = report.measured.get("traceback")
    return "" if text is None or report.ok else str(text).rstrip()


def _phases(report: Report) -> Iterator[str]:
    phases = report.measured["phases"]
    if not phases:
        return
    yield f"{'phase':<14} {'seconds':>9} {'peak MiB':>9}"
    for phase in phases:
        peak = "-" if phase["peak_mib"] is None else f"{phase['peak_mib']:,.0f}"
        calls = f"  {phase['calls']} calls" if phase.get("calls", 0) > 1 else ""
        yield f"{phase['name'].replace('_', ' '):<14} {phase['seconds']:>9.3f} {peak:>9}{calls}"
    peak = report.measured["peak_mib"]
    if peak is not None:
        memory = report.measured["memory_mib"]
        yield f"peak {peak:,.0f} MiB of the {memory:,} MiB of {report.machine_type} ({peak / memory:.0%})"


def _verdict(manifest: Manifest, report: Report) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    found = [
        f"{counts[severity]} {severity.value}{'' if counts[severity] == 1 else 's'}"
        for severity in Severity
        if counts[severity]
    ]
    replayed = report.measured["examples"]
    found.append(f"{replayed} example{'' if replayed == 1 else 's'} replayed")
    if report.measured["isolation"] != GRADES[0]:
        found.append(f"isolation {report.measured['isolation']}")
    verdict = "ok" if report.ok else "not ok"
    return f"{verdict}: {manifest.name} {manifest.version} on {report.target} {report.machine_type}: {', '.join(found)}"
