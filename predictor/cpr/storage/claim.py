"""One publisher at a time: a claim on a place, kept as an object beside the files.

Without it two publishers of different content overwrite each other's files, and the manifest of the one that wins describes a
mixture. A publisher that fails marks its claim as given up; only one that was killed leaves an active claim behind. The same
content takes such a claim over at once, other content after an hour.
"""

from __future__ import annotations

import json
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from types import TracebackType

from cpr.errors import StorageError, VersionExists
from cpr.storage.base import Storage, fingerprint, read

CLAIM_NAME = "uploading.json"
CLAIM_SECONDS = 3600.0
"""After this long a claim counts as left behind."""

DELETING = "deleting"
"""Stands in a claim for the digest of what is uploaded: a second deletion may take the place over, an upload may not."""

_LIMIT = 4096
_GIVEN_UP = 0.0


@dataclass(frozen=True, slots=True)
class _Record:
    digest: str
    token: str
    started: float
    """Seconds since 1970 by the publisher's clock; 0 once it has given up."""
    publisher: str = ""
    bundle: str = ""
    """The digest of the bundle, as it is told to people."""

    @property
    def active(self) -> bool:
        return abs(time.time() - self.started) < CLAIM_SECONDS

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()


class Claim:
    """Holds ``base`` for content with ``digest`` while the ``with`` block runs; ``VersionExists`` where other content holds it.

    ``publisher`` and ``bundle`` (its digest) are what the others are told.

    ``dirty`` is true where an upload has begun here already, this one or an earlier one that did not end: then all the files
    below ``base`` are an upload's own. Set it before the first file is written. Set ``published`` once the manifest is there.
    ``contended`` tells that somebody else was in the way.
    """

    def __init__(self, storage: Storage, base: str, digest: str, publisher: str = "", bundle: str = "") -> None:
        self._storage = storage
        self._name = base + CLAIM_NAME
        self._mine = _Record(digest, secrets.token_hex(16), time.time(), publisher, bundle)
        self._held = self._mine
        self._begun = time.monotonic()
        self.dirty = False
        self.published = False
        self.contended = False

    def __enter__(self) -> Claim:
        for _ in range(5):
            if self._write(self._mine, create_only=True) and self._storage.creates_once:
                return self
            # Whoever is found holds the place: a store may ignore the condition, or refuse a request that it has repeated.
            found = self._find()
            if found is None:
                continue
            if found.token == self._mine.token:
                return self
            self.dirty = True
            if found.active:
                if found.digest != self._mine.digest:
                    raise self._taken(found)
                self._held = found
                return self
            self._storage.delete(self._name)
        raise self.disturbed()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # A failure to release says nothing about the upload: the claim grows old by itself.
        with suppress(StorageError):
            if kind is None and self.published:
                self._storage.delete(self._name)  # whosever it is: nothing more is written here
                return
            found = self._find()
            if found is None or found.token != self._held.token:
                return
            if kind is None or not self.dirty:
                self._storage.delete(self._name)
            elif self._held is self._mine:
                self._write(replace(found, started=_GIVEN_UP))

    def stands(self) -> bool:
        """False where the place was given up or taken meanwhile: by a fellow with the same content, or by somebody else.

        Nobody takes a claim that is young, and only its owner gives it up: then nothing needs to be asked.
        """
        if self._held is self._mine and self._storage.creates_once and time.monotonic() - self._begun < CLAIM_SECONDS / 2:
            return True
        found = self._find()
        return found is not None and found.token == self._held.token

    def disturbed(self) -> StorageError:
        self.contended = True
        place = self._storage.uri(self._name)
        return StorageError("Another upload came in between.", "Run it again.", place)

    def _write(self, record: _Record, create_only: bool = False) -> bool:
        content = record.to_json()
        stored = self._storage.write(self._name, content, fingerprint(content, self._storage.hasher()), create_only)
        return stored is not None

    def _find(self) -> _Record | None:
        text = read(self._storage, self._name, _LIMIT)
        if text is None:
            return None
        try:
            document = json.loads(text)
            known = str(document["digest"]), str(document["token"]), float(document["started"])
            return _Record(*known, *(str(document.get(key, ""))[:200] for key in ("publisher", "bundle")))
        except (KeyError, TypeError, ValueError):
            return _Record("", "", _GIVEN_UP)

    def _taken(self, found: _Record) -> VersionExists:
        self.contended = True
        place = self._storage.uri(self._name)
        if found.digest == DELETING:
            return VersionExists(
                "This version is being deleted.", "Let that end; if it was killed, run `cpr delete` again.", place
            )
        begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found.started))
        who = f" by {found.publisher}" if found.publisher else ""
        what = f" ({found.bundle})" if found.bundle else ""
        return VersionExists(
            f"Other content{what} is being uploaded as this version{who}, since {begun}.",
            f"Let it finish, and choose a new version. If it was killed, delete {place} and run this again.",
            place,
        )
