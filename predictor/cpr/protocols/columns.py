"""The column form of TensorFlow Serving: ``{"inputs": …}`` in, ``{"outputs": …}`` out, whole columns in place of rows.

The inputs are a list, the one column of a signature with one input, or an object of columns of the same length. The outputs are
an object of columns where every prediction is an object of the same keys, else the list of predictions. A value without rows is
refused: routines answer row by row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from cpr.errors import RequestError
from cpr.interface.b64 import is_b64
from cpr.protocols import rows

_FORM = 'Send {"inputs": [value, …]} or {"inputs": {"name": [value, …], …}}, with a value for each row.'


def parse(body: bytes) -> dict[str, Any]:
    """The request in a body of either form; ``RequestError`` as in ``rows.parse``."""
    request = rows.read(body)
    return dict(request) if _is_columns(request) else rows.checked(request)


def answer(request: Mapping[str, Any], predict: Callable[[dict[str, Any]], str]) -> bytes:
    """The body of the answer, in the form of the request; ``predict`` gives the JSON text of a list of predictions."""
    if not _is_columns(request):
        return rows.predictions(predict(dict(request)))
    others = {key: value for key, value in request.items() if key != "inputs"}
    return _outputs(predict({"instances": _instances(request["inputs"]), **others}))


def _is_columns(request: Any) -> bool:
    return isinstance(request, dict) and "inputs" in request and "instances" not in request


def _instances(inputs: Any) -> list[Any]:
    if isinstance(inputs, list):
        return inputs
    if not isinstance(inputs, dict) or not inputs or is_b64(inputs):
        raise RequestError("The inputs are neither a list nor an object of lists.", _FORM, "inputs")
    for name, column in inputs.items():
        if not isinstance(column, list):
            raise RequestError(f"The input {name!r} is no list: it has no rows.", _FORM, "inputs")
    lengths = {name: len(column) for name, column in inputs.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RequestError(f"The inputs have different numbers of rows: {told}.", _FORM, "inputs")
    return [dict(zip(inputs, values, strict=True)) for values in zip(*inputs.values(), strict=True)]


def _outputs(encoded: str) -> bytes:
    found = json.loads(encoded)
    keys = [each.keys() for each in found if isinstance(each, dict) and not is_b64(each)]
    if found and len(keys) == len(found) and all(each == keys[0] for each in keys):
        columns = {key: [each[key] for each in found] for key in keys[0]}
        return b'{"outputs": ' + json.dumps(columns).encode("ascii") + b"}"
    return b'{"outputs": ' + encoded.encode("ascii") + b"}"
