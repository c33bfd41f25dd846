"""S3 and what speaks its protocol, through boto3; the one module that imports it.

An endpoint (the option, or ``AWS_ENDPOINT_URL_S3``/``AWS_ENDPOINT_URL``) reaches another server: MinIO, moto, or GCS itself as
``https://storage.googleapis.com`` with HMAC keys. Such servers get no header that S3 added lately: botocore's own checksums are
sent only where the protocol demands them (GCS answers them with SignatureDoesNotMatch: boto/boto3 issue 4400), and every small
object carries a Content-MD5, which all of them check. Doubtful on GCS: whether ``If-None-Match: *`` on a PUT is honoured (its
XML API documents that header for reading alone). So whoever creates an object reads it back, and does not trust the answer.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error, S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore import exceptions as boto
from botocore.config import Config

from cpr.errors import ChecksumError, StorageError
from cpr.storage.base import Fingerprint, Hasher, LimitedSink, Sink, Stored, TooLong, check_name, open_content, too_long
from cpr.storage.location import Location

_PART = 8 << 20
"""Larger objects are sent in parts of this many bytes; the ETag depends on it."""
_TRANSFER = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=4)
_MISSING = {"404", "NoSuchKey", "NotFound"}
_TAKEN = {"412", "PreconditionFailed"}
_BEHIND = {"416", "InvalidRange"}
_NO_BUCKET = {"NoSuchBucket"}
_DAMAGED = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
_BAD_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthFailure", "401"}
_REFUSED = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"}


class _Checksums:
    """CRC32, and the ETag as S3 makes it: MD5 of the content, or of the parts' MD5s with their number behind it."""

    def __init__(self) -> None:
        self._crc32 = 0
        self._parts: list[bytes] = []
        self._part, self._room = hashlib.md5(usedforsecurity=False), _PART

    def update(self, block: bytes) -> None:
        self._crc32 = zlib.crc32(block, self._crc32)
        view = memoryview(block)
        while len(view) > self._room:
            self._part.update(view[: self._room])
            view = view[self._room :]
            self._parts.append(self._part.digest())
            self._part, self._room = hashlib.md5(usedforsecurity=False), _PART
        self._part.update(view)
        self._room -= len(view)

    def values(self) -> dict[str, str]:
        parts = [*self._parts, self._part.digest()]
        etag = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest() + f"-{len(parts)}"
        return {"crc32": f"{self._crc32:08x}", "etag": parts[0].hex() if len(parts) == 1 else etag}


