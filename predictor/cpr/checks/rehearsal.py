"""CPR50x, CPR541, CPR542: whether the rehearsal went through, and what it could not prove."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from cpr.checks.model import lacks_saved_model
from cpr.checks.prediction_class import module_path, place
from cpr.checks.refusals import refusal_of
from cpr.checks.registry import Family, Fault, Subject
from cpr.checks.words import PHASES
from cpr.isolation import Raised, Run
from cpr.manifest import EXAMPLES_NAME
from cpr.report import Severity

FAMILY = Family()


def _place_of(subject: Subject, raised: Raised) -> str:
    if raised.where is not None:
        return raised.where
    return f"{EXAMPLES_NAME}:{raised.line}" if raised.line is not None else place(subject)


def _saying(raised: Raised) -> str:
    text = " ".join(raised.message.split())
    text = text if len(text) <= 300 else text[:297] + "..."
    return f"{raised.type}: {text}" if text else raised.type


def _failures(subject: Subject, phase: str) -> Iterator[Raised]:
    """What the author's code raised in a phase, less what another check explains."""
    for raised in subject.run.raised if subject.run is not None else ():
        explained = raised.network or raised.hidden is not None or refusal_of(raised) is not None
        if raised.phase == phase and not explained and not _is_exit(raised):
            yield raised


def _is_exit(raised: Raised) -> bool:
    return raised.type in ("SystemExit", "KeyboardInterrupt", "GeneratorExit")


def _unproved(run: Run) -> str:
    """``during predict (examples.jsonl line 3)``."""
    line = f" ({EXAMPLES_NAME} line {run.last_line})" if run.last_line is not None else ""
    return f"during {PHASES.get(run.last_phase, run.last_phase)}{line}"


