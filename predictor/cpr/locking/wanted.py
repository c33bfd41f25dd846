"""What is locked for a target: the requirements that are installed there, on which Python, and on which system."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from cpr.container import base
from cpr.machines import Machine, Runtime, Target
from cpr.manifest import Manifest
from cpr.preinstalled import platform_name
from cpr.report import Report
from cpr.sdist import install_requires

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """``requirements`` to be installed on ``python`` (``3.7`` or ``3.7.16``) and ``platform`` (a name of uv's)."""

    requirements: tuple[str, ...]
    python: str
    platform: str


def wanted(
    manifest: Manifest,
    target: Target,
    machine: Machine,
    runtime: Runtime | None,
    python: str | None,
    report: Report | None = None,
) -> Wanted:
    """What the target installs. Where the service runs the routine, its runtime has TensorFlow and NumPy; an image has nothing.

    ``python`` is what decides on the service; ``report`` tells what an image's Python was proved with.
    """
    platform = platform_name(target.name, machine.variant)
    if machine.variant == "routine" and runtime is not None:
        return Wanted(tuple(install_requires(manifest.requirements)), python or runtime.python, platform)
    made = base(manifest, None)
    declared = tuple(line for line in made.requirements.splitlines() if line)
    return Wanted(declared, base(manifest, report).python, platform)
