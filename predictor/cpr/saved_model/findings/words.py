"""Names as a sentence tells them."""

from __future__ import annotations

from collections.abc import Collection

_SHOWN = 3
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def listed(names: Collection[str]) -> str:
    """The first few, and how many more there are; keys of a checkpoint without the end that all of them have."""
    shown = ", ".join(map(short, list(names)[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown


def short(name: str) -> str:
    return name.removesuffix(_VALUE)


def them(names: Collection[str]) -> str:
    return "it" if len(names) == 1 else "them"
