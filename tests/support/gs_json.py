"""The JSON API of the test server: objects, their listing, and uploads that are one request."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import unquote

from support.gs_http import Answer, Call, Refused, content_answer, json_answer
from support.gs_objects import Objects, Resource, claimed, linked, told
from support.gs_resumable import Sessions

_PLACES = re.compile(r"(/resumable/upload|/upload|/download)?(?:/storage/v1)?/b/([^/]+)(?:/(o|storageLayout)(?:/(.*))?)?")
"""Some clients leave ``/storage/v1`` out, and gcloud has a path of its own for resumable uploads."""
_OTHERS = re.compile(r"[^/]+/(acl|compose|restore)")


class JsonApi:
    """``largest_page`` is how many names a page of a listing holds at most, whatever the client asks for."""

    def __init__(self, objects: Objects, largest_page: int) -> None:
        self._objects, self._largest_page = objects, largest_page
        self.sessions = Sessions(objects)

    def answer(self, call: Call) -> Answer | None:
        """None where the stock emulator is to answer."""
        place = _PLACES.fullmatch(call.path)
        if place is None or place[3] is None:
            return None
        bucket, name = unquote(place[2]), place[4]
        if place[3] == "storageLayout":
            return self._layout(bucket)
        if name is None:
            return self._uploads(call, bucket) if "uploadType" in call.query else self._list(call, bucket)
        if _OTHERS.fullmatch(name) or call.method in ("PATCH", "PUT"):
            return None
        if copied := re.fullmatch(r"([^/]+)/(copyTo|rewriteTo)/b/([^/]+)/o/([^/]+)", name):
            source, verb, *target = (unquote(part) for part in copied.groups())
            return self._copy(call, (bucket, source), (target[0], target[1]), verb)
        if "/" in name:
            raise Refused(404, "notFound", "A slash in an object's name is written as %2F.")
        return self._object(call, bucket, unquote(name), "alt" if place[1] is None else "download")

    def _layout(self, bucket: str) -> Answer:
        self._objects.require_bucket(bucket)
        kind = {"kind": "storage#storageLayout", "bucket": bucket, "location": "US", "locationType": "multi-region"}
        return json_answer({**kind, "hierarchicalNamespace": {"enabled": False}})

    def _object(self, call: Call, bucket: str, name: str, way: str) -> Answer | None:
        if call.method == "DELETE":
            self._objects.delete(bucket, name, call.query)
            return Answer(204)
        if call.method != "GET" or "softDeleted" in call.query:
            return None
        resource, content = self._objects.get(bucket, name, call.query)
        if way == "download" or call.query.get("alt") == "media":
            return content_answer(content, told(resource), call.headers.get("Range"))
        return json_answer(linked(resource, call.base))

    def _copy(self, call: Call, source: tuple[str, str], target: tuple[str, str], verb: str) -> Answer:
        made = linked(self._objects.copy(source, target, json.loads(call.body() or b"{}"), call.query), call.base)
        if verb == "copyTo":
            return json_answer(made)
        done = {"kind": "storage#rewriteResponse", "done": True, "resource": made}
        return json_answer({**done, "totalBytesRewritten": made["size"], "objectSize": made["size"]})

    def _uploads(self, call: Call, bucket: str) -> Answer | None:
        kind = call.query["uploadType"]
        if kind == "resumable":
            return self.sessions.answer(call, bucket)
        body = call.body()
        metadata: Resource = {}
        if kind == "multipart":
            metadata, body = split_parts(call.headers["Content-Type"], body)
        elif "Content-Type" in call.headers:
            metadata = {"contentType": call.headers["Content-Type"]}
        name = call.query.get("name") or metadata.get("name")
        if not name:
            raise Refused(400, "required", "The object has no name.")
        made = self._objects.put(bucket, name, body, {**metadata, **claimed(call.headers)}, call.query)
        return json_answer(linked(made, call.base))

    def _list(self, call: Call, bucket: str) -> Answer | None:
        """https://docs.cloud.google.com/storage/docs/json_api/v1/objects/list"""
        query = call.query
        if call.method != "GET" or query.get("softDeleted") == "true":
            return None
        with self._objects.lock:
            self._objects.require_bucket(bucket)
            delimiter = query.get("delimiter") or None
            find = self._objects.storage.get_file_list
            items, prefixes = find(bucket, query.get("prefix") or None, delimiter, query.get("matchGlob") or None)
        rows: list[tuple[bytes, Resource | None]] = [(item["name"].encode(), item) for item in items]
        rows = sorted([*rows, *((prefix.encode(), None) for prefix in prefixes)], key=lambda row: row[0])
        after = urlsafe_b64decode(query["pageToken"]) if "pageToken" in query else b""
        first, end = query.get("startOffset", "").encode(), query.get("endOffset", "").encode()
        rows = [row for row in rows if row[0] > after and row[0] >= first and (not end or row[0] < end)]
        size = min(int(query.get("maxResults") or self._largest_page), self._largest_page)
        page = rows[:size]
        found: Resource = {"kind": "storage#objects"}
        if kept := [linked(item, call.base) for _, item in page if item is not None]:
            found["items"] = kept
        if names := [name.decode() for name, item in page if item is None]:
            found["prefixes"] = names
        if len(rows) > size:
            found["nextPageToken"] = urlsafe_b64encode(page[-1][0]).decode()
        return json_answer(found)


def split_parts(kind: str, body: bytes) -> tuple[Resource, bytes]:
    """The metadata and the content of a ``multipart/related`` body. Clients write boundary and line ends in several ways."""
    found = re.search(r"""boundary=(?:"([^"]+)"|'([^']+)'|([^;\s]+))""", kind)
    if found is None:
        raise Refused(400, "badContent", "The multipart body has no boundary.")
    line = b"--" + next(group for group in found.groups() if group).encode()
    begun = body.find(line) + len(line)
    newline = b"\r\n" if body.startswith(b"\r\n", begun) else b"\n"
    middle = body.find(newline + line, begun)
    end = body.rfind(newline + line + b"--")
    if middle < 0 or end <= middle:
        raise Refused(400, "badContent", "The multipart body has not two parts.")
    _, _, document = body[begun:middle].partition(newline * 2)
    head, _, content = body[middle + len(newline + line) : end].partition(newline * 2)
    metadata: Resource = json.loads(document or b"{}")
    kind_line = re.search(rb"(?im)^content-type:\s*([^\r\n]+)", head)
    if kind_line and not metadata.get("contentType"):
        metadata["contentType"] = kind_line[1].decode()
    return metadata, content
