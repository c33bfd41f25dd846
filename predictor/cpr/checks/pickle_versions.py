"""Whether the libraries that a pickle was written with are those that it is loaded with."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from cpr.checks.pickle_names import loads_pickles
from cpr.checks.registry import Fault, Subject
from cpr.content.catalogue import Moved, moved_module, oldest_python
from cpr.content.files import FoundPickle
from cpr.preinstalled import preinstalled
from cpr.report import Severity

_SKLEARN = "scikit-learn"


def library_faults(subject: Subject, found: FoundPickle) -> Iterator[Fault]:
    if found.problem:
        return
    for version in sorted(found.facts.versions):
        yield from _recorded(subject, found, version)
    moves = {move.module: move for name in found.facts.names if (move := moved_module(name.module))}
    told: set[tuple[str | None, str | None]] = set()
    for module, move in sorted(moves.items()):
        for fault in _moved(subject, found, module, move):
            if (move.since, move.until) not in told:
                told.add((move.since, move.until))
                yield fault


def _recorded(subject: Subject, found: FoundPickle, version: str) -> Iterator[Fault]:
    """The version that scikit-learn writes into every estimator."""
    try:
        Version(version)
    except InvalidVersion:
        return
    declared = _specifier(subject, _SKLEARN)
    needed = oldest_python(_SKLEARN, version)
    if needed is not None and subject.python is not None and Version(subject.python) < Version(needed):
        message = f"It was written with scikit-learn {version}, which needs Python {needed}; the target has {subject.python}."
        yield Fault(found.path, message)
    elif declared is None:
        there = _on_runtime(subject, _SKLEARN)
        if there is not None and subject.runtime is not None and Version(there).release[:2] != Version(version).release[:2]:
            message = f"It was written with scikit-learn {version}; runtime {subject.runtime.version} has {there}."
            yield Fault(found.path, message)
        elif there is None and subject.runtime is not None:
            message = f"It was written with scikit-learn {version}; which one the runtime has is not known."
            yield Fault(found.path, message, severity=Severity.NOTE)
    elif not declared.contains(version, prereleases=True):
        yield Fault(found.path, f"It was written with scikit-learn {version}; declared is scikit-learn{declared}.")
    elif not _pins(declared):
        message = f"It was written with scikit-learn {version}; the requirement lets other versions in."
        yield Fault(found.path, message, f"Declare scikit-learn=={version} under `requirements`.", Severity.NOTE)


def _moved(subject: Subject, found: FoundPickle, module: str, move: Moved) -> Iterator[Fault]:
    declared = _specifier(subject, move.distribution)
    python = subject.python
    if move.python is not None and python is not None and Version(python) < Version(move.python):
        message = (
            f"It names {module}, which {move.distribution} has from {move.since} on, for Python {move.python} and newer; the "
            f"target has {python}."
        )
        remedy = f"Write it where {move.distribution} is older than 2, as on the target, or save plain arrays with numpy.save."
        yield Fault(found.path, message, remedy, Severity.ERROR if loads_pickles(subject) else None)
        return
    there = _pinned(declared)
    if there is None and declared is None:
        there = _on_runtime(subject, move.distribution)
    if there is None:
        return
    version = Version(there)
    if move.since is not None and version < Version(move.since):
        yield Fault(found.path, f"It names {module}, which {move.distribution} has from {move.since} on; it will meet {there}.")
    elif move.until is not None and version >= Version(move.until):
        yield Fault(found.path, f"It names {module}, which {move.distribution} no longer has in {there}.")


def _on_runtime(subject: Subject, distribution: str) -> str | None:
    """The version that the target's runtime has, where that is known."""
    known = None if subject.runtime is None else preinstalled(subject.target.name, subject.runtime)
    return None if known is None else known.versions.get(distribution)


def _specifier(subject: Subject, distribution: str) -> SpecifierSet | None:
    """What is declared of a distribution; ``None`` where nothing is."""
    for text in subject.bundle.manifest.requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) == distribution:
            return requirement.specifier
    return None


def _pins(declared: SpecifierSet) -> bool:
    return any(each.operator in ("==", "===", "~=") for each in declared)


def _pinned(declared: SpecifierSet | None) -> str | None:
    exact = [each.version for each in declared or () if each.operator in ("==", "===") and not each.version.endswith("*")]
    return exact[0] if exact else None
