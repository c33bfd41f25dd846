"""An example prediction request for a signature, for people to copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any

from cpr.saved_model.reader import Signature, TensorInfo

_PRINTABLE = 64
"""The most numbers that an example spells out."""


def example_request(signatures: Mapping[str, Signature], key: str) -> str | None:
    """A request body for ``signatures[key]`` as JSON text, or ``None`` where JSON rows cannot express its inputs.

    One row of zeros, unknown inner dimensions 1. A single input is a bare value, several are an object; the signature is named
    where the platform's rule (the only one, else ``serving_default``) would pick another.
    ``None`` also for composite inputs and for rows that nobody would paste.
    """
    inputs = signatures[key].inputs
    if not inputs or any(info.kind for info in inputs.values()):
        return None
    if sum(prod(_row_shape(info)) for info in inputs.values()) > _PRINTABLE:
        return None
    body: dict[str, Any] = {}
    if key != "serving_default" and len(signatures) > 1:
        body["signature_name"] = key
    if any(info.shape == () for info in inputs.values()):
        return None  # a scalar has no rows: only the columnar form of TensorFlow Serving can carry it
    row = {name: _nested(_row_shape(info), _value(name, info)) for name, info in inputs.items()}
    count = max((info.shape or (None,))[0] or 1 for info in inputs.values())
    if count * sum(prod(_row_shape(info)) for info in inputs.values()) > _PRINTABLE:
        return None
    body["instances"] = [next(iter(row.values())) if len(row) == 1 else row] * count
    return json.dumps(body)


def _row_shape(info: TensorInfo) -> list[int]:
    return [1 if size is None else size for size in (info.shape or ())[1:]]


def _nested(shape: list[int], value: Any) -> Any:
    for size in reversed(shape):
        value = [value] * size
    return value


def _value(name: str, info: TensorInfo) -> Any:
    dtype = info.dtype or ""
    if dtype == "string":
        return {"b64": "AA=="} if name.endswith("_bytes") else "text"
    if dtype == "bool":
        return False
    return 0.0 if "float" in dtype else 0
