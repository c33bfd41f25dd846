"""Pythons with a TensorFlow that the tests' own Python cannot have, as old runtimes had it: found, or made once and kept."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_NEEDS = {
    "1.15.5": (("3.7",), ["protobuf<3.21", "numpy<1.22"]),
    "2.11.0": (("3.7",), ["protobuf<3.20", "pillow"]),  # AI Platform's last runtime
    "2.15.1": (("3.11", "3.10", "3.9"), []),
}
"""By release: the Pythons that have it, the first that is here is taken, and what to install with it."""


def python_with(tensorflow: str) -> str:
    """An interpreter with this release, or a skip with the reason.

    ``CPR_TEST_TENSORFLOW_2_11_0`` names one. Otherwise a virtual environment is made in the user's cache, with a Python of
    pyenv or the one that runs the tests; that takes about a minute, once.
    """
    variable = "CPR_TEST_TENSORFLOW_" + tensorflow.replace(".", "_")
    named = os.environ.get(variable)
    if named:
        return named
    versions, packages = _NEEDS[tensorflow]
    base = _base(versions)
    if base is None:
        pytest.skip(f"no Python {versions[0]}: set {variable} to one with TensorFlow {tensorflow}, or install it with pyenv")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cpr-tests"
    home.mkdir(parents=True, exist_ok=True)
    place = home / f"tensorflow-{tensorflow}"
    with open(home / f"{place.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes, or two checkouts
        if not (place / "complete").exists():
            _make(base, place, [f"tensorflow=={tensorflow}", *packages])
    return str(place / "bin" / "python")


def clean_environment() -> dict[str, str]:
    """The environment without what TensorFlow 2 sets for itself (``TF2_BEHAVIOR``), which makes a 1.15 below it another one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TF", "KERAS"))}


def _base(versions: tuple[str, ...]) -> str | None:
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in versions:
        if version == running:
            return sys.executable
        found = sorted(_pyenv_root().glob(f"versions/{version}.*/bin/python"))
        if found:
            return str(found[-1])
    return None


def _pyenv_root() -> Path:
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return Path("/nowhere")
    return Path(subprocess.run([pyenv, "root"], capture_output=True, text=True, timeout=30).stdout.strip())


def _make(base: str, place: Path, packages: list[str]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    steps = ([base, "-m", "venv", str(place)], [str(place / "bin" / "pip"), "install", "-q", "--retries", "1", *packages])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=900, env=environment)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
            pytest.skip(f"no Python with {packages[0]}: {errors[-1] if errors else 'pip failed'}")
    (place / "complete").touch()