class S3Storage:
    parallel = 8

    def __init__(self, location: Location, endpoint: str | None = None) -> None:
        self._bucket = location.bucket
        self._endpoint = endpoint or "S3"
        with self._explained(""):
            self._client, self._foreign = _client(endpoint)
            self._endpoint = self._client.meta.endpoint_url

    def uri(self, name: str) -> str:
        return f"s3://{self._bucket}" + (f"/{name}" if name else "")

    def hasher(self) -> Hasher:
        return _Checksums()

    def write(self, name: str, content: Path | bytes, expected: Fingerprint, create_only: bool = False) -> Stored | None:
        check_name(name, self.uri(""))
        with self._explained(name):
            if expected.size > _PART and not create_only:
                with open_content(content) as file:
                    self._client.upload_fileobj(file, self._bucket, name, Config=_TRANSFER)
                return self.stat(name)
            md5 = expected.checksums["etag"]
            condition = {"IfNoneMatch": "*"} if create_only else {}
            digest = {"ContentMD5": base64.b64encode(bytes.fromhex(md5)).decode()} if "-" not in md5 else {}
            try:
                with open_content(content) as file:
                    answer = self._client.put_object(
                        Bucket=self._bucket, Key=name, Body=file, ContentLength=expected.size, **digest, **condition
                    )
            except boto.ClientError as error:
                # 409 where two conditional writes meet: one of them is about to be there.
                if create_only and _code(error) in {*_TAKEN, "ConditionalRequestConflict", "409"}:
                    return None
                raise
            return _stored(answer, expected.size)

    def stat(self, name: str) -> Stored | None:
        check_name(name, self.uri(""))
        mode = {} if self._foreign else {"ChecksumMode": "ENABLED"}
        with self._explained(name):
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=name, **mode)
            except boto.ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            return _stored(answer, int(answer["ContentLength"]))

    def download(self, name: str, sink: Sink, limit: int, start: int = 0) -> bool:
        check_name(name, self.uri(""))
        limited = LimitedSink(sink, limit)
        part = {"Range": f"bytes={start}-{start + limit - 1}"} if start else {}
        with self._explained(name):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=name, **part)["Body"]
            except boto.ClientError as error:
                if _code(error) in _MISSING:
                    return False
                if start and _code(error) in _BEHIND:
                    return True
                raise
            try:
                with body:
                    for block in body.iter_chunks(1 << 20):
                        limited.write(block)
            except TooLong:
                raise too_long(self.uri(name), limit) from None
            return True

    def list(self, prefix: str) -> Iterator[str]:
        return (name for name, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._explained(""):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield item["Key"], int(item["Size"])

    def folders(self, prefix: str) -> tuple[str, ...]:
        found: list[str] = []
        with self._explained(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
            for page in pages:
                found += [item["Prefix"][len(prefix) : -1] for item in page.get("CommonPrefixes", ())]
        return tuple(sorted(found))

    def delete(self, name: str) -> None:
        with self._explained(name):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn the client's many exceptions into one ``StorageError`` that says what to do."""
        try:
            yield
        except (boto.BotoCoreError, boto.ClientError, Boto3Error, OSError) as error:
            raise self._error(error, self.uri(name)) from error

    def _error(self, error: Exception, uri: str) -> StorageError:
        bucket = f"s3://{self._bucket}"
        cause = error
        if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, Exception):
            cause = error.__context__
        detail = _detail(cause)
        match cause:
            case boto.NoCredentialsError() | boto.PartialCredentialsError() | boto.CredentialRetrievalError():
                return StorageError(
                    f"There are no usable credentials for {bucket}: {detail}.",
                    "Run `aws configure`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for GCS: an HMAC key, made with "
                    "`gcloud storage hmac create SERVICE_ACCOUNT`).",
                    uri,
                )
            case boto.ProfileNotFound() | boto.ConfigParseError() | boto.InvalidRegionError() | boto.NoRegionError():
                return StorageError(f"The AWS configuration does not work: {detail}.", "Run `aws configure`.", uri)
            case boto.ClientError():
                return self._answer(cause, uri)
            case boto.HTTPClientError() | boto.ConnectionError() | boto.IncompleteReadError():
                return StorageError(
                    f"{self._endpoint} cannot be reached: {detail}.",
                    "Check the network, any proxy, and AWS_ENDPOINT_URL or the endpoint if set; then run it again.",
                    uri,
                )
            case OSError():
                return StorageError(
                    f"{cause.filename or uri} cannot be used: {cause.strerror or cause}.", "Check the file and the disk.", uri
                )
        return StorageError(f"{bucket} cannot be used: {detail}.", "Run it again; what is there already is kept.", uri)

    def _answer(self, error: boto.ClientError, uri: str) -> StorageError:
        bucket, code, detail = f"s3://{self._bucket}", _code(error), _detail(error)
        if code in _NO_BUCKET:
            return StorageError(
                f"The bucket {bucket} does not exist.", f"Check its name, or create it: `aws s3 mb {bucket}`.", uri
            )
        if code in _DAMAGED:
            return ChecksumError(
                f"{uri} was damaged on its way: {detail}.", "Run it again; suspect a proxy or the network.", uri
            )
        if code in _BAD_KEYS:
            return StorageError(
                f"{self._endpoint} refused the credentials: {detail}.",
                "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`.",
                uri,
            )
        if code in _REFUSED:
            return StorageError(
                f"These credentials may not do this in {bucket}: {detail}.",
                "Ask for s3:ListBucket on the bucket and s3:GetObject on its objects; to publish, s3:PutObject and "
                "s3:DeleteObject, too.",
                uri,
            )
        return StorageError(f"{bucket} answered with an error: {detail}.", "Run it again; what is there already is kept.", uri)


def _client(endpoint: str | None) -> tuple[Any, bool]:
    """A client, and whether it speaks to something other than Amazon's own S3."""
    session = boto3.session.Session()
    limits = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 4})
    limits = limits.merge(Config(max_pool_connections=32))
    client = session.client("s3", endpoint_url=endpoint, region_name=session.region_name or "us-east-1", config=limits)
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return client, False
    client.close()
    plain = Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    region = session.region_name or "us-east-1"
    return session.client("s3", endpoint_url=endpoint, region_name=region, config=limits.merge(plain)), True


def _stored(answer: dict[str, Any], size: int) -> Stored:
    """Read the checksums out of an answer to PUT or HEAD. Parts' checksums (with a dash) and keys of KMS say nothing."""
    checksums = {}
    if answer.get("ServerSideEncryption") in (None, "AES256") and not answer.get("SSECustomerAlgorithm"):
        checksums["etag"] = str(answer.get("ETag", "")).strip('"').lower()
    crc32 = answer.get("ChecksumCRC32", "")
    if crc32 and "-" not in crc32 and answer.get("ChecksumType") != "COMPOSITE":
        checksums["crc32"] = base64.b64decode(crc32).hex()
    written = answer.get("LastModified")  # not in the answer to PUT
    return Stored(size, checksums, written.timestamp() if written else None)


def _code(error: boto.ClientError) -> str:
    """The error's name; the HTTP status where the answer had no body (HEAD) or none that S3 would write."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    return str(error.response.get("Error", {}).get("Code") or status)


def _detail(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.rstrip(".") if len(text) <= 300 else text[:300] + "…"
