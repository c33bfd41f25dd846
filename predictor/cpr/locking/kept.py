"""Locks that are remembered, for a week: an environment that is kept is found again without asking an index."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from cpr.caches import cache_folder
from cpr.errors import IndexUnreachable
from cpr.locking.lock import Lock
from cpr.locking.resolve import lock
from cpr.locking.uv import names_index

FRESH_SECONDS = 7 * 24 * 3600.0
"""How long a lock is taken as it is. Afterwards the index is asked again, and newer versions are found."""


def kept_lock(requirements: Sequence[str], *, python: str, interpreter: str, sources: Sequence[str] = ()) -> Lock:
    """The lock of ``requirements`` for an interpreter of this machine: the remembered one, or a new one that is remembered.

    Raises what :func:`cpr.locking.lock` does; ``IndexUnreachable`` only where none is remembered.
    """
    texts = tuple(requirements)
    place = _place(texts, python, interpreter, sources)
    found = _read(place, texts, python)
    if found is not None and found[1]:
        return found[0]
    try:
        made = lock(texts, python=python, interpreter=interpreter, sources=sources)
    except IndexUnreachable:
        if found is None:
            raise
        return found[0]
    _write(place, made)
    return made


def _place(texts: Sequence[str], python: str, interpreter: str, sources: Sequence[str]) -> Path:
    """One file for each question; the index is part of it."""
    question = json.dumps([list(texts), python, interpreter, list(sources), names_index()])
    return cache_folder("locks") / f"{hashlib.sha256(question.encode()).hexdigest()[:32]}.json"


def _read(place: Path, texts: tuple[str, ...], python: str) -> tuple[Lock, bool] | None:
    """The remembered lock and whether it is fresh; ``None`` where there is none that can be read."""
    try:
        document = json.loads(place.read_text(encoding="utf-8"))
        found = Lock.from_json(document["lock"])
        age = time.time() - float(document["made"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return (found, 0 <= age < FRESH_SECONDS) if (found.requirements, found.python) == (texts, python) else None


def _write(place: Path, made: Lock) -> None:
    beside = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        beside.write_text(json.dumps({"made": time.time(), "lock": made.to_json()}), encoding="utf-8")
        beside.replace(place)
    except OSError:
        beside.unlink(missing_ok=True)  # it is a memory only
