"""The HTTP face of a routine: an ASGI application with the routes of the platforms it stands in for, and no framework.

============================================================  ====================================================
``POST /v1/projects/P/models/M[/versions/V]:predict``         AI Platform Prediction
``POST /v1/models/M[/versions/V]:predict``                    TensorFlow Serving (both forms) and KServe v1
``POST`` the same paths with ``:explain``                     AI Platform Explanations, and KServe v1
``POST`` the predict route, ``GET`` the health route          Vertex AI and AI Platform containers
``POST`` the predict route with ``:explain`` at its end       Vertex AI, where the route ends in ``:predict``
``GET`` the same paths without ``:predict``, ``/v1/models``   what clients ask for before they predict
``GET /`` and ``/healthz``                                    health
============================================================  ====================================================

``M`` is the routine's name in either spelling, ``V`` its version as it is or as AI Platform spells it; the default version and
that one are the same. Query strings are ignored. An error is ``{"error": "…"}``, with the status of its class in ``STATUS``; to
the resources of ``/v1/projects`` it is Google's error object, because their clients read nothing else.
"""

from __future__ import annotations

import json
import logging
import queue
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from cpr.errors import CprError, PredictorError, RequestError, RequestTooLarge
from cpr.manifest import Manifest, ai_platform_version, hyphenated, underscored
from cpr.protocols import columns, rows, vertex
from cpr.runtime import LoadedRoutine
from cpr.workers import Workers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("cpr.serving")
"""One line for each error; the traceback of the author's code below it."""


class NoSuchPath(RequestError):
    """Nothing is served at this path."""


class WrongMethod(RequestError):
    """The path exists, the method does not fit it. ``allowed`` are those that do."""

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"The method {method} is not allowed here.", f"Use {allowed}.")
        self.allowed = allowed


class Overloaded(CprError):
    """More requests wait than can be answered in time."""


class NotReady(CprError):
    """The server is stopping."""


STATUS: Mapping[type[CprError], int] = {
    RequestError: 400,
    NoSuchPath: 404,
    WrongMethod: 405,
    RequestTooLarge: 413,
    Overloaded: 429,
    PredictorError: 500,
    CprError: 500,
    NotReady: 503,
}
"""Error class to status; a class that is not listed has its parent's."""

_GOOGLE_STATUS = {404: "NOT_FOUND", 405: "INVALID_ARGUMENT", 503: "UNAVAILABLE"}

