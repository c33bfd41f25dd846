"""Objects written over a resumable session of GCS (https://cloud.google.com/storage/docs/performing-resumable-uploads).

For servers and roles that do not allow the XML multipart protocol. One part after the other, as the session takes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from cpr.storage.base import Stored, part_count
from cpr.storage.multipart import SessionLost
from cpr.storage.wire import Answer, Body

Put: TypeAlias = Callable[[str, Mapping[str, str], Body], Answer]
"""To the session: method, headers, body. An answer whose status is one of ``STATUSES``."""

STATUSES = frozenset({200, 201, 308, 400, 404, 410, 412, 499})
"""What a session answers about itself; 499 is that it is cancelled
(https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload)."""

_RANGE = re.compile(r"bytes=0-(\d+)")
_MORE = 308
_DONE = (200, 201)


class Resumable:
    """One session. Its parts have no tokens: the server knows how far it has come."""

    in_order = True

    def __init__(self, put: Put, stat: Callable[[], Stored | None], size: int, part: int, session: str) -> None:
        self._put, self._stat = put, stat
        self._size, self._part = size, part
        self._offset = 0
        self.session = session

    def stale(self) -> bool:
        """Whether the server no longer knows the session; finds out how far it has come."""
        try:
            self._ask_offset()
        except SessionLost:
            return True
        return False

    def held(self) -> Mapping[int, str]:
        whole = part_count(self._size, self._part) if self._offset == self._size else self._offset // self._part
        return dict.fromkeys(range(whole), "")

    def send(self, number: int, content: bytes, crc32c: int) -> str:
        start = number * self._part
        end = start + len(content)
        while self._offset < end:
            if self._offset < start:
                raise SessionLost
            rest = content[self._offset - start :]
            place = f"bytes {self._offset}-{end - 1}/{self._size}" if len(rest) else f"bytes */{self._size}"
            before = self._offset
            self._note(self._put("PUT", {"Content-Range": place}, rest))
            if self._offset == before:  # taken as lost: asked once, then given up
                self._ask_offset()
                if self._offset == before:
                    raise SessionLost
        return ""

    def finish(self, tokens: Mapping[int, str]) -> Stored | None:
        return self._stat()

    def proof(self, tokens: Mapping[int, str]) -> Mapping[str, str]:
        return {}

    def abort(self) -> None:
        self._put("DELETE", {}, None)

    def _ask_offset(self) -> None:
        self._note(self._put("PUT", {"Content-Range": f"bytes */{self._size}"}, b""))

    def _note(self, answer: Answer) -> None:
        if answer.status in _DONE:
            self._offset = self._size
        elif answer.status == _MORE:
            found = _RANGE.fullmatch(answer.header("Range"))
            self._offset = int(found[1]) + 1 if found else 0
        else:
            raise SessionLost
