"""What a check is: a small function over a frozen subject, with a stable id and the words that explain it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cpr.bundle import Bundle
from cpr.content.files import FoundPickle
from cpr.errors import CprError
from cpr.examples import Example
from cpr.isolation import Provided, Run
from cpr.locking import Lock
from cpr.machines import Machine, Runtime, Target, Variant, python_on
from cpr.manifest import Suppression
from cpr.report import Finding, Severity
from cpr.saved_model.survey import FoundModel


@dataclass(frozen=True, slots=True)
class Subject:
    """What the checks look at.

    ``sources`` are the members of the routine's source distribution by path, metadata left out, and ``trees`` those that parse;
    ``runtime`` is the service's own where it installs the routine itself, ``None`` where a container does; ``runtime_problem``
    tells why there is none where there should be; ``examples_problem`` why ``examples`` is empty; ``run`` is the rehearsal,
    ``None`` where there was none; ``models`` are the SavedModels in the model directory, ``pickles`` the pickles there;
    ``provided`` is what the target brings beside the requirements, ``workers`` how many processes of the routine it runs;
    ``locked`` are the requirements as the target would install them, and ``lock_problem`` why there are none, both ``None``
    where no index was asked; ``unused`` are the suppressions that fit no finding, known once all others are; ``max_p99`` is the
    budget of a call in milliseconds, where there is one.
    """

    bundle: Bundle
    target: Target
    machine: Machine
    runtime: Runtime | None
    sources: Mapping[str, bytes]
    examples: tuple[Example, ...] = ()
    runtime_problem: CprError | None = None
    examples_problem: CprError | None = None
    run: Run | None = None
    trees: Mapping[str, ast.Module] = field(default_factory=dict)
    models: tuple[FoundModel, ...] = ()
    pickles: tuple[FoundPickle, ...] = ()
    provided: Provided = field(default_factory=Provided)
    workers: int = 1
    locked: Lock | None = None
    lock_problem: CprError | None = None
    unused: tuple[Suppression, ...] = ()
    max_p99: float | None = None

    @property
    def python(self) -> str | None:
        """``major.minor`` of the Python that the routine will run on; ``None`` where that is the one that proved it."""
        return python_on(self.runtime, self.bundle.manifest.python)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that a check found; ``remedy`` and ``severity`` where they are not the check's own."""

    where: str
    message: str
    remedy: str | None = None
    severity: Severity | None = None


Look = Callable[[Subject], Iterator[Fault]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. Its ``id`` is stable: it is never given to another check, and a check that goes takes it along.

    ``prevents`` are the platform's own error texts, as far as they are known, with ``{name}`` for what changes from one to the
    next; ``source`` is where the rule comes from. ``targets`` empty: all of them; ``variant``: only machines that run the
    routine itself, or only those that run a container.
    """

    id: str
    title: str
    severity: Severity
    cause: str
    remedy: str
    source: str
    look: Look
    prevents: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    variant: Variant | None = None

    def applies(self, subject: Subject) -> bool:
        return (not self.targets or subject.target.name in self.targets) and self.variant in (None, subject.machine.variant)

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """What the check finds in a subject that it applies to."""
        for fault in self.look(subject):
            severity = self.severity if fault.severity is None else fault.severity
            yield Finding(self.id, severity, fault.where, fault.message, fault.remedy or self.remedy)


class Family:
    """The checks of one module, in the order they are written. Use as a decorator."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def check(
        self,
        id: str,
        title: str,
        *,
        severity: Severity = Severity.ERROR,
        cause: str,
        remedy: str,
        source: str,
        prevents: str | tuple[str, ...] = (),
        targets: tuple[str, ...] = (),
        variant: Variant | None = None,
    ) -> Callable[[Look], Look]:
        texts = (prevents,) if isinstance(prevents, str) else prevents

        def register(look: Look) -> Look:
            self.checks.append(Check(id, title, severity, cause, remedy, source, look, texts, targets, variant))
            return look

        return register
