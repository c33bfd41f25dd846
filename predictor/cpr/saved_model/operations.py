"""What is known of TensorFlow's operations: which release has which, where they run, and what they are for.

The tables are data in ``deploy/tensorflow``; each file tells its source, and ``tools/README.md`` how they are made. Nothing is
read before the first question.

A release is the first two numbers of a version: ``2.11`` for every 2.11.x. One that is newer than the tables is taken for the
newest of them, an older one for the oldest. Every release has the operations whose name begins with ``_``: they are internal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from cpr.errors import CprError, UsageError

_HEADINGS = ("#", "release", "asked", "wheel")


class Needs(NamedTuple):
    """Which releases have all of some operations.

    ``release`` is the lowest, ``until`` the last where some are gone since; both are ``None`` where no release has all.
    ``ops`` are those that decide the lowest: none where the oldest release has everything, and those that exclude one
    another where no release has all. ``unknown`` are the operations that no release has; they count for nothing else.
    """

    release: str | None
    until: str | None
    ops: tuple[str, ...]
    unknown: tuple[str, ...]


class GraphVersions(NamedTuple):
    """The version of the graphs that a release makes, and the lowest ones that a reader and a writer of them must have."""

    producer: int
    min_consumer: int
    min_producer: int


def releases() -> tuple[str, ...]:
    """The releases that the tables tell of, oldest first."""
    return tuple(_graph_versions())


def introduced(op: str) -> str | None:
    """The lowest release that has an operation, ``None`` where none has; the oldest release stands for "or before"."""
    found = _having(op)
    return releases()[(found & -found).bit_length() - 1] if found else None


def last(op: str) -> str | None:
    """The last release that had an operation; ``None`` for one that the newest still has, and for an unknown one."""
    found = _having(op)
    newest = len(releases()) - 1
    return None if not found or found >> newest else releases()[found.bit_length() - 1]


def known(op: str, release: str) -> bool:
    """Whether a release has an operation; also true of a few internal ones and releases that cannot be asked."""
    return bool((_having(op) | _perhaps(op)) >> _position(release) & 1)


def lowest(ops: Iterable[str]) -> Needs:
    """The lowest release that has all of the operations that any release has."""
    having = {op: _having(op) for op in ops}
    unknown = sorted(op for op, found in having.items() if not found)
    everywhere = (1 << len(releases())) - 1
    common = everywhere
    for found in having.values():
        common &= found or everywhere
    if not common:
        return Needs(
            None, None, tuple(sorted(_excluding({op: found for op, found in having.items() if found}))), tuple(unknown)
        )
    first = (common & -common).bit_length() - 1
    deciding = sorted(op for op, found in having.items() if first and found and not found >> (first - 1) & 1)
    until = None if common >> (len(releases()) - 1) else releases()[common.bit_length() - 1]
    return Needs(releases()[first], until, tuple(deciding), tuple(unknown))


def _excluding(having: dict[str, int]) -> Iterator[str]:
    """The operations that came last, and those that were gone by then."""
    latest = max(found & -found for found in having.values())
    for op, found in having.items():
        if found & -found == latest or found < latest:
            yield op


def kernels_gone(op: str, release: str) -> bool | None:
    """Whether a release has an operation that it cannot run on a CPU; ``None`` where that is not known."""
    at = _position(release)
    if not _asked("kernels.txt") >> at & 1 or not _having(op) >> at & 1 or op.startswith("_"):
        return None
    return bool(_mask("kernels.txt", op) >> at & 1)


def last_kernel(op: str) -> str | None:
    """The last release that could run an operation on a CPU; ``None`` where the newest can, and where none is known to."""
    ran = _having(op) & _asked("kernels.txt") & ~_mask("kernels.txt", op)
    return None if not ran or ran >> (len(releases()) - 1) else releases()[ran.bit_length() - 1]


def package_of(op: str) -> str | None:
    """The package that has a custom operation, ``a or b`` where two do; ``None`` where none is known, or TensorFlow has it.

    What an unknown operation's namespace tells is told, too: ``Addons>New`` is of the package that has all other ``Addons>``.
    """
    packages = _packages(_rows("libraries.txt").get(op, ""))
    if not packages and ">" in op and not _having(op):
        packages = _namespaces().get(op.partition(">")[0], ())
    return " or ".join(packages) or None


def graph_versions(release: str) -> GraphVersions:
    return _graph_versions()[releases()[_position(release)]]


def dangerous(op: str) -> str | None:
    """What an operation does to the machine that it runs on, beyond computing; ``None`` for most."""
    return _kinds()["dangerous"].get(op)


def training(op: str) -> str | None:
    """``reader``, ``queue``, ``iterator``, ``optimizer``, ``loss`` or ``gradient``: a part of training; ``None`` for most."""
    return _kinds()["training"].get(op)


# -- the tables


@cache
def _table(file: str) -> tuple[list[list[str]], dict[str, str]]:
    """The words of each heading, and what follows each operation, of a table made by ``tools/tensorflow_operations.py``."""
    lines = _lines(file)
    start = next(at for at, line in enumerate(lines) if line.partition(" ")[0] not in _HEADINGS)
    heads = [line.split(" ") for line in lines[:start] if line[0] != "#"]
    try:
        rows = dict([line.split(" ", 1) for line in lines[start:-2]])
    except ValueError:
        raise _damaged(file) from None
    if lines[-2] != f"end {len(rows)}":
        raise _damaged(file)
    return heads, rows


def _rows(file: str) -> dict[str, str]:
    return _table(file)[1]


def _lines(file: str) -> list[str]:
    """Of a whole file: the last line is empty, and the one before tells the number of entries, which the caller compares."""
    data: Any = import_module("cpr._deploy")
    try:  # the loader is asked: to import `importlib.resources` would take longer than all the rest
        text = data.__spec__.loader.get_data(f"{data.__path__[0]}/tensorflow/{file}").decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise _damaged(file) from None
    lines: list[str] = text.split("\n")
    if len(lines) < 3 or lines[-1] != "":
        raise _damaged(file)
    return lines


def _damaged(file: str) -> CprError:
    return CprError(
        f"cpr's own table of TensorFlow's operations, {file}, is missing or damaged.",
        "pip install --force-reinstall --no-deps cpr-kit",
        f"deploy/tensorflow/{file}",
    )


@cache
def _graph_versions() -> dict[str, GraphVersions]:
    try:
        found = {head[1]: GraphVersions(*map(int, head[2:5])) for head in _table("operations.txt")[0] if head[0] == "release"}
    except (ValueError, IndexError, TypeError):
        raise _damaged("operations.txt") from None
    if not found:
        raise _damaged("operations.txt")
    return found


@cache
def _positions() -> dict[str, int]:
    return {release: at for at, release in enumerate(releases())}


def _position(release: str) -> int:
    """Where a release stands among those of the tables."""
    short = ".".join(release.split(".")[:2])
    at = _positions().get(short)
    if at is not None:
        return at
    try:
        major, minor = map(int, short.split("."))
    except ValueError:
        raise UsageError(f"{release!r} is not a release of TensorFlow.", "Give one such as 2.11.") from None
    older = [at for name, at in _positions().items() if tuple(map(int, name.split("."))) < (major, minor)]
    return max(older, default=0)


def _having(op: str) -> int:
    """The releases that have an operation, as a bit for each."""
    if op.startswith("_"):
        return (1 << len(releases())) - 1
    return _mask("operations.txt", op) | _mask("unwrapped.txt", op)


def _perhaps(op: str) -> int:
    """The releases that may have an operation without a wrapper: they cannot be asked, and the first one that can has it."""
    asked = _asked("unwrapped.txt")
    first = asked & -asked
    return first - 1 if _mask("unwrapped.txt", op) & first else 0


@cache
def _asked(file: str) -> int:
    """The releases that a table could be made for."""
    for head in _table(file)[0]:
        if head[0] == "asked":
            return _bits(head[1], file)
    raise _damaged(file)


def _mask(file: str, op: str) -> int:
    row = _rows(file).get(op)
    return 0 if row is None else _bits(row, file)


def _bits(spans: str, file: str) -> int:
    """``2.1-2.3,2.6-``, a bit for each release."""
    positions = _positions()
    found = 0
    try:
        for span in spans.split(","):
            first, dash, end = span.partition("-")
            stop = positions[end] if end else (len(positions) - 1 if dash else positions[first])
            found |= (1 << stop + 1) - (1 << positions[first])
    except KeyError:
        raise _damaged(file) from None
    return found


def _packages(row: str) -> tuple[str, ...]:
    """A package and its versions, and so on."""
    return tuple(row.split(" ")[::2]) if row else ()


@cache
def _namespaces() -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for op, row in _rows("libraries.txt").items():
        if ">" in op:
            found.setdefault(op.partition(">")[0], set()).update(_packages(row))
    return {space: tuple(sorted(packages)) for space, packages in found.items()}


@cache
def _kinds() -> dict[str, dict[str, str]]:
    """``kinds.txt``: ``dangerous`` or ``training`` and what is said of the operations in the indented lines below."""
    found: dict[str, dict[str, str]] = {"dangerous": {}, "training": {}}
    table, said = "", ""
    lines = _lines("kinds.txt")
    for line in lines[:-2]:
        if line.startswith("  ") and table:
            found[table].update(dict.fromkeys(line.split(), said))
        elif not line.startswith("#"):
            table, _, said = line.partition(" ")
            if table not in found or not said:
                raise _damaged("kinds.txt")
    if lines[-2] != f"end {sum(map(len, found.values()))}":
        raise _damaged("kinds.txt")
    return found
