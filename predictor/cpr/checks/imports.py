"""CPR545 to CPR548: what the rehearsal imported, or would have, and is not declared; and that an open one proves nothing."""

from __future__ import annotations

from collections.abc import Iterator

from cpr.checks.prediction_class import place
from cpr.checks.registry import Family, Fault, Subject
from cpr.checks.words import PHASES
from cpr.isolation import Imported
from cpr.report import Severity

FAMILY = Family()

_DECLARATION = "routine.yaml: requirements"


def _distribution(imported: Imported) -> str:
    """``of pandas 2.2.3``, or where it lies."""
    if imported.distribution:
        return f"of {imported.distribution} {imported.version}"
    return f"in {imported.folder}"


def _declare(subject: Subject, imported: Imported) -> str:
    """The line for routine.yaml: with the version where an image is made, which gets what was proved here."""
    if not imported.distribution:
        return "Put it into the routine's folder and list it under `modules` or `packages` in routine.yaml."
    pin = f"=={imported.version}" if subject.machine.variant == "container" else ""
    wanted = [*subject.bundle.manifest.requirements, imported.distribution + pin]
    return f"In routine.yaml: `requirements: [{', '.join(map(repr, wanted))}]`".replace("'", '"')


@FAMILY.check(
    "CPR545",
    "An import works here only",
    cause="The package is installed beside cpr and is neither declared nor brought by the target: it will not be there. The "
    "rehearsal hides such packages.",
    remedy="Declare it under `requirements` in routine.yaml, or do without it.",
    source="the rehearsal",
)
def undeclared_import(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is None:
        return
    told: set[str] = set()
    for raised in run.raised:
        known = [each for each in run.imported if each.module == raised.hidden and each.hidden]
        if not known or known[0].module in told:
            continue
        told.add(known[0].module)
        imported = next((each for each in known if each.where is not None), known[0])
        where = imported.where or raised.where or place(subject)
        yield Fault(
            where,
            f"{PHASES.get(raised.phase, raised.phase)} needs {imported.module} ({_distribution(imported)}), which is installed "
            f"here and will not be there: it is not among the requirements, and {subject.provided.by} does not bring it.",
            _declare(subject, imported),
        )


@FAMILY.check(
    "CPR546",
    "An import is not declared",
    severity=Severity.NOTE,
    cause="The target brings the package today, so the import works there; elsewhere, in a container for one, it fails.",
    remedy="Declare it under `requirements` in routine.yaml.",
    source="the rehearsal",
)
def borrowed_import(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is None:
        return
    told: set[str] = set()
    for imported in run.imported:
        name = imported.distribution or imported.module
        if imported.hidden or imported.where is None or name in told:
            continue
        told.add(name)
        what = f"{imported.module} ({_distribution(imported)}) is imported and not declared"
        if not imported.distribution:
            message = f"{what}: it belongs to no installed distribution, so nothing can tell whether it will be there."
            yield Fault(imported.where, message, _declare(subject, imported), Severity.WARNING)
        elif not imported.sure:
            message = f"{what}: {subject.provided.by} may bring it or not, which is not certain."
            yield Fault(imported.where, message, _declare(subject, imported), Severity.WARNING)
        else:
            yield Fault(imported.where, f"{what}: {subject.provided.by} brings it.", _declare(subject, imported))


@FAMILY.check(
    "CPR547",
    "A rehearsal in the open",
    severity=Severity.NOTE,
    cause="With the grade `none` the routine runs in the current environment, to find a fault with.",
    remedy="Validate again without `--isolation none`: this run is no proof, and `cpr upload` does not take it for one.",
    source="the rehearsal",
)
def in_the_open(subject: Subject) -> Iterator[Fault]:
    if subject.run is not None and subject.run.grade == "none":
        yield Fault(
            place(subject),
            "It had every package that is installed here, the network and this user's environment: that it needs none of them "
            "is not proved.",
        )


@FAMILY.check(
    "CPR548",
    "An optional import was not there",
    severity=Severity.NOTE,
    cause="The package is installed here and neither declared nor brought by the target, so the rehearsal went on without it.",
    remedy="Declare it under `requirements` in routine.yaml where the routine should have it.",
    source="the rehearsal",
)
def optional_import(subject: Subject) -> Iterator[Fault]:
    run = subject.run
    if run is None:
        return
    failed = {raised.hidden for raised in run.raised}
    told: set[str] = set()
    for imported in run.imported:
        if imported.hidden and imported.where is not None and imported.module not in {*failed, *told}:
            told.add(imported.module)
            yield Fault(
                imported.where,
                f"{imported.module} ({_distribution(imported)}) is looked for; it is not declared, and the rehearsal did "
                "without it, as the target will.",
                _declare(subject, imported),
            )
