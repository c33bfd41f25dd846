"""What an upload has reached, kept on this machine so that another process goes on where a killed one stopped.

One line of JSON for each step, appended: a line that was cut off is left out, and whatever the journal says is compared with
the store before it is believed. The file lies beside the bundle, or in the user's state folder where nothing can be written
there; it names sessions of the store, which are as good as a key to what they upload, so that nobody else may read it. It goes
with the end of the upload.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LIMIT = 64 << 20


@dataclass(slots=True)
class Session:
    """A file that is sent in parts of ``part`` bytes. ``parts`` maps a part's number to the store's token and its CRC32C."""

    id: str
    part: int
    parts: dict[int, tuple[str, int]] = field(default_factory=dict)


class Journal:
    """The journal of one bundle's upload to one place.

    ``sessions`` and ``done`` are what an earlier run and this one have reached: what is under way, and what is whole.
    ``done`` maps the names of whole objects to what the store reported: SHA-256 as sent, and a checksum or nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: Any = None
        self.sessions: dict[str, Session] = {}
        self.done: dict[str, tuple[str, dict[str, str]]] = {}
        if path is not None:
            for line in _lines(path):
                with suppress(AttributeError, KeyError, OverflowError, TypeError, ValueError):
                    self._read(line)

    @classmethod
    def beside(cls, bundle: Path, place: str, content: str) -> Journal:
        """The journal for sending ``content`` (a digest) from the folder ``bundle`` to the URI ``place``.

        Kept nowhere where no folder can be written to: then an interrupted upload starts the file anew in which it stopped.
        """
        bundle = bundle.resolve()
        mark = hashlib.sha256(f"{bundle}\0{place}\0{content}".encode(errors="surrogateescape")).hexdigest()[:12]
        name = f".{bundle.name}.{mark}.upload"
        places = [bundle.parent / name, _state_folder() / name]
        for path in places:
            if path.is_file():
                return cls(path)
        return cls(next((path for path in places if _may_write(path.parent)), None))

    def begin(self, name: str, session: str, part: int) -> None:
        self.sessions[name] = Session(session, part)
        self._write({"session": session, "name": name, "part": part})

    def part(self, name: str, number: int, token: str, crc32c: int) -> None:
        self._write({"sent": number, "name": name, "token": token, "crc32c": crc32c})

    def whole(self, name: str, sha256: str, checksums: dict[str, str]) -> None:
        self.sessions.pop(name, None)
        self.done[name] = sha256, checksums
        self._write({"whole": sha256, "name": name, "checksums": checksums})

    def forget(self, name: str) -> None:
        """Take back what is said about an object: it turned out to be wrong, or its session to be stale."""
        self.sessions.pop(name, None)
        self.done.pop(name, None)
        self._write({"forget": name})

    def close(self, finished: bool = False) -> None:
        """Keep the journal for another run; remove it where the upload has ``finished``, or nothing is left to remember."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            if (finished or not (self.sessions or self.done)) and self._path is not None:
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def _write(self, line: dict[str, Any]) -> None:
        """A journal that cannot be written is no reason to stop: the upload is worth more than its record."""
        if self._path is None:
            return
        with self._lock, suppress(OSError):
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                number = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                self._file = open(number, "ab", buffering=0)  # noqa: SIM115 - until close()
                self._file.write(b"\n")  # ends a line that a killed run did not
            self._file.write(json.dumps(line).encode() + b"\n")

    def _read(self, line: dict[str, Any]) -> None:
        if "forget" in line:
            self.sessions.pop(line["forget"], None)
            self.done.pop(line["forget"], None)
        elif "session" in line:
            self.sessions[str(line["name"])] = Session(str(line["session"]), int(line["part"]))
        elif "sent" in line:
            self.sessions[line["name"]].parts[int(line["sent"])] = str(line["token"]), int(line["crc32c"])
        elif "whole" in line:
            checksums = {str(key): str(value) for key, value in line["checksums"].items()}
            self.done[str(line["name"])] = str(line["whole"]), checksums
            self.sessions.pop(line["name"], None)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            content = file.read(_LIMIT)
    except OSError:
        return
    for line in content.split(b"\n"):
        with suppress(ValueError, RecursionError):
            document = json.loads(line)
            if isinstance(document, dict):
                yield document


def _state_folder() -> Path:
    """Where a user's programs keep what outlives them (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home.startswith("/") else Path("~/.local/state").expanduser()) / "cpr"


def _may_write(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
