"""The row protocol: ``{"instances": […], …}`` in, ``{"predictions": […]}`` or ``{"error": "…"}`` out.

What the three protocols leave open is decided as the retired service and TensorFlow Serving had it: the tokens ``NaN``,
``Infinity`` and ``-Infinity`` are accepted in a request, and of two equal keys the last one counts. Answers are strict JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cpr.errors import RequestError

_FORM = 'Send a JSON object with a list of instances: {"instances": [...]}.'
_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> dict[str, Any]:
    """The request in a body: a JSON object in UTF-8, with a list ``instances``. ``RequestError`` says what is wrong."""
    return checked(read(body))


def checked(request: Any) -> dict[str, Any]:
    """A copy of ``request``, if it is an object with a list ``instances`` and no reserved key; else ``RequestError``."""
    if not isinstance(request, Mapping):
        raise RequestError(f"The request is {_kind(request)}, not an object.", _FORM)
    if "instances" not in request:
        hint = " The column form (inputs) is for the paths of TensorFlow Serving alone." if "inputs" in request else ""
        raise RequestError("The request has no key instances.", _FORM + hint, "instances")
    if not isinstance(request["instances"], list):
        raise RequestError(f"The instances are {_kind(request['instances'])}, not a list.", _FORM, "instances")
    for key in request:
        if not isinstance(key, str):
            raise RequestError(f"The key {key!r} of the request is not text.", _FORM)
    if "stats" in request:  # the service passes an argument of that name itself
        raise RequestError("The key 'stats' of the request is reserved.", "Send the argument under another name.", "stats")
    return dict(request)


def predictions(encoded: str) -> bytes:
    """The body of an answer, from the JSON text of the list of predictions."""
    return b'{"predictions": ' + encoded.encode("ascii") + b"}"


def error(message: str) -> bytes:
    """The body of an answer that is an error. It must never go out with status 200: gcloud takes that for a success."""
    return json.dumps({"error": message}).encode("ascii")


def read(body: bytes) -> Any:
    """The JSON value in a body; ``RequestError`` where it holds none, or one that cannot be used."""
    if not body.strip():
        raise RequestError("The request has no body.", _FORM)
    try:
        text = body.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is not UTF-8 text: byte {error.start} is wrong.", "Send JSON encoded in UTF-8.") from None
    try:
        value = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise RequestError(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.", _FORM) from None
    except UnicodeEncodeError:
        raise RequestError(
            "The body holds half of a surrogate pair, which is no text.",
            "Escape the character with both halves, or not at all.",
        ) from None
    except RecursionError:
        raise RequestError("The body is nested too deep.", _FORM) from None
    except ValueError as error:  # a whole number with thousands of digits
        raise RequestError(f"The body holds a number that cannot be read: {error}.", "Send a shorter number.") from None
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return kinds.get(type(value), f"of type {type(value).__name__}")
