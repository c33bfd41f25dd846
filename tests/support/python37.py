"""A real Python 3.7 with TensorFlow 2.11, as AI Platform's last runtime had it: found, or made once and kept."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

TENSORFLOW = "2.11.0"
_PACKAGES = ["tensorflow==" + TENSORFLOW, "protobuf<3.20", "pillow"]


def interpreter() -> str:
    """The interpreter, or a skip with the reason.

    ``CPR_TEST_PYTHON37`` names one that has TensorFlow and Pillow. Otherwise a virtual environment is made in the user's cache,
    with a Python 3.7 of pyenv; that takes about a minute, once.
    """
    named = os.environ.get("CPR_TEST_PYTHON37")
    if named:
        return named
    base = _pyenv37()
    if base is None:
        pytest.skip("no Python 3.7: set CPR_TEST_PYTHON37 to one that has TensorFlow, or install it with pyenv")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cpr-tests"
    home.mkdir(parents=True, exist_ok=True)
    place = home / ("py37-tf" + TENSORFLOW.rpartition(".")[0])
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes, or two checkouts
        if not (place / "complete").exists():
            _make(base, place)
    return str(place / "bin" / "python")


def _pyenv37() -> str | None:
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return None
    root = subprocess.run([pyenv, "root"], capture_output=True, text=True, timeout=30).stdout.strip()
    found = sorted(Path(root).glob("versions/3.7*/bin/python"))
    return str(found[-1]) if found else None


def _make(base: str, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    steps = ([base, "-m", "venv", str(place)], [str(place / "bin" / "pip"), "install", "-q", "--retries", "1", *_PACKAGES])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=900, env=environment)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
            pytest.skip("no Python 3.7 with TensorFlow {}: {}".format(TENSORFLOW, errors[-1] if errors else "pip failed"))
    (place / "complete").touch()
