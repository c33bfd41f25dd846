"""Where a finding is, for tools that show it beside a file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_PLACE = re.compile(r"(?P<path>.+?)(?::(?P<line>[1-9][0-9]{0,8})|: .+)?", re.DOTALL)


class Place(NamedTuple):
    """A file, with forward slashes, relative to the current folder where it is below that; a line (from 1) if one is known."""

    path: str
    line: int | None


def place_of(where: str, folders: Sequence[Path]) -> Place | None:
    """The file that a finding's ``where`` names (``predictor.py:12``, ``routine.yaml: labels``), in the first of the folders
    that has it; ``None`` where it names none."""
    match = _PLACE.fullmatch(where)
    if match is None or "\0" in where:
        return None
    for folder in folders:
        path = folder / match["path"]
        if path.is_file():
            return Place(_relative(path), None if match["line"] is None else int(match["line"]))
    return None


def _relative(path: Path) -> str:
    found = os.path.relpath(path.resolve(), Path.cwd().resolve())
    return path.resolve().as_posix() if found.startswith("..") else Path(found).as_posix()
