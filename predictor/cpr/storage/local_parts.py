"""A file written in parts: beside its place until the last is there, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import google_crc32c

from cpr.storage.base import Stored, part_count

Explained = Callable[[], AbstractContextManager[None]]


class FileParts:
    """The token of a part is the CRC32C of its content: a part that a killed writer left half-written shows by it."""

    in_order = False

    def __init__(
        self,
        path: Path,
        beside: Path,
        session: str,
        size: int,
        part: int,
        stat: Callable[[], Stored | None],
        explained: Explained,
    ) -> None:
        self._path, self._beside = path, beside
        self._size, self._part = size, part
        self._stat, self._explained = stat, explained
        self.session = session

    def held(self) -> Mapping[int, str]:
        found = {}
        with self._explained(), open(self._beside, "rb") as file:
            for number in range(part_count(self._size, self._part)):
                if content := file.read(self._part):
                    found[number] = _token(content)
        return found

    def send(self, number: int, content: bytes, crc32c: int) -> str:
        with self._explained(), open(self._beside, "r+b") as file:
            file.seek(number * self._part)
            file.write(content)
        return _token(content)

    def finish(self, tokens: Mapping[int, str]) -> Stored | None:
        with self._explained():
            os.truncate(self._beside, self._size)
            self._beside.replace(self._path)
        return self._stat()

    def proof(self, tokens: Mapping[int, str]) -> Mapping[str, str]:
        return {}

    def abort(self) -> None:
        with self._explained():
            self._beside.unlink(missing_ok=True)


def _token(content: bytes) -> str:
    return f"{google_crc32c.value(content):08x}"
