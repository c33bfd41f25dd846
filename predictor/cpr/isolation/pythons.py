"""Finding another Python on this machine: this one, pyenv's, uv's, and what is on the path."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import CprError, TargetError

_TIMEOUT = 20.0
_ASK = "import platform, sys; print(platform.python_version()); print(sys.implementation.name); print(sys.executable)"
_LOWEST = (3, 7)  # what the probe runs on


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter and its full version."""

    path: str
    version: str


def find_python(wanted: str) -> Python:
    """A CPython of that version (``3.7`` or ``3.7.16``); a ``TargetError`` says where it was looked for, and how to get it."""
    if tuple(map(int, wanted.split(".")[:2])) < _LOWEST:
        raise TargetError(
            f"A rehearsal needs Python {_LOWEST[0]}.{_LOWEST[1]} or newer; the target runs {wanted}.",
            "Rehearse with `--isolation process`, which says what it does not prove.",
            "--isolation",
        )
    places = []
    for place, candidates in _places(wanted):
        places.append(place)
        for path in candidates:
            version = _version(path)
            if version is not None and f"{version}.".startswith(f"{wanted}."):
                return Python(path, version)
    raise TargetError(
        f"There is no Python {wanted} on this machine. It was looked for in {', '.join(places)}.",
        f"Install one: `pyenv install {wanted}`, or `uv python install {wanted}`; or rehearse with `--isolation process`.",
        "--isolation",
    )


def this_python() -> Python:
    """The interpreter that runs cpr."""
    return Python(sys.executable, platform.python_version())


def _places(wanted: str) -> Iterator[tuple[str, Iterator[str]]]:
    """Each place in words, and the interpreters that may be there, the best first."""
    short = ".".join(wanted.split(".")[:2])
    yield "the one that runs cpr", iter([sys.executable])
    root = _told(["pyenv", "root"]) or os.environ.get("PYENV_ROOT")
    if root:
        yield f"pyenv ({root}/versions)", _below(Path(root, "versions"), f"{short}.*", short)
    else:
        yield "pyenv (not installed)", iter(())
    managed = _told([_uv(), "python", "dir", "--no-config"])
    if managed:
        yield f"uv ({managed})", _below(Path(managed), f"cpython-{short}.*", short)
    else:
        yield "uv (not installed)", iter(())
    yield f"the path (python{short})", _on_path(short)


def _below(folder: Path, pattern: str, short: str) -> Iterator[str]:
    """Interpreters below the versions of a manager, the newest patch first. Shims are of no use: they answer for one only."""
    found = sorted(folder.glob(pattern), key=lambda place: tuple(map(int, re.findall(r"\d+", place.name))), reverse=True)
    for place in found:
        for name in (f"bin/python{short}", "python.exe"):
            if (place / name).is_file():
                yield str(place / name)


def _on_path(short: str) -> Iterator[str]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which(f"python{short}", path=folder) if folder else None
        if found is not None and Path(folder).name != "shims":
            yield found


def _version(path: str) -> str | None:
    """The version of a CPython that runs; of a virtual environment's too."""
    answer = (_told([path, "-I", "-c", _ASK]) or "").splitlines()
    return answer[0] if len(answer) == 3 and answer[1] == "cpython" else None


def _uv() -> str:
    from cpr.locking.uv import find_uv

    try:
        return find_uv()
    except CprError:
        return "uv"


def _told(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
