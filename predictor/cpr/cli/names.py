"""Names that a terminal can show."""

from __future__ import annotations


def printable(text: str) -> str:
    """Names come from models, buckets and file systems: a terminal must not obey them, and not every file name is Unicode."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
