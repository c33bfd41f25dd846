"""S3 and what speaks its protocol. The one module that imports botocore, for configuration, credentials and signatures.

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
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

import google_crc32c
from botocore import exceptions as boto

from cpr.errors import ChecksumError, StorageError
from cpr.storage.base import (
    NOT_UNDERSTOOD,
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
from cpr.storage.s3_sign import Account
from cpr.storage.service import Service, Unreachable
from cpr.storage.wire import Answer, Body, BrokenWire, SinkFailed, Wire

_NO_BUCKET = {"NoSuchBucket"}
_DAMAGED = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
_BAD_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthFailure"}
_BAD_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
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


class S3Storage(Bucket):
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

    def uri(self, name: str) -> str:
        return f"s3://{self._bucket}" + (f"/{name}" if name else "")

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
        if answer.status == 404 and _code(answer) not in _NO_BUCKET:
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
        if answer.status != 404 or _code(answer) in _NO_BUCKET:
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

    def _good(self, answer: Answer, name: str) -> Answer:
        if answer.status >= 300:
            raise self._refusal(answer, name)
        return answer

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn what can go wrong on the way into one ``StorageError`` that says what to do."""
        uri, bucket = self.uri(name), f"s3://{self._bucket}"
        try:
            yield
        except (Unreachable, BrokenWire) as error:
            raise StorageError(
                f"{self._service.wire.netloc} cannot be reached: {_short(str(error))}.",
                "Check the network, any proxy, and AWS_ENDPOINT_URL or the endpoint if set; then run it again.",
                uri,
            ) from error
        except (boto.ProfileNotFound, boto.ConfigParseError, boto.InvalidRegionError, boto.NoRegionError) as error:
            raise StorageError(
                f"The AWS configuration does not work: {_short(str(error))}.", "Run `aws configure`.", uri
            ) from error
        except boto.BotoCoreError as error:
            raise StorageError(
                f"There are no usable credentials for {bucket}: {_short(str(error))}.",
                "Run `aws configure`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for GCS: an HMAC key, made with "
                "`gcloud storage hmac create SERVICE_ACCOUNT`).",
                uri,
            ) from error
        except SinkFailed as failure:
            raise failure.error from failure

    @contextmanager
    def _understood(self, name: str) -> Iterator[None]:
        try:
            yield
        except NOT_UNDERSTOOD as error:
            raise StorageError(
                f"s3://{self._bucket} answered with something else than S3 does: {_short(str(error))}.",
                "Check AWS_ENDPOINT_URL or the endpoint if set, and any proxy.",
                self.uri(name),
            ) from error

    def _refusal(self, answer: Answer, name: str) -> StorageError:
        uri, bucket, code, detail = self.uri(name), f"s3://{self._bucket}", _code(answer), _reason(answer)
        if code in _NO_BUCKET or answer.status == 404:
            return StorageError(
                f"The bucket {bucket} does not exist.", f"Check its name, or create it: `aws s3 mb {bucket}`.", uri
            )
        if code in _DAMAGED:
            return ChecksumError(
                f"{uri} was damaged on its way: {detail}.", "Run it again; suspect a proxy or the network.", uri
            )
        if code in _BAD_CLOCK:
            return StorageError(
                f"{bucket} refused the request for its time: {detail}.", "Set this machine's clock, and run it again.", uri
            )
        region = answer.header("x-amz-bucket-region") or _region(answer)
        if code in _ELSEWHERE or answer.status in (301, 307) or (region and region != self._region and answer.status >= 400):
            place = f"in the region {region}" if region else "in another region"
            return StorageError(
                f"The bucket {bucket} is {place}, and {self._region} was asked.",
                f"Set AWS_REGION={region or 'REGION'}, or the profile's region, and run it again.",
                uri,
            )
        if code in _BAD_KEYS or answer.status == 401:
            return StorageError(
                f"{self._service.wire.netloc} refused the credentials: {detail}.",
                "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`.",
                uri,
            )
        if answer.status == 403:
            return StorageError(
                f"These credentials may not do this in {bucket}: {detail}.",
                "Ask for s3:ListBucket on the bucket and s3:GetObject on its objects; to publish, s3:PutObject and "
                "s3:DeleteObject, too.",
                uri,
            )
        return StorageError(f"{bucket} answered with an error: {detail}.", "Run it again; what is there already is kept.", uri)


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


def _code(answer: Answer) -> str:
    """The error's name; empty where the answer had no body (HEAD) or none that S3 would write."""
    try:
        return text_of(parse(answer.body), "Code")
    except ValueError:
        return ""


def _region(answer: Answer) -> str:
    try:
        return text_of(parse(answer.body), "Region")
    except ValueError:
        return ""


def _reason(answer: Answer) -> str:
    try:
        document = parse(answer.body)
        text = f"{text_of(document, 'Code')}: {text_of(document, 'Message')}"
    except ValueError:
        text = answer.body[:300].decode("utf-8", "replace")
    return _short(f"{answer.status} {text}")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text.rstrip(".") if len(text) <= 300 else text[:300] + "…"
