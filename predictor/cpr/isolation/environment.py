"""What a rehearsal runs on: an interpreter and what is installed beside it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


class Environment(Protocol):
    """What a rehearsal runs on. ``grade`` names it in the report; ``python`` is the interpreter."""

    @property
    def grade(self) -> str: ...

    @property
    def python(self) -> str: ...

    def packages(self, requirements: Sequence[str], modules: Sequence[str]) -> Mapping[str, str]:
        """Version by distribution name of what is installed of ``requirements``, their own requirements, and TensorFlow where
        ``modules`` (top-level names that were imported) has it."""


@dataclass(frozen=True, slots=True)
class ThisInterpreter:
    """The grade ``process``: the interpreter that runs cpr, and what is installed beside it."""

    grade: str = "process"
    python: str = sys.executable

    def packages(self, requirements: Sequence[str], modules: Sequence[str]) -> Mapping[str, str]:
        wanted = [*requirements]
        if "tensorflow" in modules:
            wanted += (
                metadata.packages_distributions().get("tensorflow", []) if not _installed("tensorflow") else ["tensorflow"]
            )
        return dict(sorted(_closure(wanted).items()))


THIS_INTERPRETER = ThisInterpreter()


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _closure(requirements: Sequence[str]) -> dict[str, str]:
    versions: dict[str, str] = {}
    waiting = [(text, "") for text in requirements]
    seen = set()
    while waiting:
        text, extra = waiting.pop()
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        distribution = _installed(name)
        if distribution is None:
            continue
        versions[name] = distribution.version
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(text, wanted) for text in distribution.requires or ()]
    return versions
