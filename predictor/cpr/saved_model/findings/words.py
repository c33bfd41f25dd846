"""Names and shapes as a sentence tells them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cpr.saved_model.checkpoint import short_name

_SHOWN = 3


def listed(names: Collection[str]) -> str:
    """The first few, and how many more there are; names of variables without the end that all of them have."""
    shown = ", ".join(map(short_name, list(names)[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown


def them(names: Collection[str]) -> str:
    return "it" if len(names) == 1 else "them"


def shape_text(shape: Sequence[int | None] | None) -> str:
    """``[?, 4]``, ``[]`` for a scalar, ``[…]`` for an unknown rank."""
    if shape is None:
        return "[…]"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
