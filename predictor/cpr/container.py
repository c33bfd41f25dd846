"""What goes into the image that serves a routine: its Python, and the packages it is proved with."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from cpr.errors import BundleError
from cpr.kit import DISTRIBUTION
from cpr.manifest import VALIDATION_NAME, Manifest
from cpr.report import Report

_PYTHON = re.compile(r"\d+\.\d+(\.\d+)?")
_SAVED_MODEL = re.compile(r".*/saved_model\.(pb|pbtxt)")
TENSORFLOWS = {"tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos"}


@dataclass(frozen=True, slots=True)
class Base:
    """The Python of an image (``3.11`` or ``3.11.7``), the text of its requirements.txt, and what the user should know."""

    python: str
    requirements: str
    notes: tuple[str, ...]


def base(manifest: Manifest, report: Report | None) -> Base:
    """Python and requirements of the image: what the bundle was validated with, else what its author declared.

    ``BundleError`` where the validation record does not hold what it should: its text ends up in a file that pip reads.
    """
    python, notes = _python(manifest, report)
    lines, more = _requirements(manifest, report)
    return Base(python, "".join(f"{line}\n" for line in lines), (*notes, *more))


def _python(manifest: Manifest, report: Report | None) -> tuple[str, tuple[str, ...]]:
    proved = _proved_python(report)
    declared = manifest.python
    if declared is None or (proved is not None and f"{proved}.".startswith(f"{declared}.")):
        if proved is not None:
            return proved, ()
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        return here, (f"No Python is declared and none was validated with: the image has this one's version, {here}.",)
    fallback = proved or f"{sys.version_info.major}.{sys.version_info.minor}"
    if declared not in _supported():
        return fallback, (
            f"The routine declares Python {declared}, on which cpr cannot serve it (it needs {_supported()}): "
            f"the image has {fallback}.",
        )
    if proved is None:
        return declared, ()
    return declared, (f"The image has Python {declared}, as declared; the bundle was validated on {proved}.",)


def _proved_python(report: Report | None) -> str | None:
    if report is None or "python" not in report.environment:
        return None
    found = report.environment["python"]
    if not isinstance(found, str) or not _PYTHON.fullmatch(found):
        raise _damaged(f"its Python is {found!r}")
    return found if found in _supported() else None


def _supported() -> SpecifierSet:
    """The Pythons that cpr itself runs on: its own metadata."""
    return SpecifierSet(metadata.metadata(DISTRIBUTION)["Requires-Python"] or "")


def _requirements(manifest: Manifest, report: Report | None) -> tuple[list[str], tuple[str, ...]]:
    if report is not None and "packages" in report.environment:
        return _with_tensorflow(_locked(report.environment["packages"]), (), manifest)
    note = (
        "There is no record of the versions that the bundle was validated with: requirements.txt holds what routine.yaml "
        "declares, so a later build may get other versions. Run `cpr validate` first to pin them."
    )
    return _with_tensorflow([str(_parsed(text)) for text in manifest.requirements], (note,), manifest)


def _locked(packages: object) -> list[str]:
    if not isinstance(packages, dict):
        raise _damaged("its packages are not a mapping")
    lines = []
    for name, version in packages.items():
        try:
            pinned = Requirement(f"{name}=={Version(version)}")
        except (InvalidRequirement, InvalidVersion, TypeError):
            raise _damaged(f"{name!r}: {version!r} is not a package and its version") from None
        if canonicalize_name(pinned.name) != canonicalize_name(DISTRIBUTION):  # its wheel lies in the context
            lines.append(str(pinned))
    return sorted(lines, key=str.lower)


def needs_tensorflow(manifest: Manifest) -> bool:
    """Whether an image of the routine gets TensorFlow even where no requirement names it."""
    return manifest.tensorflow is not None or any(_SAVED_MODEL.fullmatch(entry.path) for entry in manifest.model_files)


def _with_tensorflow(lines: list[str], notes: tuple[str, ...], manifest: Manifest) -> tuple[list[str], tuple[str, ...]]:
    """AI Platform's runtimes bring TensorFlow, so an author need not have named it; an image has what is named and no more."""
    named = {canonicalize_name(Requirement(line).name) for line in lines}
    if named & TENSORFLOWS or not needs_tensorflow(manifest):
        return lines, notes
    if manifest.tensorflow is None:
        return [*lines, "tensorflow"], (*notes, "No TensorFlow version is declared or recorded: the image gets the newest.")
    version = Version(manifest.tensorflow)
    # `2.15` means any patch of it; what names a pre-release or a local build names one file.
    exact = version.is_prerelease or version.is_postrelease or version.local is not None
    return [*lines, str(_parsed(f"tensorflow=={version}{'' if exact else '.*'}"))], notes


def _parsed(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise BundleError(
            f"The requirement {text!r} of the bundle is not one that pip can read.",
            "Mend `requirements` in routine.yaml and build the bundle anew.",
            "manifest.json",
        ) from None


def _damaged(reason: str) -> BundleError:
    return BundleError(
        f"The validation record cannot be used: {reason}.", "Run `cpr validate` on the bundle again.", VALIDATION_NAME
    )
