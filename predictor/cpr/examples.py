"""Golden examples: one request a line, with what it must answer; and the comparison of two answers."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpr.errors import ProjectError

RTOL, ATOL = 1e-5, 1e-6
"""Default tolerance of a comparison of floats: ``|actual - expected| <= atol + rtol * |expected|``. Float32 sums in another
order, as another machine's instruction set makes them, differ by about 1e-6."""

MAX_LINE_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a request must answer: a list of predictions, and the tolerance for its floats."""

    predictions: list[Any]
    rtol: float = RTOL
    atol: float = ATOL


@dataclass(frozen=True, slots=True)
class Example:
    """One line of examples.jsonl: ``request`` is the body exactly as it is POSTed; ``line`` counts from 1."""

    line: int
    request: Mapping[str, Any]
    expect: Expectation | None


def read_examples(path: Path) -> tuple[Example, ...]:
    """Read a file of examples; blank lines are passed over. ``ProjectError`` with file and line for a bad one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProjectError(
            f"The examples cannot be read: {error.strerror}.", "Check the path and its permissions.", str(path)
        ) from None
    return parse_examples(data, str(path))


def parse_examples(data: bytes, name: str) -> tuple[Example, ...]:
    """The examples in the content of a file; ``name`` tells it in a ``ProjectError``."""
    lines = enumerate(data.split(b"\n"), start=1)
    return tuple(_example(text, number, f"{name}:{number}") for number, text in lines if text.strip())


class _Constant(ValueError):
    """NaN or an infinity, which Python's reader would take."""


def _refuse_constant(name: str) -> None:
    raise _Constant(name)


def _example(text: bytes, number: int, where: str) -> Example:
    if len(text) > MAX_LINE_BYTES:
        raise _bad(f"has {len(text)} bytes, and the most is {MAX_LINE_BYTES}", where)
    try:
        body = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise _bad("is not UTF-8 text", where) from None
    except json.JSONDecodeError as error:
        raise _bad(f"is not JSON: {error.msg} at column {error.colno}", where) from None
    except RecursionError:
        raise _bad("is nested too deep", where) from None
    except _Constant as constant:
        raise _bad(f"holds {constant}, which is no JSON", where) from None
    except ValueError:
        raise _bad("holds a number of thousands of digits", where) from None
    if not isinstance(body, dict):
        raise _bad("is not an object", where)
    if not isinstance(body.get("instances"), list):
        raise _bad('has no list "instances"', where)
    expect = body.pop("expect", None)
    return Example(number, body, None if expect is None else _expectation(expect, where))


def _expectation(expect: Any, where: str) -> Expectation:
    if not isinstance(expect, dict) or not isinstance(expect.get("predictions"), list):
        raise _bad('has an "expect" without a list "predictions"', where)
    unknown = set(expect) - {"predictions", "rtol", "atol"}
    if unknown:
        raise _bad(f'has an unknown key {min(unknown)!r} in "expect"', where)
    return Expectation(expect["predictions"], _tolerance(expect, "rtol", RTOL, where), _tolerance(expect, "atol", ATOL, where))


def _tolerance(expect: Mapping[str, Any], key: str, default: float, where: str) -> float:
    value = expect.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= sys.float_info.max:
        raise _bad(f"has a {key} that is not a number of 0 or more", where)
    return float(value)


def _bad(problem: str, where: str) -> ProjectError:
    return ProjectError(
        f"The example {problem}.",
        'Write one request a line: {"instances": [...], "expect": {"predictions": [...]}}.',
        where,
    )


def compare(expected: Any, actual: Any, rtol: float = RTOL, atol: float = ATOL) -> str | None:
    """The first difference between two JSON values with its place: ``[0].score: 0.5, expected 0.6 (off by 0.1)``.

    ``None`` where they are equal. Floats compare within the tolerance, a float and an integer as numbers, all else exactly;
    booleans are not numbers. What is too deep or too large for that counts as different.
    """
    try:
        return _difference(expected, actual, rtol, atol, "")
    except (RecursionError, OverflowError, ValueError) as error:
        return f"the answer: it cannot be compared ({error})"


def _difference(expected: Any, actual: Any, rtol: float, atol: float, place: str) -> str | None:
    if _is_number(expected) and _is_number(actual):
        return _number_difference(expected, actual, rtol, atol, place)
    if type(expected) is not type(actual):
        return f"{place or 'the answer'}: {_short(actual)}, expected {_short(expected)}"
    if isinstance(expected, list):
        if len(expected) != len(actual):
            return f"{place or 'the answer'}: {len(actual)} items, expected {len(expected)}"
        pairs = ((f"{place}[{index}]", *pair) for index, pair in enumerate(zip(expected, actual, strict=True)))
    elif isinstance(expected, dict):
        if expected.keys() != actual.keys():
            return f"{place or 'the answer'}: keys {sorted(actual)}, expected {sorted(expected)}"
        pairs = ((f"{place}.{key}", expected[key], actual[key]) for key in expected)
    else:
        return None if expected == actual else f"{place or 'the answer'}: {_short(actual)}, expected {_short(expected)}"
    differences = (_difference(left, right, rtol, atol, at) for at, left, right in pairs)
    return next((difference for difference in differences if difference), None)


def _number_difference(expected: float, actual: float, rtol: float, atol: float, place: str) -> str | None:
    if isinstance(expected, int) and isinstance(actual, int):
        same = expected == actual
    else:
        same = expected == actual or (math.isfinite(expected) and abs(actual - expected) <= atol + rtol * abs(expected))
    if same:
        return None
    off = f" (off by {abs(actual - expected):.3g})" if math.isfinite(actual) and math.isfinite(expected) else ""
    return f"{place or 'the answer'}: {actual!r}, expected {expected!r}{off}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."
