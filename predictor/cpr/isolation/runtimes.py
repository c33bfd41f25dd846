"""The grade ``runtime``: the target runtime's own Python and TensorFlow, and in front of them what the service would install.

The service installs a routine's requirements into a folder, without looking at what its runtime has. So there are two
environments: the runtime's, which all routines share, and one with the requirements, behind which the first shows through.
"""

from __future__ import annotations

from cpr.errors import NoWheel, TargetError
from cpr.isolation.making import Made, Say, environment
from cpr.isolation.pythons import Python, find_python, this_python
from cpr.isolation.venv import Venv, declared, made_of
from cpr.locking.kept import kept_lock
from cpr.machines import Runtime, Target
from cpr.manifest import Manifest
from cpr.preinstalled import preinstalled
from cpr.sdist import install_requires

GRADE = "runtime"


def target_runtime(manifest: Manifest, target: Target, runtime: Runtime | None, python: str | None, say: Say) -> Venv:
    """What the target runs the routine on; for a container its declared Python. ``TargetError`` where that is not to be found
    here, or where the runtime's TensorFlow no longer installs."""
    if runtime is None:
        found = this_python() if python is None else find_python(python)
        return Venv(made_of(declared(manifest), found, say), GRADE)
    found = find_python(python or runtime.python)
    below = _runtime(target, runtime, found, say)
    requirements = install_requires(manifest.requirements)
    if not requirements:
        return Venv(below, GRADE)
    say(f"Locking {len(requirements)} requirements for Python {found.version}")
    locked = kept_lock(requirements, python=found.version, interpreter=found.path)
    return Venv(environment(found, locked, say, below), GRADE)


def _runtime(target: Target, runtime: Runtime, python: Python, say: Say) -> Made:
    """TensorFlow, and what the runtime is known to bring with it."""
    known = preinstalled(target.name, runtime)
    brought = (f"{name}=={version}" for name, version in sorted(known.versions.items()))
    try:
        return made_of((f"tensorflow=={runtime.tensorflow}.*", *known.install, *brought), python, say, known.sources)
    except NoWheel as error:
        raise TargetError(
            f"Runtime {runtime.version} cannot be made here without compiling a part of it: {error.message}",
            "Rehearse on a runtime near it, or with `--isolation process`.",
            "--isolation",
        ) from None
