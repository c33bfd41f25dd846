"""What goes into a routine and what comes out, checked: base64 decoded on the way in, plain JSON made on the way out."""

from __future__ import annotations

import base64
import binascii
import inspect
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from cpr.errors import PredictorError, RequestError

# With one of these at the top of the model directory the service takes the model for scikit-learn's or XGBoost's
# (prediction_utils.py in gcloud 528.0.0: should_base64_decode).
_UNDECODED = ("model.bst", "model.joblib", "model.pkl")


def decodes(names: Iterable[str]) -> bool:
    """Whether the service turns ``{"b64": text}`` into bytes before ``predict`` sees it, which it decides by the model's files.

    ``names`` are the paths of those inside the model directory. Otherwise it hands the object on as it came.
    """
    return not any(name in _UNDECODED for name in names)


def decoded(instances: list[Any]) -> list[Any]:
    """The instances with every ``{"b64": text}`` at any depth turned to bytes; ``RequestError`` names a bad one."""
    try:
        return [_decoded(item, f"instances[{index}]") for index, item in enumerate(instances)]
    except RecursionError:
        raise RequestError("The instances are nested too deep.", "Send flatter instances.", "instances") from None


def _decoded(value: Any, place: str) -> Any:
    """``value`` with every ``{"b64": text}`` in it turned to bytes; ``value`` itself is left alone."""
    if type(value) is list:
        # Most lists are numbers, and long.
        return [_decoded(item, f"{place}[{index}]") if type(item) in (list, dict) else item for index, item in enumerate(value)]
    if type(value) is not dict:
        return value
    if len(value) == 1 and "b64" in value:
        return _bytes(value["b64"], place)
    return {key: _decoded(item, f"{place}.{key}") if type(item) in (list, dict) else item for key, item in value.items()}


def _bytes(text: Any, place: str) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        # Line breaks are allowed (MIME has them); other strange characters would be dropped in silence, and change the data.
        return base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, TypeError, ValueError, binascii.Error):
        raise RequestError(
            f"{place} is not base64.", 'Send {"b64": text} with text in the standard base64 alphabet, with its padding.', place
        ) from None


def encoded(predictions: Any, count: int) -> str:
    """The JSON text, in ASCII, of a list of ``count`` predictions; ``PredictorError`` names the first that does not fit."""
    if not isinstance(predictions, list):
        _refuse(predictions, "predict returned", "")
    if len(predictions) != count:
        raise PredictorError(
            f"predict returned {len(predictions)} predictions for {count} instances.",
            "Return one prediction for each instance, in the same order.",
        )
    try:
        return json.dumps(predictions, allow_nan=False, separators=(",", ":"))
    except Exception as error:  # the author's objects may raise anything when they are read
        _refuse_inside(predictions, error)


def _refuse_inside(predictions: list[Any], error: Exception) -> NoReturn:
    leaves = _leaves(predictions, "predictions")
    while (leaf := _next(leaves)) is not None:
        place, value = leaf
        if isinstance(value, float) and not math.isfinite(value):
            raise PredictorError(
                f"{place} is {float(value)}, which JSON cannot hold.", "Return None or a finite number in its place.", place
            )
        if value is not None and not isinstance(value, (str, int, float)):
            _refuse(value, f"{place} is", place)
    raise PredictorError(
        f"The predictions cannot be written as JSON: {error}.", "Return plain lists, dicts, numbers and text."
    ) from None


def _next(leaves: Iterator[tuple[str, Any]]) -> tuple[str, Any] | None:
    try:
        return next(leaves, None)
    except Exception:  # an object that cannot be looked at: what the writer of JSON said has to do
        return None


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key is None or isinstance(key, (str, int, float)):
                yield from _leaves(item, f"{place}.{key}")
            else:
                yield f"the key {key!r} of {place}", key
    else:
        yield place, value


def _refuse(value: Any, subject: str, place: str) -> NoReturn:
    if inspect.iscoroutine(value):
        value.close()
    wanted = "JSON cannot hold it" if place else "it must return a list"
    raise PredictorError(f"{subject} a {_type_name(value)}; {wanted}.", _remedy(value, place), place or None) from None


def _remedy(value: Any, place: str) -> str:
    if inspect.iscoroutine(value):
        return "Write predict as a plain function, without async."
    if callable(getattr(value, "tolist", None)):
        return "Convert it with `.tolist()`."
    if callable(getattr(value, "numpy", None)):
        return "Convert it with `.numpy().tolist()`."
    if isinstance(value, (bytes, bytearray)):
        return 'Decode text with `.decode()`; wrap other bytes: `{"b64": base64.b64encode(value).decode()}`.'
    if isinstance(value, dict):
        return 'Return a list with one item per instance; the service wraps it in {"predictions": ...} itself.'
    if value is None:
        return "Return the predictions: predict has no return statement where it ended."
    if not isinstance(value, str) and hasattr(value, "__iter__"):
        return "Convert it with `list(...)`."
    return "Convert it to a number, text, list or dict." if place else "Return a list with one item per instance."


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