_PATH = re.compile(
    r"/v1(?:/projects/(?P<project>[^/]+))?/models/(?P<model>[^/:]+)(?:/versions/(?P<version>[^/:]+))?(?P<verb>:[^/:]*)?"
)
_MAX_ERROR = 4000  # characters of an author's message that go to the client
_MAX_DROPPED = 64_000_000  # bytes above the limit that are read for the sake of the client
_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Routes:
    """Paths that the environment chose, beside the ones that are always there."""

    predict: str | None = None
    health: str | None = None

    @property
    def explain(self) -> str | None:
        """Vertex AI's own route of that name, where ``predict`` ends as Vertex AI's does."""
        if self.predict is None or not self.predict.endswith(":predict"):
            return None
        return self.predict.removesuffix("predict") + "explain"


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest request and response body in bytes; ``None``: no limit."""

    request: int | None = None
    response: int | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Application:
    """The ASGI application for one routine. ``stopping`` turns the health routes to 503."""

    def __init__(self, routine: LoadedRoutine, manifest: Manifest, workers: Workers, limits: Limits, routes: Routes) -> None:
        self.stopping = False
        self._routine = routine
        self._manifest = manifest
        self._workers = workers
        self._limits = limits
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path(scope)
        try:
            answer = await self._answer(scope, path, receive)
        except CprError as error:
            answer = self._failed(scope["method"], path, error)
        except Disconnected:
            return
        except Exception as error:
            log.exception("500 %s %s", scope["method"], _printable(path))
            answer = _Answer(500, rows.error(f"Internal error of the server: {type(error).__name__}."))
        headers = [_JSON, (b"content-length", str(len(answer.body)).encode()), *answer.headers]
        if answer.status >= 400 and any(name == b"expect" for name, _ in scope["headers"]):
            headers.append((b"connection", b"close"))  # nobody knows whether the body still comes
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, path: str, receive: Receive) -> _Answer:
        method = scope["method"]
        is_health = path in ("/", "/healthz", self._routes.health)
        # One path may be both routes: the method tells which.
        if path == self._routes.predict and not (is_health and method in ("GET", "HEAD")):
            _require(method, "POST")
            return await self._run(scope, receive, lambda body: self._predicted(vertex.parse(body)))
        if self._routes.explain is not None and path == self._routes.explain:
            _require(method, "POST")
            return await self._run(scope, receive, self._explained_for_vertex)
        if is_health:
            _require(method, "GET", "HEAD")
            if self.stopping:
                raise NotReady("The server is stopping.", "Send the request to another one.")
            return _Answer(200, b'{"status": "ok"}')
        if path == "/v1/models":
            _require(method, "GET", "HEAD")
            return _document({"models": [self._manifest.name]})
        found = _PATH.fullmatch(path)
        if found is None:
            raise NoSuchPath(
                f"There is nothing at {_printable(path)}.", f"Predictions are at /v1/models/{self._manifest.name}:predict."
            )
        self._check_name(found)
        if found["verb"] is None:
            _require(method, "GET", "HEAD")
            return _document(self._resource(found))
        _require(method, "POST")
        if found["verb"] == ":explain":
            return await self._run(scope, receive, lambda body: self._explained(rows.parse(body)))
        parse = columns.parse if found["project"] is None else rows.parse
        return await self._run(scope, receive, lambda body: self._predicted(parse(body)))

    def _check_name(self, found: re.Match[str]) -> None:
        manifest = self._manifest
        if found["model"] not in (underscored(manifest.name), hyphenated(manifest.name), manifest.name):
            raise NoSuchPath(f"There is no model {_printable(found['model'])!r} here.", f"This server has {manifest.name!r}.")
        spellings = (manifest.version, ai_platform_version(manifest.version))
        if found["version"] is not None and found["version"] not in spellings:
            raise NoSuchPath(
                f"There is no version {_printable(found['version'])!r} here.",
                f"This server has {' also called '.join(spellings)}.",
            )
        if found["verb"] not in (None, ":predict", ":explain"):
            raise NoSuchPath(f"{_printable(found['verb'][1:])!r} is not offered here.", "Use :predict or :explain.")

    def _resource(self, found: re.Match[str]) -> dict[str, Any]:
        if found["project"] is None:
            return self._status()
        model = f"projects/{found['project']}/models/{found['model']}"
        version = {
            "name": f"{model}/versions/{found['version'] or ai_platform_version(self._manifest.version)}",
            "isDefault": True,
            "predictionClass": str(self._manifest.predictor),
            "state": "READY",
        }
        if self._manifest.runtime_version:
            version["runtimeVersion"] = self._manifest.runtime_version
        return version if found["version"] else {"name": model, "defaultVersion": version}

    def _status(self) -> dict[str, Any]:
        """TensorFlow Serving's model status and KServe's in one: their keys differ."""
        state = {"version": self._manifest.version, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        return {"name": self._manifest.name, "ready": not self.stopping, "model_version_status": [state]}

    def _predicted(self, request: dict[str, Any]) -> bytes:
        return columns.answer(request, self._routine.predict_encoded)

    def _explained(self, request: dict[str, Any]) -> bytes:
        from cpr.explaining import answers  # brings NumPy, which a server that only predicts may do without

        return answers.ai_platform(self._routine.explain(request))

    def _explained_for_vertex(self, body: bytes) -> bytes:
        from cpr.explaining import answers, asked

        request = vertex.parse(body)
        request.pop("deployedModelId", None)
        explained = self._routine.explain(request)
        plain = {key: value for key, value in request.items() if key not in (asked.KEY, asked.OVERRIDE)}
        return answers.vertex(explained, self._routine.predict(plain))

    async def _run(self, scope: Scope, receive: Receive, answer: Callable[[bytes], bytes]) -> _Answer:
        """Read the body, and answer it in a worker's thread."""
        headers = dict(scope["headers"])
        if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
            raise RequestError("The body is compressed.", "Send it as it is, without Content-Encoding.")
        body = await _read(receive, headers, self._limits.request)
        try:
            content = await self._workers.run(lambda: answer(body))
        except queue.Full:
            raise Overloaded("Too many requests wait for an answer.", "Send it again later.") from None
        if self._limits.response is not None and len(content) > self._limits.response:
            raise PredictorError(
                f"The response has {len(content)} bytes; the limit is {self._limits.response}.",
                "Return less, send fewer instances a request, or raise the limit with --max-request-bytes.",
            )
        return _Answer(200, content)

    def _failed(self, method: str, path: str, error: CprError) -> _Answer:
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        crashed = isinstance(error, PredictorError) and error.traceback
        # What to do about an exception is in its traceback, and that is for the log alone.
        text = (error.message if crashed else f"{error.message} {error.remedy}")[:_MAX_ERROR]
        log.warning("%d %s %s: %s", status, method, _printable(path), _printable(text))
        if isinstance(error, PredictorError) and error.traceback:
            log.warning("%s", error.traceback.rstrip())
        headers = _headers(error)
        if path.startswith("/v1/projects/") and method == "GET":
            google = {"code": status, "message": text, "status": _GOOGLE_STATUS.get(status, "UNKNOWN")}
            return _Answer(status, json.dumps({"error": google}).encode(), headers)
        return _Answer(status, rows.error(text), headers)


