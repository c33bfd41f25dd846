"""A report as an SVG: bars of what a model cost before and costs now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _BAR, _GAP, _TOP = 720, 190, 16, 22, 56
_BEFORE, _AFTER = "#9aa5b1", "#1f7a4d"
_ROOM = 130


class Pair(NamedTuple):
    """One figure, before and after; ``unit`` stands behind both."""

    name: str
    before: float
    after: float
    unit: str


def chart(title: str, pairs: Sequence[Pair]) -> str:
    """The SVG. Each figure has a scale of its own, whose longest bar is the larger of the two."""
    step = 2 * _BAR + _GAP
    height = _TOP + step * len(pairs) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" font-family="sans-serif" font-size="13" fill="#1d2630">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="16">{escape(title)}</text>',
        f'<rect x="{_LEFT}" y="34" width="10" height="10" fill="{_BEFORE}"/><text x="{_LEFT + 16}" y="43">before</text>',
        f'<rect x="{_LEFT + 80}" y="34" width="10" height="10" fill="{_AFTER}"/><text x="{_LEFT + 96}" y="43">after</text>',
    ]
    for number, pair in enumerate(pairs):
        top = _TOP + step * number
        largest = max(pair.before, pair.after) or 1.0
        lines.append(f'<text x="{_LEFT - 12}" y="{top + _BAR + 5}" text-anchor="end">{escape(pair.name)}</text>')
        for row, (value, colour) in enumerate(((pair.before, _BEFORE), (pair.after, _AFTER))):
            width = max(1.0, (_WIDTH - _LEFT - _ROOM) * value / largest)
            y = top + row * _BAR
            lines.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{colour}"/>')
            words = escape(f"{value:,.3g} {pair.unit}" if value < 1000 else f"{value:,.0f} {pair.unit}")
            lines.append(f'<text x="{_LEFT + width + 6:.1f}" y="{y + 12}">{words}</text>')
    return "\n".join([*lines, "</svg>", ""])
