"""What a rehearsal runs on: an interpreter, what is installed beside it, and how far it is cut off."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Protocol

from cpr.isolation.installed import closure, installed


class Environment(Protocol):
    """What a rehearsal runs on. ``grade`` names it in the report; ``python`` is the interpreter.

    ``scrubs``: the child has an environment and a home of its own, and Python heeds no ``PYTHON*`` and no user's packages;
    ``hides``: what is installed beside cpr and neither declared nor brought by the target is not to be imported;
    ``cuts_network``: there is none but loopback.
    """

    @property
    def grade(self) -> str: ...

    @property
    def python(self) -> str: ...

    @property
    def scrubs(self) -> bool: ...

    @property
    def hides(self) -> bool: ...

    @property
    def cuts_network(self) -> bool: ...

    def packages(self, requirements: Sequence[str], modules: Sequence[str]) -> Mapping[str, str]:
        """Version by distribution name of what is installed of ``requirements``, their own requirements, and TensorFlow where
        ``modules`` (top-level names that were imported) has it."""


@dataclass(frozen=True, slots=True)
class ThisInterpreter:
    """The interpreter that runs cpr, and what is installed beside it: the grade ``process``, and ``none``, which leaves
    everything open."""

    grade: str = "process"
    python: str = sys.executable
    scrubs: bool = True
    hides: bool = True
    cuts_network: bool = True

    def packages(self, requirements: Sequence[str], modules: Sequence[str]) -> Mapping[str, str]:
        wanted = [*requirements]
        if "tensorflow" in modules:
            wanted += metadata.packages_distributions().get("tensorflow", []) if not installed("tensorflow") else ["tensorflow"]
        return dict(sorted(closure(wanted).items()))


THIS_INTERPRETER = ThisInterpreter()
"""The grade ``process``."""

UNPROTECTED = ThisInterpreter("none", scrubs=False, hides=False, cuts_network=False)
"""The grade ``none``, to find a fault with: what runs on it proves nothing."""
