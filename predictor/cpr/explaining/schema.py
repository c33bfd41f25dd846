"""The part of JSON Schema that the shipped schemas use, so that what is written is checked without a package for it.

A keyword that is not known here is an error of the schema's, and not passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_SAID = ("$schema", "$comment", "title")
_BOUNDS: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value: value, lambda value, bound: value >= bound, "is {0}, and {1} is the least"),
    "maximum": (lambda value: value, lambda value, bound: value <= bound, "is {0}, and {1} is the most"),
    "minItems": (len, lambda value, bound: value >= bound, "has {0} items, and {1} is the least"),
    "minLength": (len, lambda value, bound: value >= bound, "has {0} characters, and {1} is the least"),
    "minProperties": (len, lambda value, bound: value >= bound, "has {0} keys, and {1} is the least"),
    "maxProperties": (len, lambda value, bound: value <= bound, "has {0} keys, and {1} is the most"),
}


def problems(value: Any, schema: Mapping[str, Any], place: str = "$") -> Iterator[str]:
    """What is wrong with a document, each with its place; nothing where it is as the schema says."""
    kind = schema.get("type")
    if kind is not None and not _is(value, kind):
        yield f"{place} is no {kind}"
        return
    for keyword, asked in schema.items():
        if keyword in _BOUNDS:
            measure, holds, says = _BOUNDS[keyword]
            if not holds(measure(value), asked):
                yield f"{place} {says.format(measure(value), asked)}"
        elif keyword == "enum":
            if value not in asked:
                yield f"{place} is {value!r}, none of {', '.join(map(repr, asked))}"
        elif keyword == "required":
            yield from (f"{place} lacks {name}" for name in asked if name not in value)
        elif keyword == "items":
            for index, item in enumerate(value):
                yield from problems(item, asked, f"{place}[{index}]")
        elif keyword not in ("type", "properties", "additionalProperties", *_SAID):
            raise ValueError(f"the schema's keyword {keyword} is not known")
    if kind == "object":
        yield from _of_keys(value, schema.get("properties", {}), schema.get("additionalProperties", True), place)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())


def _of_keys(value: Mapping[str, Any], known: Mapping[str, Any], others: Any, place: str) -> Iterator[str]:
    for name, item in value.items():
        if name in known:
            yield from problems(item, known[name], f"{place}.{name}")
        elif others is False:
            yield f"{place} has the unknown key {name}"
        elif others is not True:
            yield from problems(item, others, f"{place}.{name}")
