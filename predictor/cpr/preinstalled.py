"""What a target's runtimes bring with them, as far as it is known, and on which system: dated data under ``deploy/``."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from packaging.specifiers import SpecifierSet

from cpr import resources
from cpr.machines import Runtime, Variant


@dataclass(frozen=True, slots=True)
class Preinstalled:
    """What is known of one runtime.

    ``needs`` is what its TensorFlow requires, ``versions`` what it brings, ``install`` the requirements that make it run today,
    ``sources`` what it needs that has no wheel; ``families`` are patterns of names of which no version is known.
    """

    versions: dict[str, str]
    needs: dict[str, SpecifierSet]
    install: tuple[str, ...]
    sources: tuple[str, ...]
    families: tuple[str, ...]
    families_note: str

    def in_family(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.families)


@dataclass(frozen=True, slots=True)
class Installed:
    """What installed packages weigh: bytes on disk for each byte of a wheel, and the size that was refused in the field."""

    factor: float
    note: str
    refused_bytes: int
    refused: str


@cache
def preinstalled(target: str, runtime: Runtime) -> Preinstalled:
    document = _document(target)
    entry = document.get("runtimes", {}).get(runtime.version, {})
    families = document.get("families", {"names": [], "note": ""})
    return Preinstalled(
        dict(entry.get("versions", {})),
        {name: SpecifierSet(text) for name, text in entry.get("needs", {}).items()},
        tuple(entry.get("install", ())),
        tuple(entry.get("sources", ())),
        tuple(families["names"]),
        families["note"],
    )


def brings(target: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of distributions that a routine finds there without declaring them: for certain, and as it is only said."""
    entry = _document(target).get("distributions", {})
    return tuple(entry.get("surely", ())), tuple(entry.get("perhaps", ()))


@cache
def installed(target: str) -> Installed:
    """What the target's machines make of installed packages; only for a target that installs them itself."""
    entry = _document(target)["installed"]
    return Installed(float(entry["factor"]), entry["note"], int(entry["refused_bytes"]), entry["refused"])


@cache
def platform_name(target: str, variant: Variant) -> str:
    """uv's name of the system that a routine runs on: the service's own, or that of the image."""
    document = _document(target) if variant == "routine" else resources.read_document("container", "platform.yaml")
    return str(document["platform"]["name"])


def _document(target: str) -> dict[str, Any]:
    document = resources.read_document(target, "preinstalled.yaml")
    assert isinstance(document, dict)
    return document
