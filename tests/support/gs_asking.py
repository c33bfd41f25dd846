"""Plain requests to the test server of Google Cloud Storage, and its buckets in Google's own client."""

from __future__ import annotations

import http.client
import json
import re
import socket
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import google_crc32c
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from support.buckets import new_bucket


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def xml(self, path: str) -> list[str | None]:
        """The texts of the elements; the namespace, where there is one, is left out."""
        text = re.sub(rb' xmlns="[^"]*"', b"", self.body)
        return [found.text for found in ElementTree.fromstring(text).findall(path)]


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def crc32c(content: bytes) -> str:
    return b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


@contextmanager
def bucket_on(port: int) -> Iterator[storage.Bucket]:
    """A new bucket, through a client of its own."""
    endpoint = {"api_endpoint": f"http://127.0.0.1:{port}"}
    client = storage.Client(project="p", credentials=AnonymousCredentials(), client_options=endpoint)
    try:
        yield client.bucket(new_bucket("gs", port))
    finally:
        client.close()


def put(bucket: storage.Bucket, name: str, content: bytes, **conditions: Any) -> storage.Blob:
    blob = bucket.blob(name)
    blob.upload_from_string(content, checksum="crc32c", retry=None, **conditions)
    return blob


class Session:
    """A resumable upload, opened by the client, gone on with by hand."""

    def __init__(self, bucket: storage.Bucket, name: str, **options: Any) -> None:
        self.url = bucket.blob(name).create_resumable_upload_session(**options)
        self._parts = urlsplit(self.url)

    def ask(self, method: str, about: str, body: bytes = b"", **headers: str) -> Answer:
        path = f"{self._parts.path}?{self._parts.query}"
        return ask(self._parts.port or 80, method, path, body, content_range=about, **headers)

    def kept(self) -> int:
        answer = self.ask("PUT", "bytes */*")
        assert answer.status == 308
        return int(answer.headers.get("Range", "bytes=0--1").partition("-")[2]) + 1

    def break_off(self, total: int, content: bytes) -> None:
        """Send the beginning of everything, and hang up."""
        with socket.create_connection(("127.0.0.1", self._parts.port or 80)) as connection:
            head = f"PUT {self._parts.path}?{self._parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n"
            connection.sendall(f"{head}Content-Range: bytes 0-{total - 1}/{total}\r\n\r\n".encode() + content)


class Parts:
    def __init__(self, port: int, bucket: str, name: str) -> None:
        self._port, self.path = port, f"/{bucket}/{quote(name)}"
        self.key = ask(port, "POST", f"{self.path}?uploads").xml("UploadId")[0]

    def put(self, number: int | str, content: bytes, **headers: str) -> Answer:
        return ask(self._port, "PUT", f"{self.path}?partNumber={number}&uploadId={self.key}", content, **headers)

    def complete(self, *parts: tuple[int, str], **headers: str) -> Answer:
        rows = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        return ask(self._port, "POST", f"{self.path}?uploadId={self.key}", body, **headers)

    def ask(self, method: str, query: str = "") -> Answer:
        return ask(self._port, method, f"{self.path}?uploadId={self.key}{query}")
