"""``cpr validate``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cpr.bundle import Bundle
from cpr.checks import CATALOGUE
from cpr.checks.explained import explained, explanation, find_check
from cpr.cli.bundles import BUNDLE_HELP, add_endpoint, open_bundle
from cpr.cli.console import Console, Outcome
from cpr.cli.layout import hanging, width_of_output
from cpr.cli.names import printable_lines
from cpr.errors import UsageError
from cpr.isolation import TIMEOUT_SECONDS
from cpr.isolation.grades import GRADES
from cpr.manifest import Manifest
from cpr.report import Finding, Report, Severity
from cpr.resources import suggestion
from cpr.steps.validate import examine

_FORMATS = ("text", "json", "sarif", "github", "junit")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Prove that a bundle will work on the machine it is meant for: limits, names, runtime, the source at the target's\n"
        "Python, and a rehearsal in a fresh process without a network that replays every example.\n"
        "Exit status 1 when a check finds an error. The proof is written to validation.json in the bundle; what is published\n"
        "stays as it is."
    )
    parser.epilog = "example:\n  cpr validate my_routine --target ai-platform --machine-type mls1-c1-m2"
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE_OR_PROJECT_OR_URI", help=BUNDLE_HELP)
    parser.add_argument("--explain", metavar="CHECK", help="say what a check is about, such as CPR101, and validate nothing")
    parser.add_argument("--target", default="ai-platform", metavar="T", help="the deploy target (default: ai-platform)")
    parser.add_argument("--machine-type", metavar="M", help="the machine type (default: the target's)")
    parser.add_argument("--format", default="text", metavar="F", help=f"{_FORMATS[0]} (default), {', '.join(_FORMATS[1:])}")
    parser.add_argument("--strict", action="store_true", help="a warning fails the validation, too")
    parser.add_argument(
        "--isolation",
        default=GRADES[0],
        metavar="GRADE",
        help="what the rehearsal runs on: process (default), venv, runtime or none",
    )
    parser.add_argument("--requirements", action="store_true", help="ask the package index for the requirements, too")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=f"for the rehearsal (default: {TIMEOUT_SECONDS:g})",
    )
    parser.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="processes that load the routine, for the estimate of memory (default: the machine's, else 1)",
    )
    parser.add_argument(
        "--max-p99", type=_milliseconds, metavar="MILLISECONDS", help="an error where 1 call in 100 takes longer than that"
    )
    add_endpoint(parser)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds")
    return value


def seconds(text: str) -> float:
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
    if arguments.format != "text" and console.json and arguments.format != "json":
        raise UsageError(f"--json and --format {arguments.format} exclude each other.", "Leave out one of them.", "--format")
    console.json = console.json or arguments.format == "json"
    if arguments.explain is not None:
        return _explanation(arguments.explain, console)
    if arguments.bundle is None:
        raise UsageError("No bundle is named.", "Name a bundle or a routine folder.", "BUNDLE_OR_PROJECT_OR_URI")
    bundle = open_bundle(arguments.bundle, console, arguments.endpoint)
    report = examine(
        bundle,
        arguments.target,
        arguments.machine_type,
        console.note,
        timeout=arguments.timeout,
        isolation=arguments.isolation,
        requirements=arguments.requirements,
        workers=arguments.workers,
        max_p99=arguments.max_p99,
    )
    ok = report.passes(arguments.strict)
    return Outcome(document(report, arguments.strict), _formatted(arguments, bundle, report), ok)


def _formatted(arguments: argparse.Namespace, bundle: Bundle, report: Report) -> str:
    """The report as ``--format`` says; JSON is the console's own."""
    # A finding in the source is shown in the routine folder, where it is mended.
    folders = (Path(arguments.bundle), bundle.root)
    if arguments.format == "sarif":
        from cpr.cli import sarif

        return sarif.text(report, folders)
    if arguments.format == "github":
        from cpr.cli import github

        return "\n".join(filter(None, (github.text(report, folders), _verdict(bundle.manifest, report, arguments.strict))))
    if arguments.format == "junit":
        from cpr.cli import junit

        return junit.text(bundle.manifest, report, arguments.strict)
    return report_text(bundle.manifest, report, arguments.strict)


