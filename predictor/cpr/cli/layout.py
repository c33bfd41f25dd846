"""Text for a person's eyes: bars, trees, lines that fit the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cpr.cli.console import size_text
from cpr.cli.names import printable

_EIGHTHS = "▏▎▍▌▋▊▉█"
_SIMPLE = str.maketrans(
    {**dict.fromkeys(_EIGHTHS, "#"), "├": "|", "└": "`", "│": "|", "─": "-", "→": "->", "…": "...", "≥": ">=", "≤": "<="}
)
"""For terminals that cannot show the characters on the left."""

_PIPED, _NARROWEST, _WIDEST = 100, 60, 160


def width_of_output() -> int | None:
    """The columns of the terminal that standard output is, within reason; ``None`` where it is a file or a pipe."""
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return None
    return min(max(columns, _NARROWEST), _WIDEST)


def layout_width(width: int | None) -> int:
    """The width to lay tables out for, where the output has none of its own."""
    return _PIPED if width is None else width


def displayable(text: str) -> str:
    """The text without box-drawing and arrows where standard output's encoding has none."""
    try:
        "█├→≥".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return text.translate(_SIMPLE)
    return text


def bar(size: int, largest: int, width: int) -> str:
    """``size`` as a part of ``largest``, in steps of an eighth of a column; anything that is there has at least one."""
    eighths = max(1, round(8 * width * size / largest)) if size > 0 else 0
    full, rest = divmod(eighths, 8)
    return (_EIGHTHS[-1] * full + (_EIGHTHS[rest - 1] if rest else "")).ljust(width)


def kept(text: str) -> str:
    """The text as one word for :func:`wrapped`."""
    return text.replace(" ", "\0")


def wrapped(text: str, width: int | None, indent: str = "") -> Iterator[str]:
    """Lines of words, each at most ``width`` columns where its words allow that; all on one line without a width."""
    line = ""
    for word in text.split(" "):
        if line and width is not None and len(indent) + len(line) + 1 + len(word) > width:
            yield (indent + line).replace("\0", " ")
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield (indent + line).replace("\0", " ")


def hanging(text: str, width: int | None, indent: str) -> Iterator[str]:
    """The text in lines of which all but the first stand further in."""
    further = indent + ("     " if indent else "  ")
    first, *rest = wrapped(printable(text), None if width is None else width - len(further))
    yield indent + first
    yield from (further + line for line in rest)


def shortened(text: str, width: int) -> str:
    """The text, its middle left out where it is longer than ``width``: the ends of names and paths tell the most."""
    if len(text) <= width:
        return text
    tail = max((width - 1) * 2 // 3, 1)
    return f"{text[: max(width - 1 - tail, 1)]}…{text[-tail:]}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a size in bytes, whether it has a bar, and what it is about."""

    size: int
    text: str
    bar: bool = True


def table(rows: Iterable[Row], width: int | None) -> Iterator[str]:
    """Sizes, bars and texts below each other; the texts are cut to fit a terminal, and whole without one."""
    lines = list(rows)
    cells = layout_width(width) // 8
    largest = max((row.size for row in lines if row.bar), default=0) or 1
    for row in lines:
        drawn = bar(row.size, largest, cells) if row.bar else " " * cells
        head = f"  {size_text(row.size):>8}  {drawn}  "
        text = row.text if width is None else shortened(row.text, max(width - len(head), 20))
        yield (head + text).rstrip()


@dataclass(slots=True)
class _Entry:
    """A file, or a folder with the sum of its files: ``files`` are there, and ``shown`` of them have a line."""

    size: int = 0
    files: int = 0
    shown: int = 0
    entries: dict[str, _Entry] | None = None

    def add(self, size: int, shown: bool) -> None:
        self.size, self.files, self.shown = self.size + size, self.files + 1, self.shown + shown


def file_tree(files: Iterable[tuple[str, int]], top: str, most: int) -> Iterator[Row]:
    """The files as a tree, each folder with its sum, the largest first; of more than ``most`` files the smallest are folded."""
    all_files = list(files)
    largest = set(sorted(all_files, key=lambda file: (-file[1], file[0]))[:most])
    root = _Entry(entries={})
    for file in all_files:
        _put(root, file[0].split("/"), file[1], file in largest)
    yield Row(root.size, top, bar=False)
    yield from _branches(root, "")


def _put(root: _Entry, parts: list[str], size: int, shown: bool) -> None:
    entry = root
    for part in parts:
        entry.add(size, shown)
        if entry.entries is None:
            entry.entries = {}
        entry = entry.entries.setdefault(part, _Entry())
    entry.add(size, shown)


def _branches(folder: _Entry, indent: str) -> Iterator[Row]:
    entries = sorted((folder.entries or {}).items(), key=lambda entry: (-entry[1].size, entry[0]))
    hidden = [entry for _, entry in entries if not entry.shown]
    if len(hidden) == 1 and hidden[0].entries is None:
        hidden = []  # a line that says so would not be shorter
    shown = [(name, entry) for name, entry in entries if entry.shown or not hidden]
    for position, (name, entry) in enumerate(shown):
        last = position == len(shown) - 1 and not hidden
        branch = indent + ("└─ " if last else "├─ ")
        while entry.entries is not None and len(entry.entries) == 1:
            (inner, only), *_ = entry.entries.items()
            name, entry = f"{name}/{inner}", only
        if entry.entries is None:
            yield Row(entry.size, branch + printable(name))
        else:
            yield Row(entry.size, f"{branch}{printable(name)}/", bar=False)
            yield from _branches(entry, indent + ("   " if last else "│  "))
    if hidden:
        count = sum(entry.files for entry in hidden)
        yield Row(sum(entry.size for entry in hidden), f"{indent}└─ … {count} smaller file{'' if count == 1 else 's'}")