@FAMILY.check(
    "CPR501",
    "A package does not install",
    cause="The service installs each package with pip into a folder, with the runtime's setuptools and no build isolation.",
    remedy="Build the bundle anew with `cpr build`; a package made by hand needs a setup.py that runs without a network.",
    source="https://github.com/GoogleCloudPlatform/python-docs-samples/issues/5711",
    prevents="User-provided package {name} failed to install",
)
def not_installed(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is None or run.install_failure is None or run.timed_out:
        return
    package, output = run.install_failure
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines[-1:] or ["pip gave no reason"]
    remedy = None
    if errors[-1].endswith("No module named pip"):
        remedy = "Give the Python that runs cpr its pip: `python -m ensurepip`, or install cpr-kit with its dependencies."
    yield Fault(package, f"pip does not install it: {errors[-1]}", remedy)


@FAMILY.check(
    "CPR502",
    "The module fails to import",
    cause="The service imports the module from the installed package, in a process of its own.",
    remedy="Mend what the traceback shows.",
    source="platform contract: pydoc.locate raises ErrorDuringImport",
    prevents="There was a problem processing the user code: {reason} (Error code: 4)",
)
def import_fails(subject: Subject) -> Iterator[Fault]:
    for raised in _failures(subject, "import"):
        if raised.type in ("SyntaxError", "IndentationError", "TabError") and _has_bad_syntax(subject):
            continue  # CPR401 names the line
        yield Fault(_place_of(subject, raised), f"import raises {_saying(raised)}", _remedy(subject, raised))


def _has_bad_syntax(subject: Subject) -> bool:
    return any(path.endswith(".py") and path not in subject.trees for path in subject.sources)


def _remedy(subject: Subject, raised: Raised) -> str | None:
    """What to do about an exception: its own remedy; for a module that is not there (imported, or named by a pickle) a way
    to have it there."""
    if raised.type != "ModuleNotFoundError" or raised.module is None:
        return raised.remedy
    top = raised.module.partition(".")[0]
    if module_path(subject, top) is not None:
        return f"The package {top!r} travels, but {raised.module!r} is not in it: list it under `packages` in routine.yaml."
    declared = {canonicalize_name(Requirement(text).name) for text in subject.bundle.manifest.requirements}
    if canonicalize_name(top) in declared:
        return f"It is declared and not installed here: `pip install {canonicalize_name(top)}`, then validate again."
    return (
        f"If {top!r} is a module of yours, list it under `modules` in routine.yaml; "
        "if it is a package, install it here and list it under `requirements`."
    )


@FAMILY.check(
    "CPR503",
    "from_path fails",
    cause="The service makes the predictor once per process with from_path(model_dir); nothing is served if it raises.",
    remedy="Mend what the traceback shows; build every path from model_dir.",
    source="platform contract",
    prevents=(
        "Unexpected error when loading the model: {reason}",
        "Failed to load model: {reason} (Error code: 0)",
    ),
)
def from_path_fails(subject: Subject) -> Iterator[Fault]:
    for raised in _failures(subject, "from_path"):
        if raised.type == "cpr.errors.ModelError" and lacks_saved_model(subject) is not None:
            continue  # CPR205 has said it
        yield Fault(_place_of(subject, raised), f"from_path raises {_saying(raised)}", _remedy(subject, raised))
    if subject.run is not None and subject.run.no_instance is not None:
        yield Fault(
            place(subject),
            f"from_path returns {subject.run.no_instance}, which has no predict method.",
            "Return the predictor: `return cls(…)`.",
        )


@FAMILY.check(
    "CPR504",
    "predict fails on an example",
    cause="An exception in predict reaches the client as an unknown error, and its reason only the log.",
    remedy="Mend what the traceback shows, or the example.",
    source="platform contract",
    prevents="Prediction failed: unknown error.",
)
def predict_fails(subject: Subject) -> Iterator[Fault]:
    by_reason: dict[tuple[str, str], list[Raised]] = {}
    for raised in _failures(subject, "predict"):
        by_reason.setdefault((_place_of(subject, raised) if raised.where else "", _saying(raised)), []).append(raised)
    for (_, saying), group in by_reason.items():
        lines = _lines([raised.line for raised in group])
        yield Fault(
            _place_of(subject, group[0]), f"predict raises {saying} (examples.jsonl {lines})", _remedy(subject, group[0])
        )


def _lines(numbers: list[int | None]) -> str:
    known = [str(number) for number in numbers if number is not None]
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    return f"line{'s' if len(known) > 1 else ''} {', '.join(known[:5])}{more}"


@FAMILY.check(
    "CPR505",
    "The routine ends the process",
    cause="sys.exit, os._exit or an interrupt in the author's code takes the server down with it.",
    remedy="Raise an exception instead; keep command-line code behind `if __name__ == '__main__':`.",
    source="the rehearsal",
)
def exits(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is None or run.install_failure is not None:
        return
    for raised in run.raised:
        if _is_exit(raised) and not raised.network:
            phase = PHASES.get(raised.phase, raised.phase)
            yield Fault(_place_of(subject, raised), f"{phase} raises {_saying(raised)}")
    if not run.complete and not run.timed_out and run.status is not None and run.status >= 0:
        yield Fault(place(subject), f"The process ended itself with status {run.status} {_unproved(run)}.")


@FAMILY.check(
    "CPR506",
    "The process was killed",
    cause="A crash in native code, or the system's answer to too much memory.",
    remedy="Run it alone under `python -X faulthandler`; look for native packages that were made for another system.",
    source="the rehearsal",
)
def killed(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is None or run.timed_out or run.status is None or run.status >= 0:
        return
    try:
        name = signal.Signals(-run.status).name
    except ValueError:
        name = f"signal {-run.status}"
    remedy = None
    if name == "SIGKILL":
        remedy = "It may have run out of memory: load less, or choose a larger machine."
    elif name not in _CRASHES:
        remedy = "Look for what sends the signal: a timer (signal.alarm), os.kill, another process."
    yield Fault(place(subject), f"The process was killed by {name} {_unproved(run)}.", remedy)


_CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS", "SIGTRAP")


@FAMILY.check(
    "CPR507",
    "The rehearsal takes too long",
    cause="from_path or predict does not come to an end, or not in time.",
    remedy="Look for a wait without end (a lock, an input, a retry), load less in from_path, or allow more time.",
    source="the rehearsal",
)
def too_long(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is not None and run.timed_out:
        yield Fault(place(subject), f"It was stopped after {run.timeout:g} seconds, {_unproved(run)}.")


@FAMILY.check(
    "CPR508",
    "The routine calls the network",
    cause="The rehearsal has no network, so what a routine fetches from elsewhere is not proved; on the platform it costs time "
    "at every start and fails when the other side does.",
    remedy="Put what it fetches into the model directory.",
    source="the rehearsal",
)
def calls_network(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is None:
        return
    hosts = ", ".join(run.calls)
    failed = [raised for raised in run.raised if raised.network]
    for raised in failed[:1]:
        phase = PHASES.get(raised.phase, raised.phase)
        message = f"{phase} calls {hosts}, and there is no network: {_saying(raised)}"
        yield Fault(_place_of(subject, raised), message)
    if run.calls and not failed:
        end = "and does without an answer" if run.network != "none" else "which could not be cut off here: it may depend on it"
        yield Fault(place(subject), f"The routine calls {hosts}, {end}.", severity=Severity.WARNING)


@FAMILY.check(
    "CPR509",
    "The routine changes its model files",
    cause="from_path or predict wrote into a file of the bundle's model directory, so the bundle is no longer what was built.",
    remedy="Open model files for reading only, write elsewhere (tempfile), and build the bundle anew.",
    source="the rehearsal",
)
def changes_model(subject: Subject) -> Iterator[Fault]:
    if subject.run is not None and subject.run.altered:
        paths = ", ".join(subject.run.altered[:3])
        yield Fault(subject.run.altered[0], f"The rehearsal altered {len(subject.run.altered)} of the bundle's files: {paths}.")


@FAMILY.check(
    "CPR541",
    "Not proved here",
    severity=Severity.NOTE,
    cause="A rehearsal proves what it ran on.",
    remedy="Try a first version with little traffic, or choose a target that runs a container: it runs what was proved here.",
    source="the rehearsal",
)
def not_proved(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is None:
        return
    differences = tuple(_differences(subject, run))
    if differences:
        there = " and ".join(f"{name} {wanted}" for name, wanted, _ in differences)
        here = " and ".join(f"{name} {found}" for name, _, found in differences)
        yield Fault(
            subject.target.name,
            f"The target runs {there}; the rehearsal ran on {here}. For the target's own, the source alone was checked: its "
            "syntax and its use of the standard library.",
        )
    if run.network == "audit-hook":
        yield Fault(
            sys.platform,
            "The network was cut off for Python code alone: native code, such as gRPC's, and other programs still had it.",
            "Validate on Linux, where the kernel lets a user make namespaces.",
        )
    if run.network == "none" and run.grade != "none" and run.install_failure is None:
        yield Fault(
            sys.platform,
            "The network could not be cut off here: what the routine fetches may have gone unnoticed.",
            "Validate on Linux, where the kernel lets a user make namespaces.",
        )
    if any(phase.peak_mib is None for phase in run.phases):
        yield Fault(sys.platform, "Memory cannot be measured on this system.", "Validate on Linux.")


def _differences(subject: Subject, run: Run) -> Iterator[tuple[str, str, str]]:
    """What the target has and the rehearsal had not: a name and the two versions."""
    runtime, manifest = subject.runtime, subject.bundle.manifest
    wanted = (
        ("Python", subject.python, run.environment.get("python")),
        (
            "TensorFlow",
            runtime.tensorflow if runtime else manifest.tensorflow,
            run.environment.get("packages", {}).get("tensorflow"),
        ),
    )
    for name, there, here in wanted:
        if there is not None and here is not None and there.split(".")[:2] != here.split(".")[:2]:
            yield name, there, here


@FAMILY.check(
    "CPR542",
    "A requirement is not what is installed here",
    severity=Severity.WARNING,
    cause="The rehearsal uses the packages installed beside cpr; what it proves holds for those versions.",
    remedy="Install what routine.yaml declares, or declare what is installed.",
    source="the rehearsal",
)
def other_versions(subject: Subject) -> Iterator[Fault]:
    if subject.run is None or subject.run.install_failure is not None:
        return
    packages = subject.run.environment.get("packages", {})
    for text in subject.bundle.manifest.requirements:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(requirement.name)
        found = packages.get(name)
        if found is None:
            yield Fault("routine.yaml: requirements", f"{text} is declared and not installed here.", f"`pip install '{text}'`")
        elif not _satisfies(requirement, found):
            yield Fault("routine.yaml: requirements", f"{text} is declared; the rehearsal ran with {name} {found}.")


def _satisfies(requirement: Requirement, found: str) -> bool:
    try:
        return requirement.specifier.contains(Version(found), prereleases=True)
    except InvalidVersion:  # old packages have versions in no known order; only no specifier at all fits them
        return not requirement.specifier
