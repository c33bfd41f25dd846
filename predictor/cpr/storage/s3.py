"""S3 and what speaks its protocol.

An endpoint (the option, ``AWS_ENDPOINT_URL_S3``/``AWS_ENDPOINT_URL``, or the profile's) reaches another server: MinIO, moto,
or GCS itself as ``https://storage.googleapis.com`` with HMAC keys. Such servers get no header that S3 added lately (GCS answers
them with SignatureDoesNotMatch: boto/boto3 issue 4400): there every object carries a Content-MD5, which all of them check.
Doubtful on GCS: whether ``If-None-Match: *`` on a PUT is honoured (its XML API documents that header for reading alone). So
whoever creates an object there reads it back, and does not trust the answer.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

import google_crc32c

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
from cpr.storage.location import Location
from cpr.storage.multipart import Dialect, Multipart, content_md5, crc32c_header, md5_matches, parse, tells_of_parts, text_of
from cpr.storage.s3_errors import NO_BUCKET, S3Errors, code_of
from cpr.storage.s3_sign import Account
from cpr.storage.service import Service
from cpr.storage.wire import Answer, Body, Wire

_COPY_LIMIT = 5 * 10**9
"""The most that one request copies (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html)."""
_SAFE = "/-_.~"


class _Checksums:
    """CRC32C, and MD5, which is the ETag of what is sent in one request."""

    def __init__(self) -> None:
        self._crc32c: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, block: bytes) -> None:
        self._crc32c.update(block)
        self._md5.update(block)

    def values(self) -> dict[str, str]:
        return {"crc32c": self._crc32c.digest().hex(), "etag": self._md5.hexdigest()}


class S3Storage(S3Errors, Bucket):
    part_bytes = 8 << 20

    def __init__(self, location: Location, endpoint: str | None = None) -> None:
        self._bucket = location.bucket
        with self._explained(""):
            account = Account(endpoint)
            url, path = account.address(self._bucket)
        self._amazon, self._region = account.amazon, account.region
        self.creates_once = account.amazon
        wire = Wire(url, account.ca_file)
        self._service = Service(wire, account.signer(wire), account.renew)
        self._path = wire.base + path
        self._parts = _AMAZON_PARTS if self._amazon else _OTHER_PARTS

    @property
    def parallel(self) -> int:
        return self._service.parallel

    def stop(self, at_once: bool) -> None:
        self._service.wire.stop(at_once)

    def go_on(self) -> None:
        self._service.wire.go_on()

    def hasher(self) -> Hasher:
        return _Checksums()

    def write(
        self, name: str, content: bytes, expected: Fingerprint, create_only: bool = False, publisher: str = ""
    ) -> Stored | None:
        check_name(name, self.uri(""))
        headers = {"x-amz-content-sha256": expected.sha256, "Content-Type": "application/octet-stream"}
        if self._amazon:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(expected.sha256)).decode()
        else:
            headers |= content_md5(content)
        if create_only:
            headers["If-None-Match"] = "*"
        if publisher:
            headers["x-amz-meta-publisher"] = quote(publisher, safe="@ ")
        with self._explained(name):
            answer = self._service.move("PUT", self._target(name), headers, content)
        # 409 where two conditional writes meet: one of them is about to be there.
        if create_only and answer.status in (409, 412):
            return None
        return self._reported(answer, name, expected.size)

    def parts(self, name: str, size: int, part: int, session: str | None = None) -> Parts | None:
        check_name(name, self.uri(""))

        def ask(method: str, query: str, headers: Mapping[str, str], body: Body) -> Answer:
            with self._explained(name):
                answer = self._service.move(method, f"{self._target(name)}?{query}", headers, body)
            return answer if tells_of_parts(method, query, answer) else self._good(answer, name)

        rest = (ask, self._parts, lambda: self.stat(name), self.uri(name), size, part)
        if session is None:
            with self._understood(name):
                return Multipart.begin(*rest)
        found = Multipart(*rest, session)
        return None if not session.isascii() or found.stale() else found

    def copy(self, source: str, name: str) -> Stored | None:
        found = self.stat(source)
        if found is None or found.size > _COPY_LIMIT:
            return None
        headers = {"x-amz-copy-source": quote(f"/{self._bucket}/{source}", safe=_SAFE)}
        with self._explained(name):
            answer = self._service.move("PUT", self._target(name), headers, b"")
        # An error may come with status 200 (API_CopyObject): then the content is sent instead.
        if answer.status in (400, 404, 405, 501) or b"<Error>" in answer.body:
            return None
        self._good(answer, name)
        return self.stat(name)

    def stat(self, name: str) -> Stored | None:
        check_name(name, self.uri(""))
        headers = {"x-amz-checksum-mode": "ENABLED"} if self._amazon else {}
        with self._explained(name):
            answer = self._service.ask("HEAD", self._target(name), headers)
        if answer.status == 404:
            return None
        return self._reported(answer, name)

    def download(self, name: str, sink: Sink, limit: int, start: int = 0) -> bool:
        check_name(name, self.uri(""))
        headers = {"Range": f"bytes={start}-{start + limit - 1}"} if start else {}
        with self._explained(name):
            try:
                answer = self._service.move("GET", self._target(name), headers, None, LimitedSink(sink, limit))
            except TooLong:
                raise too_long(self.uri(name), limit) from None
        if answer.status == 404 and code_of(answer) not in NO_BUCKET:
            return False
        if answer.status != 416:  # nothing from there on
            self._good(answer, name)
        return True

    def objects(self, prefix: str) -> Iterator[tuple[str, Stored]]:
        for page in self._pages({"list-type": "2", "prefix": prefix, "encoding-type": "url"}):
            with self._understood(""):
                found = [_listed(item) for item in page.iterfind("{*}Contents")]
            yield from found

    def folders(self, prefix: str) -> tuple[str, ...]:
        found: list[str] = []
        for page in self._pages({"list-type": "2", "prefix": prefix, "delimiter": "/", "encoding-type": "url"}):
            for item in page.iterfind("{*}CommonPrefixes"):
                found.append(unquote(text_of(item, "Prefix").replace("+", " "))[len(prefix) : -1])
        return tuple(sorted(found))

    def delete(self, name: str) -> None:
        with self._explained(name):
            answer = self._service.ask("DELETE", self._target(name))
        if answer.status != 404 or code_of(answer) in NO_BUCKET:
            self._good(answer, name)

    def _target(self, name: str) -> str:
        return f"{self._path}/{quote(name, safe=_SAFE)}"

    def _pages(self, query: dict[str, str]) -> Iterator[Any]:
        while True:
            with self._explained(""):
                answer = self._service.ask("GET", f"{self._path or '/'}?{urlencode(query, quote_via=quote)}")
            with self._understood(""):
                page = parse(self._good(answer, "").body)
            yield page
            following = text_of(page, "NextContinuationToken")
            if text_of(page, "IsTruncated") != "true" or following in ("", query.get("continuation-token")):
                return
            query = {**query, "continuation-token": following}

    def _reported(self, answer: Answer, name: str, size: int | None = None) -> Stored:
        """What a good answer to PUT or HEAD tells; the ``size`` of what was put is not told."""
        self._good(answer, name)
        with self._understood(name):
            return _stored(answer, int(answer.header("Content-Length") or 0) if size is None else size)


_AMAZON_PARTS = Dialect(
    {"x-amz-checksum-algorithm": "CRC32C", "x-amz-checksum-type": "FULL_OBJECT"}, crc32c_header, lambda *part: True
)
"""Amazon's own servers compare a part with the checksum beside it, and add them up to the whole's."""
_OTHER_PARTS = Dialect({}, content_md5, md5_matches)


def _stored(answer: Answer, size: int) -> Stored:
    """Read the checksums out of an answer to PUT or HEAD. Parts' checksums (with a dash) and keys of KMS say nothing."""
    checksums = {}
    encrypted = answer.header("x-amz-server-side-encryption")
    if encrypted in ("", "AES256") and not answer.header("x-amz-server-side-encryption-customer-algorithm"):
        checksums["etag"] = answer.header("ETag").strip('"').lower()
    for name, length in (("sha256", 32), ("crc32c", 4)):
        text = answer.header(f"x-amz-checksum-{name}")
        if text and "-" not in text and answer.header("x-amz-checksum-type") != "COMPOSITE":
            value = base64.b64decode(text)
            if len(value) == length:
                checksums[name] = value.hex()
    try:
        updated = parsedate_to_datetime(answer.header("Last-Modified")).timestamp()
    except (OverflowError, TypeError, ValueError):
        updated = None
    return Stored(size, checksums, updated, unquote(answer.header("x-amz-meta-publisher")))


def _listed(item: Any) -> tuple[str, Stored]:
    etag = text_of(item, "ETag").strip('"').lower()
    return unquote(text_of(item, "Key").replace("+", " ")), Stored(int(text_of(item, "Size") or 0), {"etag": etag})
