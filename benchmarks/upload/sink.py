"""A server that takes every upload and keeps next to nothing, so that what is measured is the client.

It answers as GCS does, over JSON and XML, and as S3 does. Of an object it knows size and CRC32C, and the MD5 that came with it,
so that clients that compare them can, and of small ones the content. ``sink.py DELAY`` serves on a free port, prints that, and
answers each request DELAY seconds after its last byte. ``GET /-/arrived`` tells what has arrived, ``DELETE /-/arrived`` forgets
it; neither is counted, nor delayed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import google_crc32c
import uvloop

from cpr.storage.crc32c import joined

_BUFFER = 256 << 10
"""Bytes read at a time: what stays in the processor's cache until it is summed up."""
_ARRIVED = "/-/arrived"
_SMALL = 40_000
"""Bytes of content that is kept: a manifest of 200 files is read back, a file of 50 KB is not."""
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an object, or of a part of one; ``content`` where it is small."""

    size: int
    crc32c: int
    content: bytes = b""
    md5: bytes = b""
    etags: tuple[bytes, ...] = ()

    @property
    def etag(self) -> str:
        if any(self.etags):
            return f'"{hashlib.md5(b"".join(self.etags)).hexdigest()}-{len(self.etags)}"'
        return f'"{self.md5.hex() or self.digest}"'

    @property
    def digest(self) -> str:
        return base64.b64encode(self.crc32c.to_bytes(4, "big")).decode()


@dataclass(slots=True)
class Arrived:
    """All that has arrived: by name the objects that are whole, and the parts of those that are not; the number of requests."""

    objects: dict[str, Known] = field(default_factory=dict)
    parts: dict[str, dict[int, Known]] = field(default_factory=dict)
    requests: int = 0

    def forget(self) -> None:
        self.objects.clear()
        self.parts.clear()
        self.requests = 0

    def to_json(self) -> bytes:
        sizes = {name: known.size for name, known in self.objects.items()}
        return json.dumps({"requests": self.requests, "sizes": sizes}).encode()


class Connection(asyncio.BufferedProtocol):
    def __init__(self, delay: float, arrived: Arrived) -> None:
        self._delay, self._arrived = delay, arrived
        self._objects, self._parts = arrived.objects, arrived.parts
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
                if self._md5 is not None:
                    self._md5.update(taken)
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
        # gcloud compares MD5s alone, and says them nowhere; the others need not wait for one.
        self._md5 = hashlib.md5() if "gcloud" in headers.get("user-agent", "") else None
        # Only what is small, or carries metadata beside its content, is kept until it is whole.
        self._kept = bytearray() if "uploadType=multipart" in target or self._left <= _SMALL else None
        if headers.get("expect"):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._left and not len(rest):
            self._answer()
        return rest

    def _answer(self) -> None:
        assert self._request is not None
        (method, target, headers), self._request = self._request, None
        if target == _ARRIVED:
            self._transport.write(self._own(method))
            return
        self._arrived.requests += 1
        answer = self._answer_to(method, target, headers)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _own(self, method: str) -> bytes:
        if method == "DELETE":
            self._arrived.forget()
        return _reply(200, {"Content-Type": "application/json"}, self._arrived.to_json())

    def _answer_to(self, method: str, target: str, headers: dict[str, str]) -> bytes:
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        if parts.path.startswith(("/upload/", "/resumable/", "/storage/v1/")):
            return self._json(method, parts.path, query, headers)
        return self._xml(method, unquote(parts.path).lstrip("/").partition("/")[2], query, headers)

    def _json(self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> bytes:
        if method == "GET":
            name = unquote(path.partition("/o/")[2])
            if not name:
                return _reply(200, {}, b'{"kind": "storage#objects"}' if path.endswith("/o") else b'{"name": "bench"}')
            found = self._objects.get(name)
            if found is None:
                return _reply(404, {}, b'{"error": {"code": 404, "message": "not found"}}')
            return _reply(200, {}, found.content) if query.get("alt") == ["media"] else _document(name, found)
        if method == "DELETE":
            self._objects.pop(unquote(path.partition("/o/")[2]), None)
            return _reply(204, {}, b"")
        name = query.get("name", ["object"])[0]
        if query.get("uploadType") == ["resumable"] and method == "POST":
            name = json.loads(bytes(self._kept or b"{}") or b"{}").get("name", name)
            place = f"http://{headers['host']}{path}?uploadType=resumable&upload_id=1&name={quote(name)}"
            return _reply(200, {"Location": place}, b"")
        arrived = self._content(headers)
        if query.get("uploadType") == ["multipart"]:
            name, content = _related(headers["content-type"], bytes(self._kept or b""))
            kept = content if len(content) <= _SMALL else b""
            md5 = b"" if self._md5 is None else hashlib.md5(content).digest()
            arrived = Known(len(content), google_crc32c.value(content), kept, md5)
        if "content-range" in headers:
            return self._chunk(name, headers["content-range"], arrived)
        self._objects[name] = arrived
        return _document(name, arrived)

    def _chunk(self, name: str, place: str, chunk: Known) -> bytes:
        """A piece of a resumable session: ``bytes 0-99/300``, one after the other."""
        span, _, total = place.removeprefix("bytes ").partition("/")
        start = int(span.partition("-")[0]) if "-" in span else 0
        before = self._parts.setdefault(name, {}).get(0, Known(0, 0)) if start else Known(0, 0)
        so_far = chunk
        if before.size:
            so_far = Known(before.size + chunk.size, joined([(before.crc32c, before.size), (chunk.crc32c, chunk.size)]))
        if total.isdigit() and so_far.size < int(total):
            self._parts.setdefault(name, {})[0] = so_far
            return _reply(308, {"Range": f"bytes=0-{so_far.size - 1}"}, b"")
        self._parts.pop(name, None)
        self._objects[name] = so_far
        return _document(name, so_far)

    def _content(self, headers: dict[str, str]) -> Known:
        md5 = base64.b64decode(headers.get("content-md5", "")) if self._md5 is None else self._md5.digest()
        return Known(self._size, self._crc, bytes(self._kept or b"")[:_SMALL], md5)

    def _xml(self, method: str, key: str, query: dict[str, list[str]], headers: dict[str, str]) -> bytes:
        if method in ("GET", "HEAD"):
            return self._xml_read(method, key, query)
        if method == "DELETE":
            self._objects.pop(key, None)
            return _reply(204, {}, b"")
        if method == "POST" and "uploads" in query:
            self._parts[key] = {}
            result = f"<Bucket>bench</Bucket><Key>{key}</Key><UploadId>upload</UploadId>"
            return _xml_reply(f"<InitiateMultipartUploadResult {_NAMESPACE}>{result}</InitiateMultipartUploadResult>")
        if method == "POST":
            parts = [part for _, part in sorted(self._parts.pop(key).items())]
            size, crc32c = sum(part.size for part in parts), joined((part.crc32c, part.size) for part in parts)
            self._objects[key] = Known(size, crc32c, etags=tuple(part.md5 for part in parts))
            result = f"<Bucket>bench</Bucket><Key>{key}</Key><ETag>{self._objects[key].etag}</ETag>"
            return _xml_reply(f"<CompleteMultipartUploadResult {_NAMESPACE}>{result}</CompleteMultipartUploadResult>")
        arrived = self._content(headers)
        if "partNumber" in query:
            self._parts[key][int(query["partNumber"][0])] = arrived
        else:
            self._objects[key] = arrived
        return _reply(200, {"ETag": arrived.etag, "x-goog-hash": f"crc32c={arrived.digest}"}, b"")

    def _xml_read(self, method: str, key: str, query: dict[str, list[str]]) -> bytes:
        if not key:
            return _xml_reply("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        found = self._objects.get(key)
        if found is None:
            return _xml_reply("<Error><Code>NoSuchKey</Code><Message>not found</Message></Error>", 404, method != "HEAD")
        headers = {"ETag": found.etag, "x-goog-hash": f"crc32c={found.digest}"}
        return _reply(200, headers, found.content, length=found.size if method == "HEAD" else None, bare=method == "HEAD")


def _document(name: str, found: Known) -> bytes:
    document = {
        "kind": "storage#object",
        "name": name,
        "bucket": "bench",
        "generation": "1",
        "metageneration": "1",
        "size": str(found.size),
        "crc32c": found.digest,
        **({"md5Hash": base64.b64encode(found.md5).decode()} if found.md5 else {}),
    }
    return _reply(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


def _related(kind: str, body: bytes) -> tuple[str, bytes]:
    """Name and content of a ``multipart/related`` body: metadata first, then the content. gcloud ends lines with LF alone."""
    mark = b"--" + kind.partition("boundary=")[2].partition(";")[0].strip("\"' ").encode()
    end = b"\r\n" if body.startswith(mark + b"\r\n") else b"\n"
    metadata, content = body.removeprefix(mark + end).split(end + mark, 2)[:2]
    return json.loads(metadata.partition(2 * end)[2])["name"], content.partition(2 * end)[2]


def _reply(status: int, headers: dict[str, str], body: bytes, length: int | None = None, bare: bool = False) -> bytes:
    count = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {count}", *(f"{key}: {value}" for key, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if bare else body)


def _xml_reply(text: str, status: int = 200, with_body: bool = True) -> bytes:
    return _reply(status, {"Content-Type": "application/xml"}, f"{_XML}{text}".encode() if with_body else b"")


async def serve(delay: float) -> None:
    loop = asyncio.get_running_loop()
    arrived = Arrived()
    server = await loop.create_server(lambda: Connection(delay, arrived), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
