"""Uploads in parts, of the XML API: https://docs.cloud.google.com/storage/docs/multipart-uploads."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import md5
from itertools import pairwise
from xml.etree import ElementTree

from support.gs_http import Answer, Call, Refused
from support.gs_objects import Objects, Resource, checksums, claimed, described, told

SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
SMALLEST = 5 << 20
"""Bytes that each part but the last has at least."""
MOST = 10_000


@dataclass(frozen=True)
class Part:
    content: bytes
    etag: str
    came: str


@dataclass
class Upload:
    key: str
    bucket: str
    name: str
    metadata: Resource
    begun: str
    parts: dict[int, Part] = field(default_factory=dict)


class Parts:
    def __init__(self, objects: Objects, largest_page: int) -> None:
        self._objects, self._largest_page = objects, largest_page
        self._lock = threading.Lock()
        self._open: dict[str, Upload] = {}

    def forget(self) -> None:
        """As after an ``AbortIncompleteMultipartUpload`` rule of the bucket's."""
        self._open.clear()

    def answer(self, call: Call, bucket: str, name: str) -> Answer:
        if any(key.lower().startswith("x-goog-if-") for key in call.headers):
            raise Refused(501, "NotImplemented", "Uploads in parts take no preconditions.")
        self._objects.require_bucket(bucket)
        if "uploads" in call.query:
            return self._start(call, bucket, name) if call.method == "POST" else self._list_uploads(call, bucket)
        upload = self._open.get(call.query["uploadId"])
        if upload is None or (upload.bucket, upload.name) != (bucket, name):
            raise _no_such_upload()
        if call.method == "PUT":
            return self._take(call, upload)
        if call.method == "GET":
            return self._list_parts(call, upload)
        if call.method == "POST":
            return self._complete(call, upload)
        self._close(upload)
        return Answer(204)

    def _start(self, call: Call, bucket: str, name: str) -> Answer:
        upload = Upload(secrets.token_urlsafe(24), bucket, name, described(call.headers), _now())
        self._open[upload.key] = upload
        return _xml("InitiateMultipartUploadResult", [("Bucket", bucket), ("Key", name), ("UploadId", upload.key)])

    def _take(self, call: Call, upload: Upload) -> Answer:
        number = call.query.get("partNumber", "")
        if not number.isdigit() or not 1 <= int(number) <= MOST:
            raise Refused(400, "InvalidArgument", f"Part numbers are 1 to {MOST}.")
        body = call.body()
        sums = checksums(body)
        for key, value in claimed(call.headers).items():
            if sums.get(key, value) != value:
                raise Refused(400, "CrcMismatch" if key == "crc32c" else "BadDigest", f"{key} is {sums[key]}, not {value}.")
        etag = f'"{md5(body).hexdigest()}"'
        with self._lock:
            if upload.key not in self._open:
                raise _no_such_upload()
            upload.parts[int(number)] = Part(body, etag, _now())
        return Answer(200, headers={"ETag": etag, "x-goog-hash": f"crc32c={sums['crc32c']},md5={sums['md5Hash']}"})

    def _complete(self, call: Call, upload: Upload) -> Answer:
        asked = _asked(call.body())
        with self._lock:
            if upload.key not in self._open:
                raise _no_such_upload()
            parts = _chosen(upload, asked)
            del self._open[upload.key]
        content = b"".join(part.content for part in parts)
        made = self._objects.put(upload.bucket, upload.name, content, upload.metadata, {}, in_parts=True)
        where = f"{call.base}/{upload.bucket}/{upload.name}"
        rows = [("Location", where), ("Bucket", upload.bucket), ("Key", upload.name), ("ETag", f'"{made["etag"]}"')]
        answer = _xml("CompleteMultipartUploadResult", rows)
        kept = {key: value for key, value in told(made).items() if key in ("x-goog-hash", "x-goog-generation")}
        return Answer(200, answer.content, answer.headers | kept)

    def _close(self, upload: Upload) -> None:
        with self._lock:
            if self._open.pop(upload.key, None) is None:
                raise _no_such_upload()

    def _list_parts(self, call: Call, upload: Upload) -> Answer:
        after = int(call.query.get("part-number-marker") or 0)
        size = min(int(call.query.get("max-parts") or 1000), self._largest_page)
        with self._lock:
            parts = sorted((number, part) for number, part in upload.parts.items() if number > after)
        rows: _Rows = [("Bucket", upload.bucket), ("Key", upload.name), ("UploadId", upload.key)]
        rows += [("StorageClass", "STANDARD"), ("PartNumberMarker", str(after)), ("MaxParts", str(size))]
        rows.append(("IsTruncated", str(len(parts) > size).lower()))
        if len(parts) > size:
            rows.append(("NextPartNumberMarker", str(parts[size - 1][0])))
        for number, part in parts[:size]:
            sizes = [("ETag", part.etag), ("Size", str(len(part.content)))]
            rows.append(("Part", [("PartNumber", str(number)), ("LastModified", part.came), *sizes]))
        return _xml("ListPartsResult", rows)

    def _list_uploads(self, call: Call, bucket: str) -> Answer:
        prefix = call.query.get("prefix", "")
        after = (call.query.get("key-marker", ""), call.query.get("upload-id-marker", "\U0010ffff"))
        size = min(int(call.query.get("max-uploads") or 1000), self._largest_page)
        found = [one for one in list(self._open.values()) if one.bucket == bucket and one.name.startswith(prefix)]
        found = sorted((one for one in found if (one.name, one.key) > after), key=lambda one: (one.name, one.key))
        rows: _Rows = [("Bucket", bucket), ("Prefix", prefix), ("MaxUploads", str(size))]
        rows.append(("IsTruncated", str(len(found) > size).lower()))
        if len(found) > size:
            rows += [("NextKeyMarker", found[size - 1].name), ("NextUploadIdMarker", found[size - 1].key)]
        for one in found[:size]:
            rows.append(("Upload", [("Key", one.name), ("UploadId", one.key), ("Initiated", one.begun)]))
        return _xml("ListMultipartUploadsResult", rows)


