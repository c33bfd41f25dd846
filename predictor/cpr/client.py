"""Send one request to a prediction server: this tool's own, TensorFlow Serving, KServe, or a container behind any of them."""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Mapping
from typing import Any
from urllib import error, request
from urllib.parse import quote, urlsplit

from cpr.errors import CprError, RemoteError, UsageError

MAX_RESPONSE = 100_000_000
"""Bytes of an answer that are read; the platform's own limit is 1.5 MB."""


def predict(url: str, body: Mapping[str, Any], timeout: float = 60.0) -> list[Any]:
    """The predictions that the server at ``url`` gives for a request body.

    ``url`` ends in ``:predict`` or is a server's root, which is asked for the name of its one model. ``RemoteError`` where the
    server cannot be reached, refuses the request, or answers something else than predictions; ``timeout`` is in seconds.
    """
    address = _checked(url)
    if not address.endswith(":predict"):
        address = f"{address.rstrip('/')}/v1/models/{quote(_model_name(address, timeout))}:predict"
    answer = _exchange(address, json.dumps(body).encode("ascii"), timeout)
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(predictions, list):
        raise RemoteError(
            f"{address} answered without predictions: {_excerpt(json.dumps(answer))}.",
            "Check that the URL is a prediction server's.",
            url,
        )
    return predictions


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError:
        valid = False
    if not valid or " " in url:
        raise UsageError(f"{url!r} is not a URL.", "Write it as http://HOST:PORT or …/v1/models/NAME:predict.", url)
    return url


def _model_name(root: str, timeout: float) -> str:
    address = f"{root.rstrip('/')}/v1/models"
    remedy = "Name the model: …/v1/models/NAME:predict."
    try:
        answer = _exchange(address, None, timeout)
    except RemoteError as failure:
        raise RemoteError(failure.message, f"{failure.remedy} {remedy}", root) from None
    names = answer.get("models") if isinstance(answer, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RemoteError(f"{address} has no list of models.", remedy, root)
    if len(names) != 1:
        raise RemoteError(f"{root} serves {len(names)} models: {', '.join(names)}.", remedy, root)
    return str(names[0])


def _exchange(address: str, body: bytes | None, timeout: float) -> Any:
    headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "cpr-kit"}
    message = request.Request(address, body, headers)  # noqa: S310 - http and https only: _checked
    try:
        with _opener(address).open(message, timeout=timeout) as response:
            data = response.read(MAX_RESPONSE + 1)
            if response.length and len(data) <= MAX_RESPONSE:
                raise http.client.IncompleteRead(data, response.length)
    except error.HTTPError as failure:
        with failure:
            raise RemoteError(
                f"The server answered {failure.code}: {_reason(failure)}",
                "Correct the request, or see the server's log.",
                address,
            ) from None
    except (OSError, http.client.HTTPException) as failure:
        raise _unreachable(address, failure, timeout) from None
    if len(data) > MAX_RESPONSE:
        raise RemoteError(f"The answer is longer than {MAX_RESPONSE} bytes.", "Send fewer instances in one request.", address)
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        text = data[:200].decode("utf-8", "replace")
        raise RemoteError(
            f"{address} answered something else than JSON: {_excerpt(text)}.",
            "Check that the URL is a prediction server's.",
            address,
        ) from None


def _opener(address: str) -> request.OpenerDirector:
    """One that reaches this machine without the proxy that the environment names for the rest of the world."""
    host = urlsplit(address).hostname or ""
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    return request.build_opener(request.ProxyHandler({})) if here else request.build_opener()


def _reason(failure: error.HTTPError) -> str:
    """What the server said: ``{"error": text}``, Google's ``{"error": {"message": text}}``, or else the start of its body."""
    try:
        data = failure.read(MAX_RESPONSE)
    except (OSError, http.client.HTTPException):
        return f"{failure.reason}."
    try:
        answer = json.loads(data)
        said = answer["error"]
        text = said["message"] if isinstance(said, dict) else said
    except (ValueError, KeyError, TypeError, RecursionError):
        text = data[:200].decode("utf-8", "replace")
    return _excerpt(str(text), 4000) or f"{failure.reason}."


def _unreachable(address: str, failure: Exception, timeout: float) -> CprError:
    cause = failure.reason if isinstance(failure, error.URLError) else failure
    if isinstance(cause, TimeoutError):
        return RemoteError(
            f"{address} did not answer within {timeout:g} seconds.", "Wait longer with --timeout SECONDS.", address
        )
    if isinstance(cause, ConnectionRefusedError):
        return RemoteError(
            f"Nothing listens at {address}.", "Start a server with `cpr serve BUNDLE`, or correct the URL.", address
        )
    if isinstance(cause, http.client.IncompleteRead):
        return RemoteError(f"{address} broke off its answer.", "See the server's log, and try again.", address)
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return RemoteError(f"{address} cannot be reached: {text}.", "Check the host, the port, and http against https.", address)


def _excerpt(text: str, length: int = 200) -> str:
    plain = "".join(character if character.isprintable() else " " for character in text[: length + 1]).strip()
    return plain if len(plain) <= length else plain[:length] + "…"