def _explanation(name: str, console: Console) -> Outcome:
    check = find_check(name, CATALOGUE)
    console.verb = "explain"
    return Outcome(explanation(check), explained(check))


def document(report: Report, strict: bool = False) -> dict[str, object]:
    return {
        "ok": report.passes(strict),
        "target": report.target,
        "machine_type": report.machine_type,
        "digest": report.digest,
        "findings": [finding.to_json() for finding in report.findings],
        "suppressed": [each.to_json() for each in report.suppressed],
        "measured": dict(report.measured),
    }


def report_text(manifest: Manifest, report: Report, strict: bool = False) -> str:
    """The report for a person: findings with the worst first, the author's own traceback, what each phase took, the verdict."""
    parts = (
        "\n".join(_findings(report.findings)),
        "\n".join(_suppressed(report)),
        printable_lines(_traceback(report)),  # an exception's text may hold what a terminal obeys
        "\n".join(_phases(report)),
        _verdict(manifest, report, strict),
    )
    return "\n\n".join(part for part in parts if part)


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    """One line each, and under the last of those that are mended in the same way, how."""
    width = width_of_output()
    for number, finding in enumerate(findings, 1):
        yield from hanging(f"{finding.severity.value:<7} {finding.check} {finding.where}: {finding.message}", width, "")
        if {(each.check, each.remedy) for each in findings[number : number + 1]} != {(finding.check, finding.remedy)}:
            yield from hanging(f"fix: {finding.remedy}", width, "  ")


def _suppressed(report: Report) -> Iterator[str]:
    width = width_of_output()
    for each in report.suppressed:
        finding = each.finding
        text = f"suppressed {finding.severity.value} {finding.check} {finding.where}: {finding.message}"
        yield from hanging(text, width, "")
        yield from hanging(f"reason: {each.reason}", width, "  ")


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
    yield from _latency(report.measured.get("latency", {}))
    peak = report.measured["peak_mib"]
    if peak is not None:
        memory = report.measured["memory_mib"]
        yield f"peak {peak:,.0f} MiB of the {memory:,} MiB of {report.machine_type} ({peak / memory:.0%})"
        workers, needed = report.measured["workers"], report.measured["needed_mib"]
        if workers > 1:
            yield f"{workers} processes: about {needed:,.0f} MiB, pages of files counted once"
        costs = report.measured["contributors"]["packages"][:4]
        dearest = [f"{cost['package']} {cost['mib']:,.0f} MiB" for cost in costs if cost["mib"] >= 1]
        if dearest:
            yield f"importing took: {', '.join(dearest)}"


def _latency(latency: Mapping[str, Any]) -> Iterator[str]:
    if latency.get("calls"):
        figures = ", ".join(f"{name} {latency[name]:,.1f}" for name in ("p50", "p90", "p99", "max"))
        calls = f"{latency['calls']} call{'' if latency['calls'] == 1 else 's'}"
        yield f"latency of {calls} in ms: {figures} (line {latency['max_line']})"
    if "cold_start" in latency:
        yield f"cold start {latency['cold_start'] / 1000:,.2f} s: from the start of Python to the first answer"


def _verdict(manifest: Manifest, report: Report, strict: bool) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    found = [
        f"{counts[severity]} {severity.value}{'' if counts[severity] == 1 else 's'}"
        for severity in Severity
        if counts[severity]
    ]
    if report.suppressed:
        found.append(f"{len(report.suppressed)} suppressed")
    replayed = report.measured["examples"]
    found.append(f"{replayed} example{'' if replayed == 1 else 's'} replayed")
    if report.measured["isolation"] != GRADES[0]:
        found.append(f"isolation {report.measured['isolation']}")
    verdict = "ok" if report.passes(strict) else "not ok, as warnings fail too" if report.ok else "not ok"
    return f"{verdict}: {manifest.name} {manifest.version} on {report.target} {report.machine_type}: {', '.join(found)}"