_Rows = list[tuple[str, "str | list[tuple[str, str]]"]]


def _asked(body: bytes) -> list[tuple[int, str]]:
    try:
        root = ElementTree.fromstring(body)
        found = [(int(_text(part, "PartNumber")), _text(part, "ETag").strip()) for part in root]
    except (ElementTree.ParseError, ValueError) as error:
        raise Refused(400, "MalformedXML", str(error)) from error
    if not found:
        raise Refused(400, "MalformedXML", "No part is named.")
    return found


def _text(part: ElementTree.Element, name: str) -> str:
    return part.findtext(f"{{{SPACE}}}{name}") or part.findtext(name) or ""


def _chosen(upload: Upload, asked: list[tuple[int, str]]) -> list[Part]:
    if any(one >= other for (one, _), (other, _) in pairwise(asked)):
        raise Refused(400, "InvalidPartOrder", "The parts are not in ascending order.")
    for number, etag in asked:
        if number not in upload.parts or upload.parts[number].etag.strip('"') != etag.strip('"'):
            raise Refused(400, "InvalidPart", f"Part {number} was not uploaded, or its ETag is another.")
    parts = [upload.parts[number] for number, _ in asked]
    if any(len(part.content) < SMALLEST for part in parts[:-1]):
        raise Refused(400, "EntityTooSmall", f"A part that is not the last has less than {SMALLEST} bytes.")
    return parts


def _no_such_upload() -> Refused:
    return Refused(404, "NoSuchUpload", "The requested upload was not found.")


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _xml(name: str, rows: _Rows | list[tuple[str, str]]) -> Answer:
    root = ElementTree.Element(name, xmlns=SPACE)
    for key, value in rows:
        child = ElementTree.SubElement(root, key)
        if isinstance(value, str):
            child.text = value
        else:
            for inner, text in value:
                ElementTree.SubElement(child, inner).text = text
    content = ElementTree.tostring(root, "UTF-8", xml_declaration=True)
    return Answer(200, content, {"Content-Type": "application/xml; charset=UTF-8"})
