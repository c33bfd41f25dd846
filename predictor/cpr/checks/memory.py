"""CPR531 to CPR533: whether the routine, and so many processes of it as the target runs, fit into the machine's memory."""

from __future__ import annotations

from collections.abc import Iterator

from cpr.checks.registry import Family, Fault, Subject
from cpr.checks.words import PHASES
from cpr.manifest import MODEL_DIR
from cpr.report import Severity

FAMILY = Family()

_NEAR = 0.85  # of the machine's memory: what the service's own server takes beside the routine is not known
_NAMED = 3  # contributors that a finding names


def largest(subject: Subject) -> str:
    """The dearest imports and the largest model files, as a sentence; empty where nothing is known."""
    run = subject.run
    costs = [cost for cost in (run.costs if run is not None else ()) if cost.mib >= 1]
    files = sorted(subject.bundle.manifest.model_files, key=lambda entry: -entry.size)
    named = [f"importing {cost.package} {cost.mib:,.0f} MiB" for cost in costs[:_NAMED]]
    named += [f"{entry.path} {entry.size / (1 << 20):,.0f} MiB" for entry in files[:_NAMED] if entry.size >= 1 << 20]
    return f" The largest parts: {', '.join(named)}." if named else ""


def _roomier(subject: Subject, needed: float) -> str | None:
    """What to do, with the first machine type that has room; ``None`` where none has."""
    roomier = [other.name for other in subject.target.machines if other.memory_mib * _NEAR >= needed]
    return f"Load less, drop heavy imports, or deploy with `--machine-type {roomier[0]}`." if roomier else None


@FAMILY.check(
    "CPR531",
    "The routine needs more memory than the machine has",
    cause="The process's peak, packages and model included, counts against the node's memory.",
    remedy="Load less in from_path, drop heavy imports, shrink the weights, or choose a machine type with more memory.",
    source="https://github.com/GoogleCloudPlatform/python-docs-samples/issues/5257",
    prevents="Model requires more memory than allowed. Please try to decrease the model size",
)
def memory(subject: Subject) -> Iterator[Fault]:
    run, machine = subject.run, subject.machine
    peak = None if run is None else run.peak_mib
    if run is None or peak is None:
        return
    phase = max((phase for phase in run.phases if phase.peak_mib is not None), key=lambda phase: phase.peak_mib or 0.0)
    message = f"The peak is {peak:,.0f} MiB, in {PHASES.get(phase.name, phase.name)}"
    if run.together_mib > peak:
        peak = run.together_mib
        message = f"The routine and its {run.children} processes were seen to have {peak:,.0f} MiB together"
    if peak <= machine.memory_mib * _NEAR:
        return
    message = f"{message}; {machine.name} has {machine.memory_mib:,} MiB"
    remedy = _roomier(subject, peak)
    if peak > machine.memory_mib:
        yield Fault(MODEL_DIR, f"{message}.{largest(subject)}", remedy)
    else:
        share = f"{message}: {peak / machine.memory_mib:.0%} of it.{largest(subject)}"
        yield Fault(MODEL_DIR, share, remedy, Severity.WARNING)


@FAMILY.check(
    "CPR532",
    "So many processes need more memory than the machine has",
    severity=Severity.WARNING,
    cause="Each worker process loads the routine anew. What they share is the pages of files, such as TensorFlow's libraries.",
    remedy="Run fewer workers, load less in from_path, or choose a machine type with more memory.",
    source="platform contract: every worker process loads its own copy of the model",
)
def memory_of_workers(subject: Subject) -> Iterator[Fault]:
    run, machine, workers = subject.run, subject.machine, subject.workers
    needed = None if run is None else run.needed_mib(workers)
    if run is None or needed is None or workers < 2 or needed <= machine.memory_mib:
        return
    if max(run.peak_mib or 0.0, run.together_mib) > machine.memory_mib:
        return  # CPR531: one is too much
    fit = max(count for count in range(1, workers) if (run.needed_mib(count) or 0.0) <= machine.memory_mib or count == 1)
    yield Fault(
        MODEL_DIR,
        f"{workers} processes need about {needed:,.0f} MiB, pages of files counted once; {machine.name} has "
        f"{machine.memory_mib:,} MiB, room for {fit}.{largest(subject)}",
        f"Run {fit} with `--workers {fit}`. " + (_roomier(subject, needed) or "Load less, or drop heavy imports."),
    )


@FAMILY.check(
    "CPR533",
    "The routine starts processes",
    severity=Severity.NOTE,
    cause="Their memory is the machine's too. It was looked at ten times a second, so a short peak may have been missed.",
    remedy="Prefer threads, or start them once in from_path.",
    source="the rehearsal",
)
def starts_processes(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is not None and run.children:
        many = f"{run.children} processes" if run.children > 1 else "a process"
        yield Fault(MODEL_DIR, f"The routine starts {many} of its own; together they had at least {run.together_mib:,.0f} MiB.")
