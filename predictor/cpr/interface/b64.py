"""Binary values in JSON: ``{"b64": "<base64>"}``."""

import base64
import re
from typing import Any, Dict, Union

from cpr.errors import RequestError

_WEB_SAFE = str.maketrans("-_", "+/")
_ALPHABET = re.compile(r"[A-Za-z0-9+/]*\Z")
_REMEDY = 'Send {"b64": "<base64 of the bytes>"}.'


def is_b64(value: Any) -> bool:
    """Whether ``value`` is the platform's wrapper: an object with exactly one key, ``b64``."""
    return isinstance(value, dict) and len(value) == 1 and "b64" in value


def decode_b64(value: Any) -> bytes:
    """The bytes of a binary value, in whichever form the service hands it over.

    ``value`` is ``{"b64": text}``, the base64 text alone, or bytes, which are what the service already decoded and
    are returned as they are. Text may use the standard or the web-safe alphabet (``-_`` for ``+/``), with or
    without ``=`` padding, with line breaks. Anything else raises :class:`~cpr.errors.RequestError`.
    """
    if is_b64(value):
        value = value["b64"]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return _decode_text(value)
    raise RequestError("{} stands where base64 is expected.".format(_describe(value)), _REMEDY)


def encode_b64(value: Union[bytes, bytearray]) -> Dict[str, str]:
    """``{"b64": text}`` in the standard alphabet with padding."""
    return {"b64": base64.b64encode(value).decode("ascii")}


def _decode_text(text: str) -> bytes:
    compact = "".join(text.split())
    if compact.startswith("data:"):
        raise RequestError("A data URL stands where base64 is expected.", "Send only what follows the comma of the data URL.")
    body = compact.rstrip("=").translate(_WEB_SAFE)
    padding = len(compact) - len(body)
    if not _ALPHABET.match(body):
        raise RequestError("{!r} is not base64.".format(_shorten(text)), _REMEDY)
    if len(body) % 4 == 1 or padding > 2 or (padding and len(compact) % 4):
        raise RequestError(
            "{!r} is not base64: {} characters and {} of padding are no whole number of bytes.".format(
                _shorten(text), len(body), padding
            ),
            "Send the whole base64 text; it may have been cut short.",
        )
    return base64.b64decode(body + "=" * (-len(body) % 4))


def _shorten(text: str) -> str:
    return text if len(text) <= 32 else text[:32] + "…"


def _describe(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "An object with the keys {}".format(", ".join(sorted(map(str, value))) or "(none)")
    return "A value of type {}".format(type(value).__name__)
