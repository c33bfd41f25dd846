"""Prediction servers as a user starts them: ``cpr serve`` in a process of its own, on a free port of this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

START = 60  # seconds: a model with TensorFlow, on a machine that does other things too


@dataclass
class Served:
    """A running server: ``url`` without a slash at its end; ``log`` grows by a line of its standard error at a time."""

    process: subprocess.Popen[str]
    url: str
    first_line: str
    log: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    def request(
        self, path: str, body: Any = None, method: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send ``body`` (bytes as they are, all else as JSON; none at all is a GET) and return what came, errors too."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        message = urllib.request.Request(self.url + path, data, dict(headers or {}), method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(message, timeout=60) as response:
                return Reply(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.read(), dict(error.headers))

    def stop(self, number: int = signal.SIGTERM, timeout: float = 30) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)


@dataclass(frozen=True)
class Reply:
    """One answer of a server."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The text of an error answer, checked to be nothing but that."""
        document = self.json
        assert set(document) == {"error"} and isinstance(document["error"], str), document
        return document["error"]


@contextmanager
def serving(*arguments: str | Path, env: Mapping[str, str] | None = None, port: str | None = "0") -> Iterator[Served]:
    """``cpr serve ARGUMENTS --port 0`` until the ``with`` statement ends; ``port=None`` leaves the option out."""
    command = [sys.executable, "-m", "cpr", "serve", *map(str, arguments)]
    if port is not None:
        command += ["--port", port]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
    )
    log: list[str] = []
    reader = threading.Thread(target=_collect, args=(process, log))
    reader.start()
    watchdog = threading.Timer(START, process.kill)
    watchdog.start()
    try:
        assert process.stdout
        line = process.stdout.readline()
        watchdog.cancel()
        assert line, "".join(log) + f"exit status {process.wait(10)}"
        url = json.loads(line)["url"] if line.startswith("{") else line.removeprefix("ready ").strip()
        yield Served(process, url, line, log)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join()
        assert process.stdout
        process.stdout.close()


def _collect(process: subprocess.Popen[str], log: list[str]) -> None:
    assert process.stderr
    with process.stderr as stream:
        log.extend(iter(stream.readline, ""))


def exchange(port: int, data: bytes, timeout: float = 10) -> bytes:
    """Whatever a server sends back for these bytes until it closes the connection, or says nothing for ``timeout`` seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        received = b""
        try:
            connection.sendall(data)
            while block := connection.recv(65536):
                received += block
        except (TimeoutError, ConnectionError):
            pass
        return received


def wait_for(path: Path, seconds: float = 30) -> None:
    """Until a file is there."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
