"""The objects of the test server: the stock emulator's store behind one lock, with preconditions and checked checksums."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Mapping
from hashlib import md5
from typing import Any
from urllib.parse import quote

import google_crc32c
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers.objects import _make_object_resource
from gcp_storage_emulator.storage import Storage

from support.gs_http import Refused

Resource = dict[str, Any]
Conditions = Mapping[str, str]
"""``ifGenerationMatch`` and ``ifGenerationNotMatch``, among other things."""


class MemoryStorage(Storage):  # type: ignore[misc]
    """The stock store. It wrote down every name at every change, and mixed up ``a//b`` with ``a/b``."""

    def __init__(self) -> None:
        super().__init__(use_memory_fs=True)

    def _write_config_to_file(self) -> None:
        pass

    def _object_path(self, bucket_name: str, file_name: str) -> str:
        return f"{bucket_name}/={quote(file_name, safe='')}"


class Objects:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.storage = MemoryStorage()

    def require_bucket(self, bucket: str) -> None:
        if self.storage.get_bucket(bucket) is None:
            raise Refused(404, "notFound", "The specified bucket does not exist.")

    def check(self, bucket: str, name: str, conditions: Conditions, prefix: str = "if") -> None:
        """https://docs.cloud.google.com/storage/docs/request-preconditions"""
        with self.lock:
            self.require_bucket(bucket)
            found = self._find(bucket, name)
        live = int(found["generation"]) if found else 0
        wanted, unwanted = (conditions.get(f"{prefix}Generation{word}") for word in ("Match", "NotMatch"))
        if wanted is not None and int(wanted) != live:
            raise Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        if unwanted is not None and int(unwanted) == live:
            raise Refused(304, "notModified")

    def put(
        self, bucket: str, name: str, content: bytes, metadata: Resource, conditions: Conditions, in_parts: bool = False
    ) -> Resource:
        """Store the content, whatever was there, if the conditions hold and the checksums in the metadata are right."""
        sums = checksums(content)
        for key, label in (("crc32c", "CRC32C"), ("md5Hash", "MD5 hash")):
            if metadata.get(key) not in (None, sums[key]):
                told = f'Provided {label} "{metadata[key]}" doesn\'t match calculated {label} "{sums[key]}".'
                raise Refused(400, "invalid", told)
        kind = metadata.get("contentType") or "application/octet-stream"
        with self.lock:
            self.check(bucket, name, conditions)
            made: Resource = _make_object_resource("", bucket, name, kind, str(len(content)), metadata)
            made.update(sums, metageneration="1", etag=b64encode(made["generation"].encode()).decode())
            if in_parts:
                del made["md5Hash"]  # an object that was put together has none
            self.storage.create_file(bucket, name, content, made)
        return made

    def get(self, bucket: str, name: str, query: Conditions) -> tuple[Resource, bytes]:
        with self.lock:
            self.require_bucket(bucket)
            found = self._find(bucket, name)
            if found is None or query.get("generation", found["generation"]) != found["generation"]:
                raise Refused(404, "notFound", f"No such object: {bucket}/{name}")
            self.check(bucket, name, query)
            return found, self.storage.get_file(bucket, name)

    def delete(self, bucket: str, name: str, query: Conditions) -> None:
        with self.lock:
            self.check(bucket, name, query)
            self.get(bucket, name, query)
            self.storage.delete_file(bucket, name)

    def copy(self, source: tuple[str, str], target: tuple[str, str], changes: Resource, query: Conditions) -> Resource:
        with self.lock:
            self.check(*source, query, "ifSource")
            found, content = self.get(*source, {"generation": query["sourceGeneration"]} if "sourceGeneration" in query else {})
            kept = {key: found[key] for key in ("contentType", "metadata", "contentEncoding", "cacheControl") if key in found}
            return self.put(*target, content, {**kept, **changes}, query, "md5Hash" not in found)

    def _find(self, bucket: str, name: str) -> Resource | None:
        try:
            found: Resource = self.storage.get_file_obj(bucket, name)
        except NotFound:
            return None
        return found


def checksums(content: bytes | bytearray) -> dict[str, str]:
    """Both of them as Google writes them: the bytes, big end first, in Base64."""
    crc = google_crc32c.value(bytes(content)).to_bytes(4, "big")
    return {"crc32c": b64encode(crc).decode(), "md5Hash": b64encode(md5(content).digest()).decode()}


def claimed(headers: Mapping[str, str]) -> dict[str, str]:
    """The checksums that a request names in its headers, under the keys of a resource."""
    found = {}
    for item in headers.get("x-goog-hash", "").split(","):
        key, _, value = item.strip().partition("=")
        if value:
            found["md5Hash" if key == "md5" else key] = value
    if "Content-MD5" in headers:
        found["md5Hash"] = headers["Content-MD5"]
    return found


def described(headers: Mapping[str, str]) -> Resource:
    """The metadata that a request of the XML API names in its headers."""
    own = {key[12:].lower(): value for key, value in headers.items() if key.lower().startswith("x-goog-meta-")}
    kind = {"contentType": headers["Content-Type"]} if "Content-Type" in headers else {}
    return {**kind, **({"metadata": own} if own else {})}


def linked(resource: Resource, base: str) -> Resource:
    """With the address of its content, on the server as the client knows it."""
    place = f"{base}/download/storage/v1/b/{resource['bucket']}/o/{quote(resource['name'], safe='')}"
    return {**resource, "mediaLink": f"{place}?generation={resource['generation']}&alt=media"}


def told(resource: Resource) -> dict[str, str]:
    """The headers that tell of an object with its content. The hash is that of the whole, for a range of it, too."""
    names = {"crc32c": "crc32c", "md5Hash": "md5"}
    return {
        "Content-Type": resource["contentType"],
        "ETag": resource["etag"],
        "x-goog-generation": resource["generation"],
        "x-goog-metageneration": resource["metageneration"],
        "x-goog-stored-content-encoding": resource.get("contentEncoding") or "identity",
        "x-goog-stored-content-length": resource["size"],
        "x-goog-hash": ",".join(f"{names[key]}={resource[key]}" for key in names if key in resource),
        **{f"x-goog-meta-{key}": str(value) for key, value in (resource.get("metadata") or {}).items()},
    }
