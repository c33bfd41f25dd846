"""Resumable uploads of the test server: https://docs.cloud.google.com/storage/docs/performing-resumable-uploads."""

from __future__ import annotations

import json
import re
import secrets
import threading
from dataclasses import dataclass, field

from support.gs_http import Answer, Broken, Call, Refused, json_answer
from support.gs_objects import Conditions, Objects, Resource, claimed, linked

QUANTUM = 256 << 10
"""What is kept of an upload that is not complete is a multiple of this many bytes."""


@dataclass
class Session:
    bucket: str
    name: str
    metadata: Resource
    conditions: Conditions
    total: int | None
    data: bytearray = field(default_factory=bytearray)
    made: Resource | None = None
    cancelled: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def kept(self) -> int:
        return len(self.data) // QUANTUM * QUANTUM

    def take(self, at: int, block: bytes) -> None:
        """Put the block at its place. What is there already is left as it is: it was answered for."""
        with self.lock:
            have = len(self.data)
            if at > have:
                raise _beyond(at, have)
            self.data += block[have - at :]


class Sessions:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._open: dict[str, Session] = {}

    def forget(self) -> None:
        """As after a week."""
        self._open.clear()

    def answer(self, call: Call, bucket: str) -> Answer:
        if "upload_id" not in call.query:
            return self._start(call, bucket)
        session = self._open.get(call.query["upload_id"])
        if session is None:
            raise Refused(404, "notFound", "No such upload session.")
        if session.cancelled:
            raise Refused(410, "gone", "The upload session was cancelled.")
        if call.method == "DELETE":
            session.cancelled = True
            return Answer(499)
        if session.made is not None:
            return json_answer(linked(session.made, call.base))
        return self._go_on(call, session)

    def _start(self, call: Call, bucket: str) -> Answer:
        metadata: Resource = json.loads(call.body() or b"{}")
        name = call.query.get("name") or metadata.get("name")
        if not name:
            raise Refused(400, "required", "The object has no name.")
        self._objects.check(bucket, name, call.query)
        metadata.setdefault("contentType", call.headers.get("X-Upload-Content-Type"))
        length = call.headers.get("X-Upload-Content-Length")
        key = secrets.token_urlsafe(24)
        self._open[key] = Session(bucket, name, metadata, call.query, int(length) if length else None)
        return Answer(200, headers={"Location": f"{call.base}{call.path}?uploadType=resumable&upload_id={key}"})

    def _go_on(self, call: Call, session: Session) -> Answer:
        asked = re.fullmatch(r"bytes (?:(\d+)-(\d+|\*)|\*)/(\d+|\*)", call.headers.get("Content-Range", "bytes 0-*/*").strip())
        if asked is None:
            raise Refused(400, "badRequest", "The Content-Range cannot be read.")
        first, last, total = asked.groups()
        if total != "*" and session.total not in (None, int(total)):
            raise Refused(400, "invalid", f"The upload has {session.total} bytes, not {total}.")
        if first is not None:
            at = int(first)
            if last != "*" and call.length not in (0, int(last) + 1 - at):
                raise Refused(400, "invalid", "The Content-Range differs from the length of the body.")
            self._receive(call, session, at)
        if total != "*":
            session.total = int(total)
        elif "Content-Range" not in call.headers:
            session.total = len(session.data)
        return self._state(call, session)

    def _receive(self, call: Call, session: Session, at: int) -> None:
        try:
            for block in call.blocks():
                session.take(at, block)
                at += len(block)
        except Broken:
            with session.lock:
                del session.data[session.kept :]
            raise

    def _state(self, call: Call, session: Session) -> Answer:
        with session.lock:
            if session.made is not None:
                return json_answer(linked(session.made, call.base))
            if len(session.data) == session.total:
                return json_answer(linked(self._finish(call, session), call.base))
            if session.total is not None and len(session.data) > session.total:
                raise Refused(400, "invalid", "More bytes came than the upload has.")
            if call.arrived:
                del session.data[session.kept :]
            kept = session.kept
        return Answer(308, headers={"Range": f"bytes=0-{kept - 1}"} if kept else {})

    def _finish(self, call: Call, session: Session) -> Resource:
        metadata = {**session.metadata, **claimed(call.headers)}
        try:
            session.made = self._objects.put(session.bucket, session.name, bytes(session.data), metadata, session.conditions)
        except Refused:
            session.cancelled = True
            raise
        finally:
            session.data.clear()
        return session.made


def _beyond(at: int, have: int) -> Refused:
    told = f"According to the Content-Range header, the upload offset is {at} byte(s), "
    return Refused(503, "backendError", f"Invalid request. {told}which exceeds already uploaded size of {have} byte(s).")
