"""CPR3xx: the target, its machine types, runtimes and names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from packaging.version import Version

from cpr.checks.registry import Family, Fault, Subject
from cpr.errors import TargetError
from cpr.report import Severity

FAMILY = Family()


@FAMILY.check(
    "CPR301",
    "On this machine type a routine becomes a container",
    severity=Severity.NOTE,
    cause="AI Platform runs a routine itself on MLS1 machine types only; N1 machine types run containers.",
    remedy="Nothing to do: `cpr deploy-config` writes the container variant.",
    source="https://cloud.google.com/ai-platform/prediction/docs/machine-types-online-prediction",
    variant="container",
)
def container(subject: Subject) -> Iterator[Fault]:
    runners = subject.target.machines_for("routine")
    if runners:
        names = " and ".join(machine.name for machine in runners)
        yield Fault(
            subject.machine.name,
            f"{subject.machine.name} runs a container that serves it; only {names} run a routine as it is.",
        )


@FAMILY.check(
    "CPR302",
    "The machine type is deprecated or in doubt",
    severity=Severity.WARNING,
    cause="The name is an old one, or in no official list.",
    remedy="Choose a machine type from the official list.",
    source="https://cloud.google.com/ai-platform/prediction/docs/machine-types-online-prediction",
)
def doubtful_machine(subject: Subject) -> Iterator[Fault]:
    machine = subject.machine
    if machine.warning:
        remedy = f"Choose {subject.target.default_machine.name}." if machine.doubtful else f"Write {machine.name}."
        yield Fault("--machine-type", machine.warning, remedy)


@FAMILY.check(
    "CPR303",
    "The runtime version does not run routines",
    cause="Routines need runtime 1.4 or newer, and there is no runtime 2.0.",
    remedy="Name another runtime_version in routine.yaml, or leave it out.",
    source="googleapiclient ml.v1.json, revision 20251213: Version.predictionClass",
    variant="routine",
)
def unknown_runtime(subject: Subject) -> Iterator[Fault]:
    problem = subject.runtime_problem
    if problem is not None:
        yield Fault("routine.yaml: runtime_version", problem.message, problem.remedy)


@FAMILY.check(
    "CPR304",
    "Routines may not deploy on this runtime version",
    severity=Severity.WARNING,
    cause="The sources contradict each other, or say nothing about routines on this runtime.",
    remedy="Name a runtime_version on which routines are known to deploy.",
    source="AI Platform release notes, 2018-07 to 2020-08-14; public deployments",
    variant="routine",
)
def doubtful_runtime(subject: Subject) -> Iterator[Fault]:
    if subject.runtime is not None and subject.runtime.warning:
        default = subject.target.default_runtime
        remedy = None if default is None else f"Write `runtime_version: {default.version}`, on which they are known to deploy."
        yield Fault("routine.yaml: runtime_version", subject.runtime.warning, remedy)


@FAMILY.check(
    "CPR310",
    "The platform had a fault with this runtime version",
    severity=Severity.NOTE,
    cause="For some days the service itself failed on this runtime version, whatever the routine was. It was mended.",
    remedy="Nothing now; an error of those days is no fault of the routine.",
    source="AI Platform release notes, 2020",
    variant="routine",
)
def past_fault(subject: Subject) -> Iterator[Fault]:
    runtime = subject.runtime
    for fault in runtime.faults if runtime is not None else ():
        if fault.python in (None, subject.python):
            yield Fault("routine.yaml: runtime_version", f"From {fault.start} to {fault.end} {fault.what}")


@FAMILY.check(
    "CPR305",
    "The runtime version has another Python",
    cause="A runtime version has one Python, sometimes two; a version config with another pair is refused.",
    remedy="Change `python` or `runtime_version` in routine.yaml.",
    source="googleapiclient ml.v1.json, revision 20251213: Version.pythonVersion",
    variant="routine",
)
def python_pair(subject: Subject) -> Iterator[Fault]:
    runtime, manifest = subject.runtime, subject.bundle.manifest
    if runtime is None or manifest.python is None:
        return
    if ".".join(manifest.python.split(".")[:2]) in runtime.pythons:
        return
    pythons = " or ".join(runtime.pythons)
    message = f"routine.yaml declares Python {manifest.python}; runtime {runtime.version} runs Python {pythons}."
    if manifest.runtime_version is not None:
        yield Fault("routine.yaml: python", message)
    else:
        # A bundle may be meant for a container as well, where `python` decides.
        yield Fault("routine.yaml: python", message, "Write for that Python, or deploy a container.", Severity.WARNING)


@FAMILY.check(
    "CPR306",
    "The runtime version has an older TensorFlow",
    severity=Severity.WARNING,
    cause="A SavedModel loads in the TensorFlow that exported it and in newer ones; an older one may lack an operation.",
    remedy="Export the model with the runtime's TensorFlow, or choose a newer runtime_version or a container.",
    source="AI Platform release notes: the runtime version is the TensorFlow version",
    prevents="Failed to load the model due to bad model data",
    variant="routine",
)
def tensorflow_pair(subject: Subject) -> Iterator[Fault]:
    runtime, declared = subject.runtime, subject.bundle.manifest.tensorflow
    if runtime is None or declared is None:
        return
    if Version(declared).release[:2] > Version(runtime.tensorflow).release[:2]:
        message = f"routine.yaml declares TensorFlow {declared}; runtime {runtime.version} has {runtime.tensorflow}."
        yield Fault("routine.yaml: tensorflow", message)


@FAMILY.check(
    "CPR307",
    "The name or the version is not allowed on the target",
    cause="Each platform has its own rule for the characters and the length of a name.",
    remedy="Change it in routine.yaml.",
    source="the target's data under deploy/: names",
)
def names(subject: Subject) -> Iterator[Fault]:
    manifest, target = subject.bundle.manifest, subject.target
    pairs: tuple[tuple[Callable[[str], str], str], ...] = (
        (target.model_name, manifest.name),
        (target.version_name, manifest.version),
    )
    for spell, text in pairs:
        try:
            spell(text)
        except TargetError as error:
            yield Fault(error.where or "routine.yaml", error.message, error.remedy)


@FAMILY.check(
    "CPR308",
    "A label is not allowed on the target",
    cause="Each platform has its own rule for label keys and values.",
    remedy="Change it under `labels` in routine.yaml.",
    source="the target's data under deploy/: labels",
)
def labels(subject: Subject) -> Iterator[Fault]:
    problem = subject.target.labels.problem(subject.bundle.manifest.labels)
    if problem is not None:
        yield Fault("routine.yaml: labels", problem, f"Change it in routine.yaml. Allowed are {subject.target.labels.rule}.")


@FAMILY.check(
    "CPR309",
    "The service was retired",
    severity=Severity.NOTE,
    cause="The platform was shut down; its contract lives on in code and configs.",
    remedy="Deploy the same bundle to a successor.",
    source="https://cloud.google.com/ai-platform/prediction/docs/deprecations",
)
def retired(subject: Subject) -> Iterator[Fault]:
    target = subject.target
    if target.retired is not None:
        successors = " or ".join(f"`--target {name}`" for name in target.successors)
        yield Fault(
            target.name, target.retired_note, f"Deploy the same bundle to a successor: {successors}." if successors else None
        )
