"""Serve a loaded routine over HTTP: on uvicorn, with the routes of ``cpr.web``.

The limits are AI Platform's unless told otherwise, so that a request that is too large there is too large here.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from types import FrameType
from typing import Any

from cpr import machines
from cpr.errors import MissingExtra, ServingError, UsageError
from cpr.runtime import LoadedRoutine
from cpr.web import Application, Limits, Routes, log
from cpr.workers import Workers

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_FINAL_JOIN = 1.0  # seconds that an idle thread gets to notice that it is over


@dataclass(frozen=True, slots=True)
class Settings:
    """How to serve.

    ``port`` 0 picks a free one. ``threads`` predictions run at a time, and ``waiting`` more requests may wait for one: further
    ones are refused. ``max_request_bytes`` bounds a request and its response; ``None`` is the platform's limits, 0 none.
    ``grace`` is the seconds that requests in flight get after a stop. The routes are what a container's environment chose.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    threads: int = 1
    waiting: int = 100
    max_request_bytes: int | None = None
    grace: float = 30.0
    predict_route: str | None = None
    health_route: str | None = None


def from_environment(environment: Mapping[str, str], settings: Settings, port: int | None = None) -> Settings:
    """``settings`` with what a container platform passes in: AIP_HTTP_PORT (Vertex AI, AI Platform) or PORT (Cloud Run), unless
    ``port`` is given; AIP_PREDICT_ROUTE and AIP_HEALTH_ROUTE. A ``UsageError`` names a variable that cannot be."""
    name = next((name for name in ("AIP_HTTP_PORT", "PORT") if environment.get(name)), None)
    if port is None and name is not None:
        text = environment[name].strip()
        if not (text.isascii() and text.isdigit()) or int(text) > 65535:
            raise UsageError(f"{name} is {text!r}, not a port.", "Correct or unset it, or pass --port.", name)
        port = int(text)
    return replace(
        settings,
        port=settings.port if port is None else port,
        predict_route=_route(environment, "AIP_PREDICT_ROUTE"),
        health_route=_route(environment, "AIP_HEALTH_ROUTE"),
    )


def _route(environment: Mapping[str, str], name: str) -> str | None:
    route = environment.get(name) or None
    if route is not None and not route.startswith("/"):
        raise UsageError(f"The route {route!r} does not start with a slash.", f"Correct or unset {name}.", name)
    return route


def serve(
    routine: LoadedRoutine, settings: Settings, ready: Callable[[str], None], reserved: socket.socket | None = None
) -> None:
    """Serve until SIGTERM or Ctrl-C, from the main thread; ``ready`` is called with the URL once requests are accepted.

    A stop lets requests in flight end, for ``settings.grace`` seconds at most; a second signal does not wait. ``reserved`` is
    what :func:`reserve` gave for these settings. ``ServingError`` where the address cannot be used.
    """
    with closing(reserved or reserve(settings)) as listener:
        keep_large_blocks()
        server = _server(routine, settings, listener, ready)

        def stop(number: int, frame: FrameType | None) -> None:
            server.force_exit = server.should_exit
            server.should_exit = True

        previous = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
        try:
            server.run(sockets=[listener])
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            server.workers.close(_FINAL_JOIN)


@contextmanager
def running(routine: LoadedRoutine, settings: Settings | None = None) -> Iterator[str]:
    """The same in a thread (default: on a free port) while the ``with`` statement lasts, whose value is the URL."""
    settings = settings or Settings(port=0)
    started = threading.Event()
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        started.set()

    def work() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            started.set()

    with closing(reserve(settings)) as listener:
        server = _server(routine, settings, listener, ready)
        thread = threading.Thread(target=work, name="serve")
        thread.start()
        started.wait()
        try:
            if not urls:
                raise ServingError("The server did not start.", "Its log has the reason.")
            yield urls[0]
        finally:
            server.should_exit = True
            thread.join()
            server.workers.close(_FINAL_JOIN)


def _server(routine: LoadedRoutine, settings: Settings, listener: socket.socket, ready: Callable[[str], None]) -> Any:
    if routine.manifest is None:
        raise ServingError("A bare model directory has no name to be served under.", "Make it a routine: `cpr new`.")
    kind = _server_class()
    import uvicorn

    workers = Workers(settings.threads, settings.waiting)
    routes = Routes(settings.predict_route, settings.health_route)
    application = Application(routine, routine.manifest, workers, _limits(settings.max_request_bytes), routes)
    config = uvicorn.Config(
        application,
        interface="asgi3",
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # uvicorn waits whole seconds; 0 would be none at all
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )
    server = kind(config)
    server.application, server.workers = application, workers
    server.ready = lambda: ready(_url(settings.host, listener))
    return server


@cache
def _server_class() -> Any:
    try:
        import uvicorn
    except ModuleNotFoundError:
        raise MissingExtra("serve", "Serving over HTTP") from None

    class Server(uvicorn.Server):
        """uvicorn's server, without its signal handling, which ends the process by the signal rather than with status 0."""

        application: Application
        workers: Workers
        ready: Callable[[], None]

        def install_signal_handlers(self) -> None:  # uvicorn before 0.29
            pass

        def capture_signals(self) -> Any:  # since then
            return nullcontext()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            self.ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            self.application.stopping = True
            await super().shutdown(sockets=sockets)
            cut = len(self.server_state.tasks)
            if cut:
                log.warning("%s cut off by the stop.", "1 request was" if cut == 1 else f"{cut} requests were")

    return Server


def _limits(max_bytes: int | None) -> Limits:
    if max_bytes is not None:
        return Limits(max_bytes or None, max_bytes or None)
    limits = machines.read_target("ai-platform").limits
    return Limits(limits.request_bytes, limits.response_bytes)


def reserve(settings: Settings) -> socket.socket:
    """Take the address, before a model is loaded for minutes in vain; connections are refused until it is served.

    ``ServingError`` where it cannot be used.
    """
    place = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServingError(
            f"Cannot listen on {place}: {reason}.", "Name an address of this machine with --host.", place
        ) from None
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ServingError(
            f"Cannot listen on {place}: {error.strerror}.", "Choose another with --port; 0 picks a free one.", place
        ) from None
    return listener


def _url(host: str, listener: socket.socket) -> str:
    name, port = listener.getsockname()[:2]
    if name in ("0.0.0.0", "::"):  # noqa: S104 - any address: the one that works from here
        name = "127.0.0.1" if name == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def keep_large_blocks() -> None:
    """Tell glibc to keep blocks of up to 32 MiB that were freed, rather than give them back to the kernel at once.

    A request with an image or a large array allocates a few such blocks and frees them; getting them from the kernel each time
    costs a page fault for every 4 KiB, which made an image predictor a third slower. Elsewhere than on glibc this does nothing.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    size = 32 * 1024 * 1024  # the most that glibc takes as a threshold for mmap on 64 bits
    try:
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(mmap_threshold, size)
            libc.mallopt(trim_threshold, 2 * size)
    except (OSError, TypeError):
        pass
