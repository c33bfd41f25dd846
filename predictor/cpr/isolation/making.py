"""Environments that are kept: made once from a lock, in the user's cache, and found again under what they are made of.

An environment is made beside its place and renamed when it is whole; a file in it says so. Two that make the same at once wait
for each other where the system can lock files, and elsewhere the first to rename wins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cpr.caches import cache_folder
from cpr.errors import IndexUnreachable, OutputError, RequirementsError
from cpr.isolation.pythons import Python
from cpr.locking.lock import Lock
from cpr.locking.refusals import refusal
from cpr.locking.uv import run_uv

TOOLS = ("pip", "setuptools", "wheel")
"""What installs the routine into the rehearsal's folder; the lock of an environment holds it too."""

_WHOLE = "cpr-environment.json"
_TIMEOUT = 3600.0  # seconds; TensorFlow is 600 MB
_BELOW = "import site; site.addsitedir({!r})\n"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A kept environment: its folder, the interpreter in it, where its packages are, and what was installed."""

    folder: Path
    python: str
    packages: str
    versions: dict[str, str]


def environment(python: Python, lock: Lock, say: Say, below: Made | None = None) -> Made:
    """The environment of ``python`` with what ``lock`` names: the kept one, or a new one, which takes minutes for TensorFlow.

    ``below`` is another, of the same Python, whose packages show through where ``lock`` has none of the name, as a runtime's do
    behind what is installed for a routine.
    """
    place = cache_folder("environments") / _digest(python, lock, below)
    with _alone(place):
        if not (place / _WHOLE).is_file() or not Path(_interpreter(place)).exists():
            _make(place, python, lock, say, below)
    return _made(place, lock, below)


def _digest(python: Python, lock: Lock, below: Made | None) -> str:
    parts = [os.path.realpath(python.path), python.version, lock.to_text(), "" if below is None else str(below.folder)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _make(place: Path, python: Python, lock: Lock, say: Say, below: Made | None) -> None:
    say(f"Making an environment of Python {python.version} with {len(lock.packages)} packages; it is kept in {place}")
    beside = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        _uv("venv", "--no-project", "--relocatable", "--python", python.path, str(beside))
        if lock.packages:
            _install(beside, lock)
        if below is not None:
            (_packages(beside) / "cpr_below.pth").write_text(_BELOW.format(below.packages), encoding="utf-8")
        record = {"python": python.version, "packages": lock.versions}
        (beside / _WHOLE).write_text(json.dumps(record), encoding="utf-8")
        _put(beside, place)
    except OSError as error:
        raise OutputError(
            f"The environment cannot be made: {error.strerror or error}.",
            "Free some space there, or point XDG_CACHE_HOME elsewhere; TensorFlow takes 2 GB.",
            str(place),
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _install(folder: Path, lock: Lock) -> None:
    locked = folder / "requirements.txt"
    locked.write_text(lock.to_text(), encoding="utf-8")
    options = ["--require-hashes", "--no-deps", "--requirement", str(locked), "--only-binary", ":all:"]
    for package in lock.packages:
        options += ["--no-binary", package.name] if package.is_source else []
    _uv("pip", "install", "--python", _interpreter(folder), *options)


def _uv(*command: str) -> None:
    answer = run_uv([*command, "--quiet"], _TIMEOUT)
    if answer.status == 0:
        return
    error = refusal(answer.errors, "this machine")
    if isinstance(error, IndexUnreachable):
        remedy = "Rehearse once while the index can be reached: the environment is kept, and needs no network afterwards."
        raise IndexUnreachable(f"The environment is not kept yet. {error.message}", remedy)
    raise RequirementsError(
        f"The environment cannot be made: {error.message}", "Rehearse with `--isolation process` meanwhile.", error.where
    )


def _put(beside: Path, place: Path) -> None:
    """Rename into place; what stands there and is not whole goes, and of two that are whole the first stays."""
    if place.exists() and not ((place / _WHOLE).is_file() and Path(_interpreter(place)).exists()):
        shutil.rmtree(place)
    try:
        beside.rename(place)
    except OSError:
        if not (place / _WHOLE).is_file():
            raise


def _made(place: Path, lock: Lock, below: Made | None) -> Made:
    versions = {**({} if below is None else below.versions), **lock.versions}
    return Made(place, _interpreter(place), str(_packages(place)), versions)


def _interpreter(folder: Path) -> str:
    return str(folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python")


def _packages(folder: Path) -> Path:
    if sys.platform == "win32":
        return folder / "Lib" / "site-packages"
    found = sorted(folder.glob("lib/python3.*/site-packages"))
    if not found:
        raise OSError("it has no folder for packages")
    return found[0]


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Only one process at a time, where files can be locked; the lock goes with the process that holds it."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(place.with_name(f".{place.name}.lock"), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
