"""Google Cloud Storage: its JSON API, and its XML API for content in parts.

``STORAGE_EMULATOR_HOST`` or an ``http://`` endpoint reaches an emulator, without credentials: no token ever goes in the clear.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import google_crc32c

from cpr.errors import ChecksumError, StorageError
from cpr.storage.base import (
    Bucket,
    Fingerprint,
    Hasher,
    LimitedSink,
    Parts,
    Sink,
    Stored,
    TooLong,
    check_name,
    too_long,
)
from cpr.storage.gs_errors import GoogleErrors
from cpr.storage.gs_sign import bearer, nobody
from cpr.storage.location import Location
from cpr.storage.multipart import Dialect, Multipart, tells_of_parts
from cpr.storage.resumable import STATUSES, Resumable
from cpr.storage.service import Service
from cpr.storage.wire import Answer, Body, Wire

_HOST = "https://storage.googleapis.com"
_PRINTABLE = re.compile(r"[!-~]+")
_FIELDS = "name,size,crc32c,updated,metadata"


class _Crc32c:
    def __init__(self) -> None:
        self._checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]

    def update(self, block: bytes) -> None:
        self._checksum.update(block)

    def values(self) -> dict[str, str]:
        return {"crc32c": self._checksum.digest().hex()}


class GoogleStorage(GoogleErrors, Bucket):
    creates_once = True
    part_bytes = 8 << 20

    def __init__(self, location: Location, endpoint: str | None = None) -> None:
        self._bucket = location.bucket
        emulator = _emulator() if endpoint is None else endpoint
        open_door = emulator is not None and (endpoint is None or endpoint.startswith("http://"))
        wire = Wire(emulator or _HOST)
        with self._explained(""):
            sign, renew = nobody() if open_door else bearer()
        self._service = Service(wire, sign, renew)
        self._objects = f"{wire.base}/storage/v1/b/{quote(self._bucket, safe='')}/o"
        self._upload = f"{wire.base}/upload/storage/v1/b/{quote(self._bucket, safe='')}/o"
        self._xml = f"{wire.base}/{quote(self._bucket, safe='')}"

    @property
    def parallel(self) -> int:
        return self._service.parallel

    def stop(self, at_once: bool) -> None:
        self._service.wire.stop(at_once)

    def go_on(self) -> None:
        self._service.wire.go_on()

    def hasher(self) -> Hasher:
        return _Crc32c()

    def write(
        self, name: str, content: bytes, expected: Fingerprint, create_only: bool = False, publisher: str = ""
    ) -> Stored | None:
        check_name(name, self.uri(""))
        document: dict[str, Any] = {
            "name": name,
            "crc32c": base64.b64encode(bytes.fromhex(expected.checksums["crc32c"])).decode(),
        }
        if publisher:
            document["metadata"] = {"publisher": publisher}
        kind, body = _related(document, content)
        # The name is in the body, too, as some emulators look for it there alone; no checksum covers it, so it is compared.
        query = {"uploadType": "multipart", "fields": _FIELDS, "name": name}
        if create_only:
            query["ifGenerationMatch"] = "0"
        with self._explained(name):
            answer = self._service.move("POST", f"{self._upload}?{urlencode(query)}", {"Content-Type": kind}, body)
        if answer.status == 412 and create_only:
            return None
        if answer.status == 400 and any(word in answer.body.lower() for word in (b"crc32c", b"checksum")):
            raise _damaged(self.uri(name))
        if self._document(answer, name).get("name") != name:
            raise _damaged(self.uri(name))
        return self._resource(answer, name)

    def parts(self, name: str, size: int, part: int, session: str | None = None) -> Parts | None:
        check_name(name, self.uri(""))
        if session is None:
            return self._multipart(name, size, part) or self._resumable(name, size, part)
        if not _PRINTABLE.fullmatch(session):
            return None
        if "://" in session:
            if not self._is_ours(session):
                return None
            resumable = Resumable(self._to_session(name, session), lambda: self.stat(name), size, part, session)
            return None if resumable.stale() else resumable
        found = Multipart(self._to_object(name), _XML, lambda: self.stat(name), self.uri(name), size, part, session)
        return None if found.stale() else found

    def copy(self, source: str, name: str) -> Stored | None:
        target = f"{self._objects}/{quote(source, safe='')}/rewriteTo/b/{quote(self._bucket, safe='')}/o/{quote(name, safe='')}"
        token = ""
        while True:
            with self._explained(name):
                query = f"?rewriteToken={quote(token, safe='')}" if token else ""
                answer = self._service.move("POST", target + query, {"Content-Type": "application/json"}, b"{}")
            if answer.status in (400, 404, 405, 501):
                return None  # gone meanwhile, or a server that cannot: the content is sent then
            document = self._document(answer, name)
            with self._understood(name):
                if document.get("done", True):
                    return _stored(document["resource"])
                token = str(document["rewriteToken"])

    def stat(self, name: str) -> Stored | None:
        check_name(name, self.uri(""))
        with self._explained(name):
            answer = self._service.ask("GET", f"{self._objects}/{quote(name, safe='')}?fields={_FIELDS}")
        return None if self._is_missing(answer) else self._resource(answer, name)

    def download(self, name: str, sink: Sink, limit: int, start: int = 0) -> bool:
        check_name(name, self.uri(""))
        headers = {"Accept-Encoding": "gzip", **({"Range": f"bytes={start}-{start + limit - 1}"} if start else {})}
        with self._explained(name):
            try:
                answer = self._service.move(
                    "GET", f"{self._objects}/{quote(name, safe='')}?alt=media", headers, None, LimitedSink(sink, limit)
                )
            except TooLong:
                raise too_long(self.uri(name), limit) from None
        if self._is_missing(answer):
            return False
        if answer.status != 416:  # nothing from there on
            self._good(answer, name)
        return True

    def objects(self, prefix: str) -> Iterator[tuple[str, Stored]]:
        for page in self._pages({"prefix": prefix, "fields": "items(name,size,crc32c,updated),nextPageToken"}):
            with self._understood(""):
                found = [(str(item["name"]), _stored(item)) for item in page.get("items", ())]
            yield from found

    def folders(self, prefix: str) -> tuple[str, ...]:
        found: list[str] = []
        for page in self._pages({"prefix": prefix, "delimiter": "/", "fields": "prefixes,nextPageToken"}):
            with self._understood(""):
                found += [str(name)[len(prefix) : -1] for name in page.get("prefixes", ())]
        return tuple(sorted(found))

    def delete(self, name: str) -> None:
        with self._explained(name):
            answer = self._service.ask("DELETE", f"{self._objects}/{quote(name, safe='')}")
        if answer.status != 404:
            self._good(answer, name)

    def _pages(self, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        while True:
            with self._explained(""):
                answer = self._service.ask("GET", f"{self._objects}?{urlencode(query)}")
            page = self._document(answer, "")
            yield page
            following = str(page.get("nextPageToken") or "")
            if following in ("", query.get("pageToken")):
                return
            query = {**query, "pageToken": following}

    def _multipart(self, name: str, size: int, part: int) -> Parts | None:
        """``None`` where the server, or the role of whoever asks, does not allow it: a session may be allowed all the same."""
        try:
            return Multipart.begin(self._to_object(name), _XML, lambda: self.stat(name), self.uri(name), size, part)
        except (StorageError, ValueError):
            return None

    def _resumable(self, name: str, size: int, part: int) -> Parts:
        query = urlencode({"uploadType": "resumable", "fields": _FIELDS, "name": name})
        body = json.dumps({"name": name}).encode()
        headers = {"Content-Type": "application/json", "X-Upload-Content-Length": str(size)}
        with self._explained(name):
            answer = self._service.ask("POST", f"{self._upload}?{query}", headers, body)
        session = self._good(answer, name).header("Location")
        if not self._is_ours(session):
            raise self._refusal(answer, name)
        return Resumable(self._to_session(name, session), lambda: self.stat(name), size, part, session)

    def _to_object(self, name: str) -> Any:
        target = f"{self._xml}/{quote(name, safe='/~')}"

        def ask(method: str, query: str, headers: Mapping[str, str], body: Body) -> Answer:
            with self._explained(name):
                answer = self._service.move(method, f"{target}?{query}", headers, body)
            return answer if tells_of_parts(method, query, answer) else self._good(answer, name)

        return ask

    def _to_session(self, name: str, session: str) -> Any:
        parts = urlsplit(session)
        target = f"{parts.path}?{parts.query}"

        def put(method: str, headers: Mapping[str, str], body: Body) -> Answer:
            with self._explained(name):
                answer = self._service.move(method, target, headers, body)
            return answer if answer.status in STATUSES else self._good(answer, name)

        return put

    def _is_ours(self, session: str) -> bool:
        """A session is at the server that is asked; nobody else gets the token."""
        try:
            return urlsplit(session).netloc == self._service.wire.netloc
        except ValueError:
            return False

    def _document(self, answer: Answer, name: str) -> dict[str, Any]:
        with self._understood(name):
            return dict(json.loads(self._good(answer, name).body))

    def _resource(self, answer: Answer, name: str) -> Stored:
        document = self._document(answer, name)
        with self._understood(name):
            return _stored(document)

    def _is_missing(self, answer: Answer) -> bool:
        """Whether an object is missing, and not its bucket."""
        return answer.status == 404 and b"bucket does not exist" not in answer.body


def _part_matches(answer: Answer, crc32c: int, headers: Mapping[str, str]) -> bool:
    """Whether the CRC32C that the server reports for a part is that of its content."""
    found = [text.partition("=")[2] for text in answer.header("x-goog-hash").split(",") if text.strip().startswith("crc32c=")]
    return not found or found[0].strip() == base64.b64encode(crc32c.to_bytes(4, "big")).decode()


_XML = Dialect({"Content-Type": "application/octet-stream", "Content-Length": "0"}, lambda *part: {}, _part_matches)


def _stored(document: Mapping[str, Any]) -> Stored:
    crc32c = document.get("crc32c")
    checksums = {"crc32c": base64.b64decode(crc32c).hex()} if crc32c else {}
    try:
        updated = datetime.fromisoformat(str(document["updated"]).replace("Z", "+00:00")).timestamp()
    except (KeyError, ValueError):
        updated = None
    metadata = document.get("metadata")
    publisher = str(metadata.get("publisher", "")) if isinstance(metadata, dict) else ""
    return Stored(int(document.get("size") or 0), checksums, updated, publisher)


def _related(document: Mapping[str, Any], content: bytes) -> tuple[str, tuple[bytes, ...]]:
    """Content type and body of an upload in one request: the metadata, then the content."""
    mark = secrets.token_hex(16)
    head = f"--{mark}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(document)}\r\n--{mark}\r\n"
    start = head.encode() + b"Content-Type: application/octet-stream\r\n\r\n"
    return f'multipart/related; boundary="{mark}"', (start, content, f"\r\n--{mark}--\r\n".encode())


def _damaged(uri: str) -> ChecksumError:
    return ChecksumError(
        f"{uri} was damaged on its way: its CRC32C or its name differs.", "Run it again; suspect a proxy or the network.", uri
    )


def _emulator() -> str | None:
    """Its base URL. Other languages' clients take the variable without ``http://``, too."""
    host = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    return f"http://{host}" if host and "://" not in host else host or None
