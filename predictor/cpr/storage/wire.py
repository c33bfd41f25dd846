"""HTTP to one server over kept connections: one request, one answer, nothing tried twice.

``http.client`` makes the connections, through a proxy where there is one.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cpr.storage.base import Sink, Stopped
from cpr.storage.http1 import BadAnswer, Reading, send

_CONNECT_SECONDS = 10.0
_MOST_BYTES = 64 << 20
"""Of an answer that is kept in memory."""

Body: TypeAlias = "bytes | tuple[bytes, ...] | None"
"""Content, or pieces of it that are sent one after the other."""


class BrokenWire(Exception):
    """No whole answer came. ``kept`` tells that a connection broke which the server may have closed long ago."""

    def __init__(self, detail: str, kept: bool = False) -> None:
        super().__init__(detail)
        self.kept = kept


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` as it came, ``headers`` by their names in lower case, ``body`` empty where a sink took it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


class Wire:
    """Connections to the server of ``url``; safe to use from any number of threads, each request on a connection of its own.

    The proxy of the environment is used, except for this machine itself. ``ca_file`` replaces the machine's certificates;
    ``seconds`` is how long to wait for a connection and for each answer.
    """

    silence_seconds = 60.0
    """How long a server may say nothing, and take nothing."""

    def __init__(self, url: str, ca_file: str | None = None, seconds: float | None = None) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.base = parts.path.rstrip("/")
        self.loopback = _is_loopback(self.host)
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self.netloc = parts.netloc.rpartition("@")[2]
        self._connect_seconds, self._silence_seconds = seconds or _CONNECT_SECONDS, seconds or self.silence_seconds
        self._ca_file = ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or None
        self._tls: ssl.SSLContext | None = None
        self._proxy = None if self.loopback or proxy_bypass(self.host) else getproxies().get(parts.scheme)
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._busy: set[http.client.HTTPConnection] = set()
        self.stopped = threading.Event()
        weakref.finalize(self, _close, self._idle)

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = None, sink: Sink | None = None
    ) -> Answer:
        """Send a request and read its answer; the content of a good one goes to ``sink`` where there is one.

        ``BrokenWire`` where no whole answer came; what ``sink`` raises.
        """
        connection, fresh = self._take()
        whole = False
        try:
            try:
                connected = self._connected(connection)
                pieces = (body,) if isinstance(body, bytes) else body
                send(connected, method, self._written(target), {"Host": self.netloc, **headers}, pieces)
                reading = Reading(connected, method)
                content = _read(reading, sink if reading.status in (200, 206) else None)
                whole = reading.reusable
            except (OSError, BadAnswer, http.client.HTTPException) as error:
                raise self._broken(error, kept=not fresh) from error
            return Answer(reading.status, reading.headers, content)
        finally:
            self._give_back(connection, whole)

    def stop(self, at_once: bool) -> None:
        """Let nothing more begin, until :meth:`go_on`, and break off what is under way ``at_once``: others get ``Stopped``."""
        self.stopped.set()
        with self._lock:
            for connection in self._busy if at_once else ():
                if connection.sock is not None:
                    with suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def go_on(self) -> None:
        """Take requests again, after :meth:`stop`."""
        self.stopped.clear()

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        if self.stopped.is_set():
            raise Stopped
        with self._lock:
            kept = self._idle.pop() if self._idle else None
            connection = kept or self._new()
            self._busy.add(connection)
        return connection, kept is None

    def _give_back(self, connection: http.client.HTTPConnection, whole: bool) -> None:
        if not whole:
            connection.close()
        with self._lock:
            self._busy.discard(connection)
            if whole:
                self._idle.append(connection)

    def _new(self) -> http.client.HTTPConnection:
        proxy = urlsplit(self._proxy if "://" in (self._proxy or "") else f"http://{self._proxy}") if self._proxy else None
        host, port = (proxy.hostname or "", proxy.port or 80) if proxy else (self.host, self._port)
        if not self._secure:
            return http.client.HTTPConnection(host, port, timeout=self._connect_seconds)
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._ca_file)
        connection = http.client.HTTPSConnection(host, port, timeout=self._connect_seconds, context=self._tls)
        if proxy:
            connection.set_tunnel(self.host, self._port)
        return connection

    def _connected(self, connection: http.client.HTTPConnection) -> socket.socket:
        if connection.sock is None:
            connection.connect()
            connection.sock.settimeout(self._silence_seconds)  # type: ignore[attr-defined]
        connected: socket.socket = connection.sock
        return connected

    def _written(self, target: str) -> str:
        """A proxy of plain HTTP is told the whole address."""
        return f"http://{self.netloc}{target}" if self._proxy and not self._secure else target

    def _broken(self, error: Exception, kept: bool) -> Exception:
        if self.stopped.is_set():
            return Stopped()
        if isinstance(error, TimeoutError):  # the connection stood
            return BrokenWire("no answer in time")
        return BrokenWire(getattr(error, "strerror", None) or str(error) or type(error).__name__, kept)


def _read(reading: Reading, sink: Sink | None) -> bytes:
    if sink is None:
        content = b""
        for block in reading.blocks():
            content += block
            if len(content) > _MOST_BYTES:
                raise BadAnswer("its answer has no end")
        return content
    for block in reading.blocks():
        try:
            sink.write(block)
        except OSError as error:
            raise SinkFailed(error) from error
    return b""


class SinkFailed(Exception):
    """What is downloaded cannot be written here: no fault of the wire."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def excerpt(text: str) -> str:
    """The start of what a server or a library says, for the middle of a sentence."""
    text = " ".join(text.split())
    return text.rstrip(".") if len(text) <= 300 else text[:300] + "…"


def _close(connections: list[http.client.HTTPConnection]) -> None:
    for connection in connections:
        connection.close()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
