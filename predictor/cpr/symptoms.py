"""The failures known from the field, each with what the platform prints and the checks that foresee it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cpr import resources

FOLDER, FILE = "symptoms", "symptoms.yaml"


@dataclass(frozen=True, slots=True)
class Symptom:
    """One failure. ``says`` is what the platform prints, ``told`` how people put it where that is not known or says little.

    ``checks`` find it before the upload; ``unseen`` tells why none can, or what else keeps it away; ``remedy`` is empty where
    the checks' own do.
    """

    id: str
    title: str
    says: tuple[str, ...]
    told: tuple[str, ...]
    cause: str
    checks: tuple[str, ...]
    source: str
    remedy: str = ""
    unseen: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        return self.says + self.told


@cache
def symptoms() -> tuple[Symptom, ...]:
    """All of them, in order of number."""
    document = resources.read_document(FOLDER, FILE)
    return tuple(_symptom(key, entry) for key, entry in document["symptoms"].items())


def texts_prevented(check: str) -> tuple[str, ...]:
    """What the platform prints where that check was not there, of the failures known from the field."""
    return tuple(dict.fromkeys(text for symptom in symptoms() if check in symptom.checks for text in symptom.says))


def _symptom(key: str, entry: Mapping[str, Any]) -> Symptom:
    return Symptom(
        id=key,
        title=entry["title"],
        says=tuple(entry.get("says", ())),
        told=tuple(entry.get("told", ())),
        cause=entry["cause"],
        checks=tuple(entry["checks"]),
        source=entry["source"],
        remedy=entry.get("remedy", ""),
        unseen=entry.get("unseen", ""),
    )
