"""Two answers of one routine to the same instance, compared in the child of a rehearsal.

Loaded by path beside :mod:`probe`; runs on the target's Python, from 3.7 on, with the standard library alone. An answer that
was computed in another batch may differ by the rounding of its floats, and in nothing else. :mod:`cpr.examples`, which compares
an answer with its expectation, is stricter.
"""

import json
import math
from typing import Any, List, Optional, Tuple

RTOL, ATOL = 1e-4, 1e-6
"""The least tolerance: float32 sums in another order differ by about 1e-6 of the largest term, and so by more of the sum."""

_SHARE = 1e-5  # of the largest number beside it: what a difference of large terms leaves is as inexact as they were
_MAX_TEXT = 120  # characters of a value that are told
_DEEPEST = 100

Difference = Tuple[str, str, str]
"""The place in the answer, and what was there first and then."""


def difference(one: Any, other: Any, rtol: float = RTOL, atol: float = ATOL) -> Optional[Difference]:
    """The first place where two JSON values differ by more than rounding; ``None`` where they do not."""
    return _difference(one, other, max(rtol, RTOL), max(atol, ATOL), "", 0)


def _difference(one: Any, other: Any, rtol: float, atol: float, place: str, depth: int) -> Optional[Difference]:
    if _is_number(one) and _is_number(other):
        return None if _close(one, other, rtol, atol) else (place, short(one), short(other))
    if type(one) is not type(other) or depth > _DEEPEST:
        return place, short(one), short(other)
    if isinstance(one, list):
        if len(one) != len(other):
            return place, "{} items".format(len(one)), "{} items".format(len(other))
        atol = max(atol, _SHARE * _largest(one))
        pairs = [("{}[{}]".format(place, index), left, right) for index, (left, right) in enumerate(zip(one, other))]
    elif isinstance(one, dict):
        if set(one) != set(other):
            return place, "keys {}".format(short(sorted(one))), "keys {}".format(short(sorted(other)))
        pairs = [("{}.{}".format(place, key), one[key], other[key]) for key in one]
    else:
        return None if one == other else (place, short(one), short(other))
    for at, left, right in pairs:
        found = _difference(left, right, rtol, atol, at, depth + 1)
        if found is not None:
            return found
    return None


def _close(one: Any, other: Any, rtol: float, atol: float) -> bool:
    if one == other or (one != one and other != other):
        return True
    if isinstance(one, int) and isinstance(other, int):
        return False
    try:
        return math.isfinite(one) and math.isfinite(other) and abs(one - other) <= atol + rtol * max(abs(one), abs(other))
    except OverflowError:
        return False


def _largest(values: List[Any]) -> float:
    """The largest finite float of a list; integers are compared exactly, so they lend no tolerance."""
    return max([abs(value) for value in values if isinstance(value, float) and math.isfinite(value)] or [0.0])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_permutation(expected: List[Any], found: List[Any]) -> bool:
    """Whether ``found`` has the items of ``expected`` in another order, and that cannot be by chance: three that differ from
    each other, or two where floats are among them."""
    distinct = []  # type: List[Any]
    for item in expected:
        if all(difference(item, other) is not None for other in distinct):
            distinct.append(item)
    if len(distinct) != len(expected) or len(distinct) < (2 if _has_float(expected) else 3):
        return False
    left = list(found)
    for item in expected:
        at = next((index for index, other in enumerate(left) if difference(item, other) is None), None)
        if at is None:
            return False
        del left[at]
    return True


def _has_float(value: Any, depth: int = 0) -> bool:
    if depth > _DEEPEST:
        return False
    if isinstance(value, list):
        return any(_has_float(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return any(_has_float(item, depth + 1) for item in value.values())
    return isinstance(value, float) and value != int(value) if _is_finite(value) else False


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def short(value: Any) -> str:
    """A value as a person reads it in a sentence."""
    try:
        text = json.dumps(value)
    except BaseException:
        text = "something that cannot be written"
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."
