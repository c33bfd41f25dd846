"""Who asks Google Cloud Storage: Application Default Credentials through google-auth, over our own wire.

google-auth's own transports need a client library each; this is the whole of what it asks of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import google.auth
from google.auth import exceptions, transport

from cpr.storage.service import Sign
from cpr.storage.wire import Answer, Body, BrokenWire, Wire

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


def nobody() -> tuple[Sign, Callable[[], bool]]:
    """For an emulator: no credentials."""
    return (lambda method, target, headers, body: None), (lambda: False)


def bearer() -> tuple[Sign, Callable[[], bool]]:
    """What signs requests with the credentials found, and what gets new ones. ``GoogleAuthError`` where there are none."""
    credentials, _ = google.auth.default(scopes=[_SCOPE])
    fetch, lock = _Fetch(), threading.Lock()

    def sign(method: str, target: str, headers: dict[str, str], body: Body) -> None:
        with lock:
            credentials.before_request(fetch, method, target, headers)  # type: ignore[no-untyped-call]

    def renew() -> bool:
        with lock:
            credentials.refresh(fetch)  # type: ignore[no-untyped-call]
        return True

    return sign, renew


class _Answer(transport.Response):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.body


class _Fetch(transport.Request):
    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> _Answer:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        content = body.encode() if isinstance(body, str) else body
        try:
            return _Answer(Wire(url, seconds=timeout).exchange(method, target, headers or {}, content))
        except BrokenWire as error:
            raise exceptions.TransportError(f"{parts.netloc}: {error}") from error  # type: ignore[no-untyped-call]
