"""The XML API of the test server: ``/bucket/object``. Uploads in parts are in ``gs_parts``."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.sax.saxutils import escape

from support.gs_http import Answer, Call, Refused, content_answer
from support.gs_objects import Conditions, Objects, Resource, claimed, described, told
from support.gs_parts import Parts

_NOT_XML = re.compile(r"/(?:b|storage/v1|upload|resumable|download|batch|wipe|__\w+__)?(?:/.*)?")
_CODES = {"notFound": "NoSuchKey", "conditionNotMet": "PreconditionFailed", "requestedRangeNotSatisfiable": "InvalidRange"}


class XmlApi:
    def __init__(self, objects: Objects, largest_page: int, in_parts: bool) -> None:
        self._objects = objects
        self.parts = Parts(objects, largest_page) if in_parts else None

    def answer(self, call: Call) -> Answer | None:
        """None where the stock emulator is to answer."""
        if _NOT_XML.fullmatch(call.path):
            return None
        bucket, _, name = (unquote(part) for part in call.path[1:].partition("/"))
        try:
            if {"uploads", "uploadId"} & call.query.keys():
                if self.parts is None:
                    raise Refused(501, "NotImplemented", "This server knows no uploads in parts.")
                return self.parts.answer(call, bucket, name)
            return self._object(call, bucket, name) if name else None
        except Refused as error:
            return xml_error(error)

    def _object(self, call: Call, bucket: str, name: str) -> Answer | None:
        conditions = xml_conditions(call)
        if call.method in ("GET", "HEAD"):
            resource, content = self._objects.get(bucket, name, {**call.query, **conditions})
            return content_answer(content, told(resource), call.headers.get("Range"))
        if call.method == "DELETE":
            self._objects.delete(bucket, name, {**call.query, **conditions})
            return Answer(204)
        if call.method != "PUT":
            return None
        made = put_checked(
            self._objects, bucket, name, call.body(), described(call.headers) | claimed(call.headers), conditions
        )
        return Answer(200, headers=told(made) | {"Content-Type": "text/html; charset=UTF-8"})


def put_checked(objects: Objects, bucket: str, name: str, body: bytes, metadata: Resource, conditions: Conditions) -> Resource:
    try:
        return objects.put(bucket, name, body, metadata, conditions)
    except Refused as error:
        if error.reason == "invalid":
            raise Refused(400, "CrcMismatch" if "CRC32C" in str(error) else "BadDigest", str(error)) from error
        raise


def xml_conditions(call: Call) -> dict[str, str]:
    wanted = call.headers.get("x-goog-if-generation-match")
    return {} if wanted is None else {"ifGenerationMatch": wanted}


def xml_error(error: Refused) -> Answer:
    if error.status == 304:
        return Answer(304)
    code = _CODES.get(error.reason, error.reason)
    if error.reason == "notFound" and "bucket" in str(error):
        code = "NoSuchBucket"
    text = escape(str(error))
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{text}</Message>"
    return Answer(
        error.status, f"{body}<Details>{text}</Details></Error>".encode(), {"Content-Type": "application/xml; charset=UTF-8"}
    )
