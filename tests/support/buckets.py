"""Real stores for tests: a folder, gcp-storage-emulator for ``gs://``, moto's server for ``s3://``. A pytest plugin."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """An empty place to publish to. ``kind`` is ``folder``, ``file``, ``gs`` or ``s3``; ``port`` its server's (0: none)."""

    kind: str
    uri: str
    port: int = 0

    @property
    def root(self) -> Path:
        """The folder behind it, where it is one."""
        assert self.kind in ("folder", "file")
        return Path(self.uri.removeprefix("file://"))


@contextmanager
def _running(command: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, **environment}}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **quiet)  # type: ignore[call-overload]
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        assert server.stdout is not None
        server.stdout.close()


@pytest.fixture(scope="session")
def gs_port() -> Iterator[int]:
    """The port of a GCS emulator. Short pages, so that every listing of more than a few names has several."""
    with gs_server("--largest-page", "7") as port:
        yield port


@pytest.fixture(scope="session")
def gs_port_without_parts() -> Iterator[int]:
    """The same for a server that knows no uploads in parts."""
    with gs_server("--largest-page", "7", "--no-parts") as port:
        yield port


@contextmanager
def gs_server(*arguments: str) -> Iterator[int]:
    """The port of a GCS emulator of the caller's own; what it can be told is in ``gs_server.py``."""
    tests = str(Path(__file__).resolve().parent.parent)
    with _running([sys.executable, "-m", "support.gs_server", *arguments], PYTHONPATH=tests) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """The port of moto's S3 server."""
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    # Short pages, so that every listing of more than a few names has several.
    with _running(command, MOTO_S3_DEFAULT_MAX_KEYS="7") as server:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5):
                    break
            except OSError:
                assert server.poll() is None, "moto's server ended"
                assert time.monotonic() < deadline, "moto's server does not answer"
                time.sleep(0.05)
        yield port


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def new_bucket(kind: str, port: int) -> str:
    """Make a bucket and return its name."""
    name = f"cpr-{os.getpid()}-{next(_NUMBERS)}"
    if kind == "gs":
        body = f'{{"name": "{name}"}}'.encode()
        url, method, kinds = f"http://127.0.0.1:{port}/storage/v1/b?project=p", "POST", {"Content-Type": "application/json"}
    else:
        body, url, method, kinds = b"", f"http://127.0.0.1:{port}/{name}", "PUT", {}
    with urllib.request.urlopen(urllib.request.Request(url, body or None, kinds, method=method), timeout=30):
        return name


@pytest.fixture
def gs_place(gs_port: int, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty prefix in a new bucket of the GCS emulator, with this process's environment set to reach it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{gs_port}")
    return Place("gs", f"gs://{new_bucket('gs', gs_port)}/routines", gs_port)


@pytest.fixture
def s3_place(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty prefix in a new bucket of moto's server, with this process's environment set to reach it."""
    s3_environment(monkeypatch, s3_port)
    return Place("s3", f"s3://{new_bucket('s3', s3_port)}/routines", s3_port)


def s3_environment(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """No configuration of the machine's own, and keys that moto takes."""
    values = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        monkeypatch.delenv(key)
    for key, value in values.items():
        monkeypatch.setenv(key, value)


@pytest.fixture(params=["folder", "file", "gs", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of store in turn."""
    if request.param in ("gs", "s3"):
        found: Place = request.getfixturevalue(f"{request.param}_place")
        return found
    folder = tmp_path / "published"
    return Place(request.param, f"file://{folder}" if request.param == "file" else str(folder))
