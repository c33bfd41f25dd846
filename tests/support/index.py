"""A package index on loopback with hand-made wheels: what an index has, lacks and refuses, without asking one far away."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Index:
    """Files by name; ``url`` is the index, ``status`` what it answers to everything where that is not 200."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.status = 200
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/simple"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wheel(self, name: str, version: str = "1.0", tag: str = "py3-none-any", requires: tuple[str, ...] = (), size: int = 0):
        """Add a wheel of one module that knows its version, and ``size`` bytes of data."""
        self.files[f"{name}-{version}-{tag}.whl"] = wheel(name, version, tag, requires, size)

    def source(self, name: str, version: str = "1.0") -> None:
        """Add a source distribution; nobody may open it, so that it holds none."""
        self.files[f"{name}-{version}.tar.gz"] = b"not to be opened"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                last = self.path.rstrip("/").rpartition("/")[2]
                if index.status != 200:
                    self._send(index.status, b"", "text/plain")
                elif self.path.startswith("/files/") and last in index.files:
                    self._send(200, index.files[last], "application/octet-stream")
                elif self.path.startswith("/simple/") and index.page(last):
                    page = {"meta": {"api-version": "1.1"}, "name": last, "versions": [], "files": index.page(last)}
                    self._send(200, json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
                else:
                    self._send(404, b"", "text/plain")

            def _send(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def page(self, name: str) -> list[dict[str, object]]:
        return [
            {
                "filename": file,
                "url": f"{self.url.removesuffix('/simple')}/files/{file}",
                "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
                "size": len(content),
                "requires-python": None,
                "yanked": False,
            }
            for file, content in self.files.items()
            if file.partition("-")[0] == name.replace("-", "_")
        ]


def wheel(name: str, version: str, tag: str, requires: tuple[str, ...] = (), size: int = 0) -> bytes:
    """The bytes of a wheel with one module, ``name``, and its ``VERSION``."""
    info = f"{name}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {text}" for text in requires)]
    members = {
        f"{name}.py": f"VERSION = {version!r}\n".encode(),
        f"{info}/METADATA": ("\n".join(lines) + "\n").encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    if size:
        members[f"{name}_data.bin"] = bytes(size)
    rows = [f"{path},{_record(content)},{len(content)}" for path, content in members.items()]
    members[f"{info}/RECORD"] = ("\n".join([*rows, f"{info}/RECORD,,"]) + "\n").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # stored: the size of the wheel is that of what it holds
        for path, content in members.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def _record(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An empty index that is the only one, with a cache of its own: uv remembers what an index said."""
    made = Index()
    monkeypatch.setenv("UV_DEFAULT_INDEX", made.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    yield made
    made.stop()