class Disconnected(Exception):
    """The client went away before its request was complete."""


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    # A client that takes the server for a proxy sends the whole URL; not every HTTP parser takes it apart.
    return unquote(urlsplit(path).path) if path.startswith(("http://", "https://")) else path


def _require(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise WrongMethod(method, ", ".join(allowed))


def _headers(error: CprError) -> tuple[tuple[bytes, bytes], ...]:
    """Those that belong to the status of an error."""
    if isinstance(error, WrongMethod):
        return ((b"allow", error.allowed.encode()),)
    if isinstance(error, Overloaded):
        return ((b"retry-after", b"1"),)
    return ()


def _document(document: Mapping[str, Any]) -> _Answer:
    return _Answer(200, json.dumps(document).encode("ascii"))


async def _read(receive: Receive, headers: Mapping[bytes, bytes], limit: int | None) -> bytes:
    """The whole body; ``RequestTooLarge`` above the limit, and then the rest of it was dropped as it came."""
    declared = headers.get(b"content-length", b"")
    if limit is not None and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        if b"expect" not in headers:  # a client that asks first need not send it at all
            await _drop(receive)
        raise _too_large(f"has {declared.decode()[:20]} bytes", limit)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if limit is not None and len(body) > limit:
            if message.get("more_body", False):
                await _drop(receive)
            raise _too_large("is longer", limit)
        if not message.get("more_body", False):
            return bytes(body)


async def _drop(receive: Receive) -> None:
    """Read what still comes: most clients send a whole body before they read, and would see a broken connection."""
    dropped = 0
    while dropped < _MAX_DROPPED:
        message = await receive()
        dropped += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _too_large(what: str, limit: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request {what}; the limit is {limit} bytes.",
        "Send fewer instances in one request.",
    )


def _printable(text: str) -> str:
    """Text of a client's on one line of a log: no control characters, bounded."""
    return "".join(character if character.isprintable() else "?" for character in text[:500])
