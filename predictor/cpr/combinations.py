"""What a version of a target may combine, as rules read from its data: ``deploy/<target>/combinations.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from cpr import resources

FILE = "combinations.yaml"

Conditions = Mapping[str, str]


class Rule(NamedTuple):
    """Where all of ``given`` holds for a version, all of ``wanted`` must. ``says`` is the service's own text, else empty."""

    given: Conditions
    wanted: Conditions
    says: str

    def broken(self, version: Mapping[str, Any]) -> tuple[str, ...]:
        """The keys of a version that must be otherwise."""
        if not all(_holds(version, key, asked) for key, asked in self.given.items()):
            return ()
        return tuple(key for key, asked in self.wanted.items() if not _holds(version, key, asked))


def rules(target: str) -> tuple[Rule, ...]:
    """The rules of a target, in order; none where its data has none."""
    try:
        document = resources.read_document(target, FILE)
    except FileNotFoundError:
        return ()
    return tuple(Rule(rule["if"], rule["then"], rule.get("says", "")) for rule in document["rules"])


def problems(target: str, version: Mapping[str, Any], endpoint: str) -> tuple[str, ...]:
    """What a version's config combines that the service refuses or ignores, in words; nothing where all is well."""
    whole = {**version, "endpoint": endpoint}
    return tuple(
        f"With {_spelt(rule.given)}: {_spelt({key: rule.wanted[key]})}." for rule in rules(target) for key in rule.broken(whole)
    )


def _holds(version: Mapping[str, Any], key: str, asked: str) -> bool:
    value: Any = version
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if asked in ("set", "unset"):
        return bool(value) is (asked == "set")
    if asked.startswith("at least "):
        return isinstance(value, int) and value >= int(asked.removeprefix("at least "))
    return re.fullmatch(asked, str(value or "")) is not None


def _spelt(conditions: Conditions) -> str:
    words = {"set": "{} is given", "unset": "{} is left out"}
    return " and ".join(words.get(asked, f"{{}} is {asked}").format(key) for key, asked in conditions.items())
