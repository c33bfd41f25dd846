"""Diagnose: an error text from the cloud is matched with what is known to cause it, and with the checks that foresee it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cpr.checks import CATALOGUE, Check
from cpr.errors import UsageError
from cpr.messages import Fit, Message, Text
from cpr.symptoms import Symptom, symptoms


@dataclass(frozen=True, slots=True)
class Match:
    """One explanation of a message.

    ``check`` and ``symptom`` are ids; ``check`` is ``None`` where no check foresees it, ``symptom`` where the text belongs to a
    check alone. ``message`` is the text that fits, as the platform prints it; ``score`` is 1 where all of it is there.
    ``unseen`` tells why no check foresees it, or what else keeps it away.
    """

    check: str | None
    title: str
    symptom: str | None
    message: str
    cause: str
    remedy: str
    source: str
    score: float
    unseen: str = ""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Known:
    """A text, and the failure or the check that it belongs to."""

    text: Text
    owner: Symptom | Check


def diagnose(message: str) -> tuple[Match, ...]:
    """What explains an error text, the likeliest first; nothing where none of the known texts is in it.

    The text may have other names and numbers, be wrapped, quoted, escaped or cut short, and have anything around it.
    ``UsageError`` where there is no word in it.
    """
    pasted = Message(message)
    if pasted.is_empty:
        raise UsageError("There is no text to diagnose.", "Paste the error text, or pipe it: `… 2>&1 | cpr diagnose -`.")
    fits = [(known, fit) for known in _known() if (fit := known.text.fit(pasted)) is not None]
    best = _best(_specific(fits))
    ordered = sorted(best.values(), key=lambda pair: (-pair[1].score, -pair[1].weight))
    return tuple(_unrepeated(match for known, fit in ordered for match in _matches(known, fit)))


@cache
def _known() -> tuple[_Known, ...]:
    of_symptoms = [_Known(Text(text), symptom) for symptom in symptoms() for text in symptom.texts]
    there = {known.text.key for known in of_symptoms}
    of_checks = [_Known(Text(text), check) for check in CATALOGUE for text in check.prevents]
    return (*of_symptoms, *(known for known in of_checks if known.text.key not in there or _shares(known)))


def _shares(known: _Known) -> bool:
    """Whether the check is one more cause of a text that failures have, and none of them names it."""
    owners = [symptom for symptom in symptoms() if known.text.key in {Text(text).key for text in symptom.says}]
    return all(known.owner.id not in symptom.checks for symptom in owners)


_Pairs = Sequence[tuple[_Known, Fit]]


def _specific(fits: _Pairs) -> _Pairs:
    """Without what another fit says better: the frame around it, a part of it, and a text that many failures share."""

    def beaten(fit: Fit) -> bool:
        return any(other.within_a_gap_of(fit) or fit.says_less_than(other) for _, other in fits)

    left = [pair for pair in fits if not beaten(pair[1])]
    owners: dict[str, set[str]] = {}
    for known in _known():
        owners.setdefault(known.text.key, set()).add(known.owner.id)
    own = [pair for pair in left if len(owners[pair[0].text.key]) == 1]
    return own or left


def _best(fits: _Pairs) -> dict[str, tuple[_Known, Fit]]:
    """The best fit of each failure or check."""
    best: dict[str, tuple[_Known, Fit]] = {}
    for known, fit in fits:
        found = best.get(known.owner.id)
        if found is None or (fit.score, fit.weight) > (found[1].score, found[1].weight):
            best[known.owner.id] = (known, fit)
    return best


def _matches(known: _Known, fit: Fit) -> Iterator[Match]:
    owner, score = known.owner, round(fit.score, 2)
    if isinstance(owner, Check):
        yield Match(owner.id, owner.title, None, known.text.source, owner.cause, owner.remedy, owner.source, score)
        return
    catalogue = {check.id: check for check in CATALOGUE}
    found = [catalogue[name] for name in owner.checks if name in catalogue]
    for check in found:
        remedy = owner.remedy or check.remedy
        yield Match(check.id, check.title, owner.id, known.text.source, owner.cause, remedy, owner.source, score, owner.unseen)
    if not found:
        check_id = owner.checks[0] if owner.checks else None
        remedy = owner.remedy or "Run `cpr validate` on the routine."
        yield Match(check_id, owner.title, owner.id, known.text.source, owner.cause, remedy, owner.source, score, owner.unseen)


def _unrepeated(matches: Iterable[Match]) -> Iterator[Match]:
    """Each check and each failure without one but once, at its best place."""
    seen = set()
    for match in matches:
        key = match.check or match.symptom
        if key not in seen:
            seen.add(key)
            yield match
