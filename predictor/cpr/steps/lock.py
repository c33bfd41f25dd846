"""Lock: the requirements of a bundle, with versions and hashes, as the target would install them."""

from __future__ import annotations

from cpr.bundle import Bundle
from cpr.errors import BundleError
from cpr.locking import Lock, wanted
from cpr.locking import lock as lock_requirements
from cpr.machines import python_on, read_target
from cpr.report import Report


def lock(bundle: Bundle, target: str = "ai-platform", machine_type: str | None = None) -> Lock:
    """The locked requirements for a target and a machine type (default: the target's). Asks the package index, through uv.

    ``TargetError`` for an unknown target, machine type or runtime; ``RequirementsError`` (``NoSolution``, ``NoWheel``,
    ``IndexUnreachable``) where there is no lock, ``MissingExtra`` where there is no uv.
    """
    aim = read_target(target)
    machine = aim.machine(machine_type)
    manifest = bundle.manifest
    runtime = aim.runtime(manifest.runtime_version) if machine.variant == "routine" else None
    python = python_on(runtime, manifest.python)
    what = wanted(manifest, aim, machine, runtime, python, _report(bundle, target))
    return lock_requirements(what.requirements, python=what.python, platform=what.platform)


def _report(bundle: Bundle, target: str) -> Report | None:
    """The record of the validation, where it is one of this bundle for this target: it tells which Python was proved."""
    try:
        report = bundle.report()
    except BundleError:
        return None
    return report if report is not None and report.target == target else None
