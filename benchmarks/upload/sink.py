"""A server that takes every upload and keeps nothing, so that what is measured is the client.

It answers as GCS does, over JSON and XML, and as S3 does: with the CRC32C of what came, so that clients that compare it can.
``sink.py DELAY`` serves on a free port, prints that, and answers each request DELAY seconds after its last byte.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
import uvloop

_BUFFER = 1 << 20
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Connection(asyncio.BufferedProtocol):
    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._buffer = bytearray(_BUFFER)
        self._head = bytearray()
        self._left = 0
        self._request: tuple[str, str, dict[str, str]] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)

    def buffer_updated(self, count: int) -> None:
        self._feed(memoryview(self._buffer)[:count])

    def _feed(self, data: memoryview) -> None:
        while len(data):
            if self._request is None:
                data = self._read_head(data)
            if self._request is not None:
                taken = data[: self._left]
                self._left -= len(taken)
                self._crc = google_crc32c.extend(self._crc, bytes(taken))
                self._size += len(taken)
                if self._kept is not None:
                    self._kept += taken
                data = data[len(taken) :]
                if not self._left:
                    self._answer()

    def _read_head(self, data: memoryview) -> memoryview:
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return data[len(data) :]
        lines = bytes(self._head[:end]).decode("latin-1").split("\r\n")
        rest = data[end + 4 - before :]
        self._head.clear()
        method, target, _ = lines[0].split(" ", 2)
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
        self._request = method, target, headers
        self._left, self._crc, self._size = int(headers.get("content-length", 0)), 0, 0
        # Only what is small, or carries metadata beside its content, is kept until it is whole.
        self._kept = bytearray() if "uploadType=multipart" in target else None
        if headers.get("expect"):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._left and not len(rest):
            self._answer()
        return rest

    def _answer(self) -> None:
        assert self._request is not None
        answer = self._answer_to(*self._request)
        self._request = None
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _answer_to(self, method: str, target: str, headers: dict[str, str]) -> bytes:
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        if parts.path.startswith(("/upload/", "/resumable/", "/storage/v1/")):
            return self._json(method, parts.path, query, headers)
        return self._xml(method, parts.path, query)

    def _json(self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> bytes:
        if method == "GET":
            if path.endswith("/o"):
                return _reply(200, {}, b'{"kind": "storage#objects"}')
            if "/o/" in path:
                return _reply(404, {}, b'{"error": {"code": 404, "message": "not found"}}')
            return _reply(200, {}, b'{"kind": "storage#bucket", "name": "bench"}')
        if method == "DELETE":
            return _reply(204, {}, b"")
        name = query.get("name", ["object"])[0]
        if query.get("uploadType") == ["resumable"] and method == "POST":
            return _reply(200, {"Location": f"http://{headers['host']}{path}?uploadType=resumable&upload_id=1&name=x"}, b"")
        crc, size = self._crc, self._size
        if self._kept is not None:
            name, content = _related(bytes(self._kept))
            crc, size = google_crc32c.value(content), len(content)
        document = {
            "kind": "storage#object",
            "name": name,
            "bucket": "bench",
            "generation": "1",
            "metageneration": "1",
            "size": str(size),
            "crc32c": base64.b64encode(crc.to_bytes(4, "big")).decode(),
        }
        return _reply(200, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def _xml(self, method: str, path: str, query: dict[str, list[str]]) -> bytes:
        if method == "GET" and "list-type" in query:
            return _reply(200, {}, f"{_XML}<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".encode())
        if method in ("GET", "HEAD") and path.count("/") > 1:
            body = f"{_XML}<Error><Code>NoSuchKey</Code><Message>not found</Message></Error>".encode()
            return _reply(404, {}, b"" if method == "HEAD" else body)
        if method == "DELETE":
            return _reply(204, {}, b"")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        if method == "POST" and "uploads" in query:
            result = f"<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>upload</UploadId>"
            body = f"{_XML}<InitiateMultipartUploadResult {_NAMESPACE}>{result}</InitiateMultipartUploadResult>".encode()
            return _reply(200, {"Content-Type": "application/xml"}, body)
        if method == "POST":
            result = f'<Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>"whole"</ETag>'
            body = f"{_XML}<CompleteMultipartUploadResult {_NAMESPACE}>{result}</CompleteMultipartUploadResult>".encode()
            return _reply(200, {"Content-Type": "application/xml"}, body)
        crc32c = base64.b64encode(self._crc.to_bytes(4, "big")).decode()
        return _reply(200, {"ETag": f'"{self._crc:08x}"', "x-goog-hash": f"crc32c={crc32c}"}, b"")


def _related(body: bytes) -> tuple[str, bytes]:
    """Name and content of a ``multipart/related`` body: metadata first, then the content."""
    boundary = body[: body.find(b"\r\n")]
    _, metadata, content = body.split(boundary, 2)
    content = content.partition(b"\r\n\r\n")[2]
    content = content[: content.rfind(b"\r\n" + boundary)]
    return json.loads(metadata.partition(b"\r\n\r\n")[2])["name"], content


def _reply(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *(f"{key}: {value}" for key, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def serve(delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(delay), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
