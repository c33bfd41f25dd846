"""The grades of isolation by name."""

from __future__ import annotations

from cpr.errors import UsageError
from cpr.isolation.environment import THIS_INTERPRETER, UNPROTECTED, Environment
from cpr.isolation.making import Say
from cpr.machines import Runtime, Target
from cpr.manifest import Manifest
from cpr.resources import suggestion

GRADES = ("process", "venv", "runtime", "none")


def environment_of(
    grade: str, manifest: Manifest, target: Target, runtime: Runtime | None, python: str | None, say: Say
) -> Environment:
    """What a rehearsal of that grade runs on; made where it is not kept yet. ``python`` is the target's, where it has one."""
    if grade == "process":
        return THIS_INTERPRETER
    if grade == "venv":
        from cpr.isolation.venv import venv

        return venv(manifest, say)
    if grade == "runtime":
        from cpr.isolation.runtimes import target_runtime

        return target_runtime(manifest, target, runtime, python, say)
    if grade == "none":
        return UNPROTECTED
    raise UsageError(f"There is no grade of isolation {grade!r}.", suggestion(grade, GRADES, "The grades are"), "--isolation")
