"""Validate: a bundle is checked for a target and a machine type, and the proof is written beside its manifest."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cpr import checks, payload
from cpr.archive import read_sdist
from cpr.brought import brought
from cpr.bundle import Bundle, ValidatedBundle
from cpr.checks.locked import with_lock
from cpr.checks.source import parse_all
from cpr.content.files import find_pickles
from cpr.errors import BundleError, CprError, OutputError, ProjectError, RequestError, TargetError, UsageError
from cpr.examples import Example, read_examples
from cpr.isolation import THIS_INTERPRETER, TIMEOUT_SECONDS, UNPROTECTED, Extent, Run, rehearse
from cpr.isolation.grades import environment_of
from cpr.latency import ENOUGH, latency
from cpr.machines import Machine, Runtime, Target, read_target
from cpr.manifest import EXAMPLES_NAME, VALIDATION_NAME
from cpr.protocols import rows
from cpr.report import Finding, Report, Severity
from cpr.resources import target_names
from cpr.saved_model.survey import survey

Progress = Callable[[str], None]

_SAMPLE_SECONDS = 15.0  # for the calls that a percentile needs
_CONTRIBUTORS = 8  # packages, and model files, that the report tells the memory of


class ValidationFailed(CprError):
    """A check found an error. ``report`` holds every finding."""

    def __init__(self, report: Report) -> None:
        errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
        first = errors[0]
        more = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
        super().__init__(f"{first.check}: {first.message}{more}", first.remedy, first.where)
        self.report = report


def validate(
    bundle: Bundle,
    target: str = "ai-platform",
    machine_type: str | None = None,
    *,
    timeout: float = TIMEOUT_SECONDS,
    isolation: str = THIS_INTERPRETER.grade,
    requirements: bool = False,
    workers: int | None = None,
    max_p99: float | None = None,
    progress: Progress | None = None,
) -> ValidatedBundle:
    """The bundle with the report of its checks. ``ValidationFailed`` where one found an error, ``UsageError`` for the grade of
    isolation ``none``, which proves nothing; else as :func:`examine`."""
    if isolation == UNPROTECTED.grade:
        remedy = "Leave out isolation, or find the fault with `cpr validate --isolation none`."
        raise UsageError("A rehearsal in the open proves nothing.", remedy, "isolation")
    report = examine(
        bundle,
        target,
        machine_type,
        progress,
        timeout=timeout,
        isolation=isolation,
        requirements=requirements,
        workers=workers,
        max_p99=max_p99,
    )
    if not report.ok:
        raise ValidationFailed(report)
    return ValidatedBundle(bundle, report)


def examine(
    bundle: Bundle,
    target: str = "ai-platform",
    machine_type: str | None = None,
    progress: Progress | None = None,
    *,
    timeout: float = TIMEOUT_SECONDS,
    isolation: str = THIS_INTERPRETER.grade,
    requirements: bool = False,
    workers: int | None = None,
    max_p99: float | None = None,
) -> Report:
    """Check the bundle for a target and a machine type (default: the target's), rehearse it, and write ``validation.json``.

    ``timeout`` bounds the rehearsal, in seconds; ``isolation`` is the grade of what it runs on, of ``cpr.isolation.grades``:
    with ``none`` nothing is proved, and nothing written; with ``requirements`` the package index is asked for them; ``workers``
    is how many processes load the routine (default: the machine's); ``max_p99`` is a budget in milliseconds for the calls.
    Never raises for what a check finds. ``BundleError`` where a file is not what the manifest lists, ``TargetError`` for an
    unknown target or machine type, ``OutputError`` for an unwritable record, ``RequirementsError`` for an environment that
    cannot be made.
    """
    say = progress or _silent
    aim = read_target(target)
    machine = aim.machine(machine_type)
    say(f"Hashing {len(bundle.manifest.all_files)} files")
    bundle.verify()
    subject = replace(_subject(bundle, aim, machine), workers=workers or machine.workers, max_p99=max_p99)
    environment = environment_of(isolation, bundle.manifest, aim, subject.runtime, subject.python, say)
    if requirements:
        say("Locking the requirements for the target")
        subject = with_lock(subject)
    say("Running it in a fresh process")
    extent = Extent() if max_p99 is None else Extent(calls=2 * ENOUGH, seconds=_SAMPLE_SECONDS)
    run = rehearse(bundle, subject.examples, timeout=timeout, environment=environment, provided=subject.provided, extent=extent)
    report = _report(subject, run)
    if report.measured["isolation"] != UNPROTECTED.grade:
        write_report(bundle, report)
    return report


def stored_validation(bundle: Bundle, target: str | None = None, machine_type: str | None = None) -> ValidatedBundle | None:
    """The bundle with the report in its ``validation.json``, where that is a report without errors of this very bundle, for
    this target and machine type (``None``: for any); ``None`` otherwise. ``TargetError`` for an unknown machine type."""
    try:
        report = bundle.report()
    except BundleError:
        return None  # what cannot be read proves nothing; validating writes it anew
    if report is None or not report.ok or target not in (None, report.target):
        return None
    if report.measured.get("isolation") == UNPROTECTED.grade:
        return None  # it was not written here: such a run is no proof
    if machine_type is not None:
        known = report.target in target_names()
        if not known or read_target(report.target).machine(machine_type).name != report.machine_type:
            return None
    return ValidatedBundle(bundle, report)


def _silent(_: str) -> None:
    pass


def _subject(bundle: Bundle, target: Target, machine: Machine) -> checks.Subject:
    sdist = read_sdist(bundle.path(bundle.manifest.sdist))
    sources = {path: content for path, content in sdist.items() if path not in ("setup.py", "PKG-INFO", "setup.cfg")}
    runtime, runtime_problem = _runtime(bundle, target, machine)
    examples, examples_problem = _examples(bundle)
    trees = parse_all(sources)
    return checks.Subject(
        bundle,
        target,
        machine,
        runtime,
        sources,
        examples,
        runtime_problem,
        examples_problem,
        trees=trees,
        models=survey(bundle.model_dir, verify=True).models if bundle.model_dir.is_dir() else (),
        pickles=find_pickles(bundle.root, [(entry.path, entry.size) for entry in bundle.manifest.model_files]),
        provided=brought(target, machine, runtime, bundle.manifest, trees),
    )


def _runtime(bundle: Bundle, target: Target, machine: Machine) -> tuple[Runtime | None, CprError | None]:
    """The service's runtime where it installs the routine itself; a container brings its own."""
    if machine.variant != "routine":
        return None, None
    try:
        return target.runtime(bundle.manifest.runtime_version), None
    except TargetError as error:
        return None, error


def _examples(bundle: Bundle) -> tuple[tuple[Example, ...], CprError | None]:
    if not bundle.manifest.has_examples:
        return (), None
    try:
        examples = read_examples(bundle.path(EXAMPLES_NAME))
        for example in examples:
            _check_sendable(example, payload.decodes(bundle.manifest.model_names))
        return examples, None
    except ProjectError as error:
        return (), error


def _check_sendable(example: Example, decodes: bool) -> None:
    """Refuse a request that never reaches the routine, with the rules of ``cpr serve``; ``ProjectError`` names the line."""
    try:
        request = rows.parse(json.dumps(example.request).encode("ascii"))
        if decodes:
            payload.decoded(request["instances"])
    except RequestError as error:
        raise ProjectError(
            f"The example would be refused: {error.message}", error.remedy, f"{EXAMPLES_NAME}:{example.line}"
        ) from None


def _report(subject: checks.Subject, run: Run) -> Report:
    subject = replace(subject, run=run)
    root = subject.bundle.root
    findings, suppressed = checks.suppress(subject, tuple(_relative(each, root) for each in checks.inspect(subject)))
    return Report(
        digest=subject.bundle.manifest.digest,
        target=subject.target.name,
        machine_type=subject.machine.name,
        findings=findings,
        measured=_measured(subject, run),
        environment=run.environment,
        suppressed=suppressed,
    )


def _relative(finding: Finding, root: Path) -> Finding:
    """The finding with the bundle's own folder left out of its place: a report travels with the bundle."""
    where = finding.where.removeprefix(f"{root}{os.sep}")
    return Finding(finding.check, finding.severity, where, finding.message, finding.remedy)


def _measured(subject: checks.Subject, run: Run) -> Mapping[str, Any]:
    needed = run.needed_mib(subject.workers)
    tracebacks = [raised.traceback for raised in run.raised if raised.traceback is not None]
    return {
        "isolation": run.grade,
        "network": run.network,
        "phases": [phase.to_json() for phase in run.phases],
        "peak_mib": None if run.peak_mib is None else round(run.peak_mib, 1),
        "memory_mib": subject.machine.memory_mib,
        "workers": subject.workers,
        "needed_mib": None if needed is None else round(needed, 1),
        "contributors": _contributors(subject, run),
        "seconds": round(run.seconds, 3),
        "examples": len({answer.line for answer in run.answers}),
        "latency": latency(run).to_json(),
        "behaviour": run.trials.to_json(),
        "traceback": tracebacks[0] if tracebacks else None,
    }


def _contributors(subject: checks.Subject, run: Run) -> Mapping[str, Any]:
    """The dearest imports and the largest model files."""
    files = sorted(subject.bundle.manifest.model_files, key=lambda entry: -entry.size)
    return {
        "packages": [cost.to_json() for cost in run.costs[:_CONTRIBUTORS]],
        "model_files": [{"path": entry.path, "bytes": entry.size} for entry in files[:_CONTRIBUTORS]],
    }


def write_report(bundle: Bundle, report: Report) -> None:
    """Write ``validation.json`` beside the manifest: beside its place first, then renamed."""
    path = bundle.root / VALIDATION_NAME
    beside = bundle.root / f".{VALIDATION_NAME}.{secrets.token_hex(4)}"
    try:
        try:
            beside.write_text(report.to_text(), encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The record of the validation cannot be written: {error.strerror}.",
            "Make the bundle's folder writable, or copy the bundle elsewhere and validate it there.",
            str(path),
        ) from None
