"""What a fault is, and the small tools that plant one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Plant = Callable[[Path], object]
"""Alters a routine's folder."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its name, the healthy routine it is planted into, where, and how.

    It is caught where an error or a warning comes from a check that ``fits`` it (patterns of ids), or where the build or the
    opening of the bundle refuses it in words. ``after`` alters the bundle that was built. ``fast``: the test of the page runs it.
    """

    name: str
    base: str
    where: str
    plant: Plant
    fits: tuple[str, ...]
    after: Plant | None = None
    machine: str | None = None
    timeout: float = 120
    fast: bool = False
    why_missed: str = ""


def together(*plants: Plant) -> Plant:
    def plant(folder: Path) -> None:
        for each in plants:
            each(folder)

    return plant


def nothing(_: Path) -> None:
    """For a fault that comes after the build."""


def edits(path: str, *pairs: tuple[str, str]) -> Plant:
    """Replace texts that must be there: a fault that was not planted proves nothing."""

    def plant(folder: Path) -> None:
        text = (folder / path).read_bytes().decode("utf-8")
        for old, new in pairs:
            if old not in text:
                raise ValueError(f"{path} has no {old!r}")
            text = text.replace(old, new)
        (folder / path).write_bytes(text.encode("utf-8"))

    return plant


def writes(path: str, content: str | bytes) -> Plant:
    def plant(folder: Path) -> None:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)

    return plant


def drops(path: str) -> Plant:
    return lambda folder: (folder / path).unlink()


def cuts(path: str, keep: float) -> Plant:
    """Leave only the first part of a file."""

    def plant(folder: Path) -> None:
        data = (folder / path).read_bytes()
        (folder / path).write_bytes(data[: int(len(data) * keep)])

    return plant


def flips(path: str, place: float = 0.5) -> Plant:
    """Change one bit of one byte."""

    def plant(folder: Path) -> None:
        data = bytearray((folder / path).read_bytes())
        data[int(len(data) * place)] ^= 1
        (folder / path).write_bytes(data)

    return plant


def declares(*lines: str) -> Plant:
    """More lines of routine.yaml, each in place of one with the same key."""

    def plant(folder: Path) -> None:
        keys = tuple(line.partition(":")[0] + ":" for line in lines)
        kept = [row for row in (folder / "routine.yaml").read_text("utf-8").splitlines() if not row.startswith(keys)]
        (folder / "routine.yaml").write_text("\n".join([*kept, *lines]) + "\n", "utf-8")

    return plant


def forgets_expectations(folder: Path) -> None:
    """As of an author who gives requests alone."""
    path = folder / "examples.jsonl"
    rows = [json.loads(row) for row in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "expect"}) + "\n" for row in rows), "utf-8")


def asks(*requests: object) -> Plant:
    """Other examples in place of the routine's."""
    return writes("examples.jsonl", "".join(json.dumps(request) + "\n" for request in requests))
