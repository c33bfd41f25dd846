"""A Google Cloud Storage for tests: gcp-storage-emulator, with what it lacks and uploads rely on.

The stock emulator answers one connection at a time, overwrites an object whatever the precondition says, and knows neither
pages nor uploads in parts. Buckets, access lists, ``patch``, ``compose`` and ``batch`` stay its own, without preconditions;
``fields`` is ignored.

``python -m support.gs_server``, in ``tests``, serves on a free port and prints that. Of its own it answers
``GET /__requests__`` with all requests so far: ``[{method, path, bytes_received, status}]``, the path with its query, the
status null while there is no answer. ``DELETE /__requests__`` forgets them, ``DELETE /__uploads__`` every upload that is not
complete.
"""

from __future__ import annotations

import argparse
import io
import logging
import sys
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from typing import BinaryIO, cast

from gcp_storage_emulator.server import RequestHandler, Router

from support.gs_http import Answer, Broken, Call, Refused, json_answer, json_error
from support.gs_json import JsonApi
from support.gs_objects import Objects
from support.gs_xml import XmlApi


class Service:
    def __init__(self, largest_page: int = 1000, in_parts: bool = True) -> None:
        self.objects = Objects()
        self.json = JsonApi(self.objects, largest_page)
        self.xml = XmlApi(self.objects, largest_page, in_parts)
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Answer | None:
        """None where the stock emulator is to answer."""
        if call.path.startswith("/__"):
            return self._own(call)
        with self._lock:
            self._calls.append(call)
        try:
            return self.json.answer(call) or self.xml.answer(call)
        except Refused as error:
            return json_error(error)

    def _own(self, call: Call) -> Answer:
        if call.method == "DELETE" and call.path == "/__uploads__":
            self.json.sessions.forget()
            if self.xml.parts:
                self.xml.parts.forget()
            return Answer(204)
        if call.path != "/__requests__":
            return Answer(404)
        with self._lock:
            calls = list(self._calls)
            if call.method == "DELETE":
                self._calls.clear()
                return Answer(204)
        names = ("method", "target", "arrived", "status")
        keys = ("method", "path", "bytes_received", "status")
        return json_answer([dict(zip(keys, (getattr(one, name) for name in names), strict=True)) for one in calls])


class Handler(RequestHandler):  # type: ignore[misc]
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def __init__(self, service: Service, *arguments: object) -> None:
        self.service = service
        super().__init__(service.objects.storage, *arguments)

    def _serve(self) -> None:
        self.call = call = Call(self.command, self.path, self.headers, cast(BinaryIO, self.rfile))
        try:
            # Only what is stored is behind a lock: a client that stalls does not stop the others.
            answer = self.service.answer(call)
            if answer is None:
                self._stock(call)
                return
            call.drain()
            self._send(answer)
        except (Broken, ConnectionError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def send_response(self, code: int, message: str | None = None) -> None:
        self.call.status = code
        super().send_response(code, message)

    def _stock(self, call: Call) -> None:
        body = call.body()
        del self.headers["Transfer-Encoding"], self.headers["Content-Length"]
        self.headers["Content-Length"] = str(len(body))
        plain, self.rfile = self.rfile, io.BytesIO(body)
        with self.service.objects.lock:
            Router(self).handle(self.command)
        self.rfile = plain

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status, "Resume Incomplete" if answer.status == 308 else None)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--largest-page", type=int, default=1000, help="names and parts that a page of a listing holds at most")
    parser.add_argument("--no-parts", action="store_true", help="answer 501 to uploads in parts, as servers like GCS do")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    server = Server(("127.0.0.1", 0), partial(Handler, Service(options.largest_page, not options.no_parts)))
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
