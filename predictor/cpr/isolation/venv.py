"""The grade ``venv``: a fresh environment with the locked requirements and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from cpr.container import base
from cpr.errors import TargetError
from cpr.isolation.making import TOOLS, Made, Say, environment
from cpr.isolation.pythons import Python, find_python, this_python
from cpr.locking.kept import kept_lock
from cpr.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Venv:
    """An environment that was made for the routine. What its lock names is installed in it, and no more."""

    made: Made
    grade: str = "venv"
    scrubs: bool = True
    hides: bool = False  # nothing else is installed there
    cuts_network: bool = True

    @property
    def python(self) -> str:
        return self.made.python

    def packages(self, requirements: Sequence[str], modules: Sequence[str]) -> Mapping[str, str]:
        named = {str(canonicalize_name(_name(text))) for text in requirements}
        return {name: version for name, version in sorted(self.made.versions.items()) if name not in TOOLS or name in named}


def venv(manifest: Manifest, say: Say) -> Venv:
    """The environment of a routine, on the Python that it declares where that is found on this machine, else on this one.

    It has what an image of the routine has: the requirements, and TensorFlow where the routine has a SavedModel.
    """
    return Venv(made_of(declared(manifest), _python(manifest.python, say), say))


def declared(manifest: Manifest) -> tuple[str, ...]:
    """What an image of the routine installs."""
    return tuple(line for line in base(manifest, None).requirements.splitlines() if line)


def made_of(requirements: Sequence[str], python: Python, say: Say, sources: Sequence[str] = ()) -> Made:
    """The kept environment of ``python`` with the requirements and the tools that install the routine.

    ``sources`` names packages that are built here, for want of a wheel.
    """
    say(f"Locking {len(requirements)} requirements for Python {python.version}")
    tools = TOOLS if python.version.startswith("3.7.") else TOOLS[:2]  # newer setuptools do without wheel
    locked = kept_lock((*requirements, *tools), python=python.version, interpreter=python.path, sources=sources)
    return environment(python, locked, say)


def _python(wanted: str | None, say: Say) -> Python:
    if wanted is None:
        return this_python()
    try:
        return find_python(wanted)
    except TargetError as error:
        here = this_python()
        say(f"{error.message} The environment has Python {here.version}.")
        return here


def _name(text: str) -> str:
    from packaging.requirements import Requirement

    return Requirement(text).name
