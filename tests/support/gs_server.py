"""gcp-storage-emulator with what it lacks and cpr relies on: threads, and the ``ifGenerationMatch`` precondition.

Run as a program it serves on a free port and prints that. The stock emulator answers one connection at a time and overwrites an
object whatever the precondition says.
"""

from __future__ import annotations

import logging
import sys
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.server import RequestHandler, Router
from gcp_storage_emulator.storage import Storage

_ONE_AT_A_TIME = threading.RLock()


class Handler(RequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._guarded("GET")

    def do_POST(self) -> None:
        self._guarded("POST")

    def do_PUT(self) -> None:
        self._guarded("PUT")

    def do_DELETE(self) -> None:
        self._guarded("DELETE")

    def do_PATCH(self) -> None:
        self._guarded("PATCH")

    def _guarded(self, method: str) -> None:
        # Read the body before the lock: a client that stalls must not stop the others.
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        plain, self.rfile = self.rfile, _Body(body)
        with _ONE_AT_A_TIME:
            if self._refused(method, body):
                self.send_response(412, "Precondition Failed")
                answer = b'{"error": {"code": 412, "message": "conditionNotMet"}}'
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            else:
                Router(self).handle(method)
        self.rfile = plain

    def _refused(self, method: str, body: bytes) -> bool:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if "ifGenerationMatch" not in query or method not in ("POST", "PUT", "DELETE"):
            return False
        wanted = int(query["ifGenerationMatch"][0])
        bucket, _, name = parts.path.partition("/b/")[2].partition("/o")
        name = query["name"][0] if "name" in query else unquote(name.lstrip("/")) or _name_in(body)
        try:
            return int(self.storage.get_file_obj(unquote(bucket), name)["generation"]) != wanted
        except NotFound:
            return wanted != 0


class _Body:
    """What ``http.server`` needs of a request stream, over bytes."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def read(self, count: int = -1) -> bytes:
        start = self._at
        self._at = len(self._content) if count < 0 else min(len(self._content), start + count)
        return self._content[start : self._at]

    def readline(self, limit: int = -1) -> bytes:
        end = self._content.find(b"\n", self._at) + 1
        return self.read((end or len(self._content)) - self._at)


def _name_in(body: bytes) -> str:
    """The object's name in the JSON that opens an upload, alone or as the first part of a multipart body."""
    import json

    start = body.find(b"{")
    document, _ = json.JSONDecoder().raw_decode(body[start:].decode("utf-8", "replace"))
    return str(document["name"])


def main() -> None:
    logging.disable(logging.CRITICAL)
    storage = Storage(use_memory_fs=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, storage))
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
