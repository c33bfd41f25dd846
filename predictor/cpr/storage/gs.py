"""Google Cloud Storage through google-cloud-storage; the one module that imports it.

``STORAGE_EMULATOR_HOST`` or an ``http://`` endpoint reaches an emulator, without credentials: no token ever goes in the clear.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import google_crc32c
import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from cpr.errors import ChecksumError, StorageError
from cpr.storage.base import Fingerprint, Hasher, LimitedSink, Sink, Stored, TooLong, check_name, open_content, too_long
from cpr.storage.location import Location

_TIMEOUT = (10, 60)
"""Seconds to connect, and between two bytes of an answer."""
_ASK_SECONDS = 20.0
_MOVE_SECONDS = 120.0
"""How long a failing request is repeated: one that asks, and one that moves content."""
_LOOPBACK_SECONDS = 3.0
"""The same for a server on this machine: where nothing listens now, nothing will in two minutes."""


class _Crc32c:
    def __init__(self) -> None:
        self._checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]

    def update(self, block: bytes) -> None:
        self._checksum.update(block)

    def values(self) -> dict[str, str]:
        return {"crc32c": self._checksum.digest().hex()}


class GoogleStorage:
    parallel = 8

    def __init__(self, location: Location, endpoint: str | None = None) -> None:
        self._bucket_name = location.bucket
        emulator = _emulator() if endpoint is None else endpoint
        loopback = emulator is not None and _is_loopback(emulator)
        self._ask = DEFAULT_RETRY.with_timeout(_LOOPBACK_SECONDS if loopback else _ASK_SECONDS).with_delay(0.2, 5.0)
        self._move = DEFAULT_RETRY.with_timeout(_LOOPBACK_SECONDS if loopback else _MOVE_SECONDS).with_delay(0.2, 10.0)
        open_door = emulator is not None and (endpoint is None or endpoint.startswith("http://"))
        with self._explained(""):
            self._client = storage.Client(
                project=None,  # a project is needed to make buckets, not to use them
                credentials=AnonymousCredentials() if open_door else None,  # type: ignore[no-untyped-call]
                client_options={"api_endpoint": emulator} if emulator else None,
            )
        self._bucket = self._client.bucket(self._bucket_name)

    def uri(self, name: str) -> str:
        return f"gs://{self._bucket_name}" + (f"/{name}" if name else "")

    def hasher(self) -> Hasher:
        return _Crc32c()

    def write(self, name: str, content: Path | bytes, expected: Fingerprint, create_only: bool = False) -> Stored | None:
        check_name(name, self.uri(""))
        blob = self._bucket.blob(name)
        with self._explained(name):
            try:
                with open_content(content) as file:
                    blob.upload_from_file(
                        file,
                        size=expected.size,
                        content_type="application/octet-stream",
                        if_generation_match=0 if create_only else None,
                        checksum="crc32c",
                        timeout=_TIMEOUT,
                        retry=self._move,
                    )
            except api.PreconditionFailed:
                if create_only:
                    return None
                raise
            except api.BadRequest as error:
                if "crc32c" in str(error).lower():
                    raise _damaged(self.uri(name)) from error
                raise
            return _stored(blob)

    def stat(self, name: str) -> Stored | None:
        check_name(name, self.uri(""))
        blob = self._bucket.blob(name)
        with self._explained(name):
            try:
                blob.reload(timeout=_TIMEOUT, retry=self._ask)
            except api.NotFound:
                return None
            return _stored(blob)

    def download(self, name: str, sink: Sink, limit: int, start: int = 0) -> bool:
        check_name(name, self.uri(""))
        # The store's checksum is that of the whole object.
        part = {"start": start, "end": start + limit - 1, "checksum": None} if start else {"checksum": "crc32c"}
        with self._explained(name):
            try:
                self._bucket.blob(name).download_to_file(
                    LimitedSink(sink, limit), raw_download=True, timeout=_TIMEOUT, retry=self._move, **part
                )
            except api.NotFound:
                return False
            except api.RequestRangeNotSatisfiable:
                return True
            except TooLong:
                raise too_long(self.uri(name), limit) from None
            return True

    def list(self, prefix: str) -> Iterator[str]:
        return (name for name, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._explained(""):
            fields = "items(name,size),nextPageToken"
            for blob in self._bucket.list_blobs(prefix=prefix, fields=fields, timeout=_TIMEOUT, retry=self._ask):
                yield blob.name, int(blob.size or 0)

    def folders(self, prefix: str) -> tuple[str, ...]:
        with self._explained(""):
            found = self._bucket.list_blobs(prefix=prefix, delimiter="/", timeout=_TIMEOUT, retry=self._ask)
            for _ in found:
                pass  # the prefixes are known once all pages were read
            return tuple(sorted(name[len(prefix) : -1] for name in found.prefixes))

    def delete(self, name: str) -> None:
        with self._explained(name):
            try:
                self._bucket.blob(name).delete(timeout=_TIMEOUT, retry=self._ask)
            except api.NotFound:
                pass

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn the client's many exceptions into one ``StorageError`` that says what to do."""
        uri = self.uri(name)
        try:
            yield
        except DataCorruption as error:
            raise _damaged(uri) from error
        except api.RetryError as error:
            raise self._error(error.cause, uri) from error
        except (
            api.GoogleAPICallError,
            auth.GoogleAuthError,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            InvalidResponse,
            OSError,
        ) as error:
            raise self._error(error, uri) from error

    def _error(self, error: BaseException | None, uri: str) -> StorageError:
        bucket = f"gs://{self._bucket_name}"
        detail = _detail(error)
        match error:
            case auth.TransportError() | requests.RequestException() | urllib3.exceptions.HTTPError() | ConnectionError():
                return StorageError(
                    f"{self._host()} cannot be reached: {detail}.",
                    "Check the network, any proxy, and STORAGE_EMULATOR_HOST or the endpoint if set; then run it again.",
                    uri,
                )
            case auth.GoogleAuthError():
                return StorageError(
                    f"There are no usable credentials for {bucket}: {detail}.",
                    "Run `gcloud auth application-default login`, or point GOOGLE_APPLICATION_CREDENTIALS at a key file.",
                    uri,
                )
            case api.NotFound():
                return StorageError(
                    f"The bucket {bucket} does not exist.",
                    f"Check its name, or create it: `gcloud storage buckets create {bucket}`.",
                    uri,
                )
            case api.Unauthorized():
                return StorageError(
                    f"{bucket} refused the credentials: {detail}.", "Run `gcloud auth application-default login` again.", uri
                )
            case api.Forbidden():
                return StorageError(
                    f"These credentials may not do this in {bucket}: {detail}.",
                    f"Ask for roles/storage.objectUser (objectViewer, where you only read): `gcloud storage buckets "
                    f"add-iam-policy-binding {bucket} --member=user:YOU --role=roles/storage.objectUser`.",
                    uri,
                )
            case OSError() if not isinstance(error, requests.RequestException):
                return StorageError(
                    f"{error.filename or uri} cannot be used: {error.strerror or error}.", "Check the file and the disk.", uri
                )
        return StorageError(f"{bucket} answered with an error: {detail}.", "Run it again; what is there already is kept.", uri)

    def _host(self) -> str:
        return str(getattr(self._client, "api_endpoint", "Cloud Storage")) if hasattr(self, "_client") else "Google's sign-in"


def _stored(blob: Any) -> Stored:
    checksums = {"crc32c": base64.b64decode(blob.crc32c).hex()} if blob.crc32c else {}
    return Stored(int(blob.size or 0), checksums, blob.updated.timestamp() if blob.updated else None)


def _damaged(uri: str) -> ChecksumError:
    return ChecksumError(
        f"{uri} was damaged on its way: its CRC32C differs.", "Run it again; suspect a proxy or the network.", uri
    )


def _detail(error: BaseException | None) -> str:
    text = " ".join(str(getattr(error, "message", None) or error or "no reason given").split())
    return text.rstrip(".") if len(text) <= 300 else text[:300] + "…"


def _emulator() -> str | None:
    """Its base URL. Other languages' clients take the variable without ``http://``, too; Python's own cannot connect then."""
    host = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    return f"http://{host}" if host and "://" not in host else host or None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
