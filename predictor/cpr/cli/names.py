"""Text that a terminal can show, from whatever others wrote."""

from __future__ import annotations


def printable(text: str) -> str:
    """Names come from models, buckets and file systems: a terminal must not obey them, and not every file name is Unicode."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def printable_lines(text: str) -> str:
    """The same for a message of several lines, whose ends stay."""
    return "\n".join(map(printable, text.split("\n")))
