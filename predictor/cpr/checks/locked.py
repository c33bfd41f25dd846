"""CPR80x: what an index says of the requirements, for the target's Python and system. Only where it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cpr.checks.registry import Family, Fault, Subject
from cpr.checks.requirements import PLACE
from cpr.errors import CprError, NoSolution, NoWheel
from cpr.locking import lock, wanted
from cpr.preinstalled import installed
from cpr.report import Severity

FAMILY = Family()

_MB = 1_000_000


@FAMILY.check(
    "CPR801",
    "The requirements cannot be resolved for the target",
    cause="pip looks for versions that fit each other and the target's Python, and finds none.",
    remedy="Change the version that it names under `requirements` in routine.yaml.",
    source="https://github.com/GoogleCloudPlatform/python-docs-samples/issues/2186",
)
def unresolved(subject: Subject) -> Iterator[Fault]:
    problem = subject.lock_problem
    if isinstance(problem, NoSolution):
        yield Fault(PLACE, problem.message, problem.remedy)
    elif problem is not None and not isinstance(problem, NoWheel):
        message = f"The requirements were not looked at: {problem.message}"
        yield Fault(problem.where or PLACE, message, problem.remedy, Severity.WARNING)


@FAMILY.check(
    "CPR802",
    "A requirement has no wheel for the target",
    cause="Without a wheel for its Python and system the target has to compile the package, and has no compiler to count on.",
    remedy="Require a version that has a wheel for the target's Python, or another package.",
    source="https://github.com/GoogleCloudPlatform/python-docs-samples/issues/6753",
)
def wheelless(subject: Subject) -> Iterator[Fault]:
    problem = subject.lock_problem
    if not isinstance(problem, NoWheel):
        return
    for name in problem.packages:
        if name in problem.absent:
            yield Fault(PLACE, f"{name} has no wheel for Python {_python(subject)} there, and no source to make one of.")
        else:
            message = f"{name} has no wheel for Python {_python(subject)} on the target: it is built there, from source."
            yield Fault(PLACE, message, severity=Severity.WARNING)


def with_lock(subject: Subject) -> Subject:
    """The subject with its requirements locked, or with why they are not. Asks the index."""
    if subject.machine.variant == "routine" and subject.runtime is None:
        return subject  # CPR303 has said that there is no such runtime
    bundle = subject.bundle
    try:
        what = wanted(bundle.manifest, subject.target, subject.machine, subject.runtime, subject.python)
        return replace(subject, locked=lock(what.requirements, python=what.python, platform=what.platform))
    except CprError as error:
        return replace(subject, lock_problem=error)


def _python(subject: Subject) -> str:
    return subject.python or "of the image"


@FAMILY.check(
    "CPR806",
    "The requirements take much of the machine",
    cause="What the requirements install counts against the node's memory, with the model.",
    remedy="Drop what is not needed, choose smaller builds (a CPU build of torch), or deploy a container on a larger machine.",
    source="https://github.com/GoogleCloudPlatform/python-docs-samples/issues/4046",
    variant="routine",
)
def too_large(subject: Subject) -> Iterator[Fault]:
    if subject.locked is None or not subject.locked.size:
        return
    known, wheels = installed(subject.target.name), subject.locked.size
    model = sum(entry.size for entry in subject.bundle.manifest.model_files)
    memory, unpacked = subject.machine.memory_mib * 2**20, round(wheels * known.factor)
    heaviest = sorted(subject.locked.packages, key=lambda package: -(package.size or 0))[:3]
    names = ", ".join(f"{package.name} {_megabytes(package.size or 0)}" for package in heaviest)
    figures = (
        f"{len(subject.locked.packages)} packages are {_megabytes(wheels)} of wheels ({names}), about {_megabytes(unpacked)} "
        f"installed (estimated at {known.factor:g} times), and the model has {_megabytes(model)}; "
        f"{subject.machine.name} has {_megabytes(memory)}"
    )
    if wheels + model > memory:
        yield Fault(PLACE, f"{figures}: even packed they do not fit.")
    elif unpacked + model > memory:
        yield Fault(PLACE, f"{figures}.", severity=Severity.WARNING)
    elif unpacked + model >= known.refused_bytes:
        yield Fault(PLACE, f"{figures}. {known.refused}", severity=Severity.WARNING)


def _megabytes(count: int) -> str:
    return f"{count / _MB:,.1f} MB" if count < 10 * _MB else f"{count / _MB:,.0f} MB"
