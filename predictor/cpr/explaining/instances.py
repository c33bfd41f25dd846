"""A routine's instances as features: by the keys of the objects that clients send, with baselines from the golden examples."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from cpr.errors import RequestError
from cpr.examples import Example

_OBJECTS = 'Vertex AI names what it explains by keys, in a container: let clients send {"name": value, …} for each instance.'


def key_baselines(examples: Sequence[Example], rule: str) -> dict[str, Any]:
    """What each key of the instances is compared with: the middle of numbers, place by place where they are lists of one
    length, and the most frequent of texts and truths. ``None`` where there is none: Vertex AI chooses then.

    ``RequestError`` for examples whose instances are no objects.
    """
    instances = [instance for example in examples for instance in example.request["instances"]]
    objects = [instance for instance in instances if isinstance(instance, dict) and set(instance) != {"b64"}]
    if not objects:
        what = "are no objects" if instances else "are none"
        raise RequestError(f"The instances of the examples {what}.", _OBJECTS, "examples.jsonl")
    keys = dict.fromkeys(key for instance in objects for key in instance)
    return {key: _baseline([instance[key] for instance in objects if key in instance], rule) for key in keys}


def explained_key(examples: Sequence[Example], asked: str | None) -> str:
    """The key of the predictions that is explained: the one asked for, else the only one that holds a number or numbers."""
    predictions = [row for example in examples if example.expect is not None for row in example.expect.predictions]
    rows = [row for row in predictions if isinstance(row, dict)]
    if asked is not None:
        if rows and not any(asked in row for row in rows):
            raise RequestError(
                f"No expected prediction has the key {asked!r}.", f"They have {', '.join(rows[0])}.", "--output-name"
            )
        return asked
    numeric = [key for key in (rows[0] if rows else ()) if all(_is_numeric(row.get(key)) for row in rows)]
    if len(numeric) == 1:
        return str(numeric[0])
    what = f"several keys with numbers: {', '.join(numeric)}" if numeric else "no key with a number"
    raise RequestError(
        f"The expected predictions have {what}.",
        "Name it with --output-name KEY; `cpr examples --record` writes expectations."
        if not rows
        else "Name one with --output-name KEY.",
        "--output-name",
    )


def _baseline(values: list[Any], rule: str) -> Any:
    if all(_is_number(value) for value in values):
        return _middle(values, rule)
    if all(isinstance(value, (str, bool)) for value in values):
        return max(sorted(set(values), key=str), key=values.count)
    lists = [value for value in values if isinstance(value, list) and all(map(_is_number, value))]
    if len(lists) == len(values) and len({len(value) for value in lists}) == 1:
        return [_middle(list(column), rule) for column in zip(*lists, strict=True)]
    return None


def _middle(values: list[Any], rule: str) -> Any:
    rules: dict[str, Callable[[list[Any]], Any]] = {"median": statistics.median, "mean": statistics.fmean, "zeros": lambda _: 0}
    return rules[rule](values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_numeric(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, list) and bool(value) and all(map(_is_number, value)))
