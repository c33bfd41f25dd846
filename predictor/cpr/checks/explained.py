"""What there is to say about one check, for `cpr validate --explain` and the reference."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from cpr.checks.registry import Check
from cpr.errors import UsageError
from cpr.messages import Text
from cpr.resources import target_names
from cpr.symptoms import texts_prevented


def find_check(name: str, catalogue: Iterable[Check]) -> Check:
    """The check of that id, in whatever case; a ``UsageError`` names those near to an unknown one."""
    known = {check.id: check for check in catalogue}
    wanted = name.strip().upper()
    if wanted in known:
        return known[wanted]
    near = _near(wanted, tuple(known))
    remedy = f"Did you mean {' or '.join(near)}?" if near else "Ids are like CPR101; docs/reference/checks.md lists them all."
    raise UsageError(f"There is no check {name!r}.", remedy, "--explain")


def _near(wanted: str, known: tuple[str, ...]) -> list[str]:
    """The ids with the nearest numbers of the same family, in order; where it is no number, what is spelt nearly so."""
    if re.fullmatch(r"CPR[0-9]{3}", wanted):
        family = [name for name in known if name[3] == wanted[3]]
        return sorted(sorted(family, key=lambda name: abs(int(name[3:]) - int(wanted[3:])))[:3])
    return difflib.get_close_matches(wanted, known, n=3, cutoff=0.75)


def prevented(check: Check) -> tuple[str, ...]:
    """Every text of the platform that the check prevents: its own, and those of the failures known from the field."""
    texts = {Text(text).key: text for text in (*texts_prevented(check.id), *check.prevents)}
    return tuple(text for key, text in texts.items() if not any(key != other and key in other for other in texts))


def where_it_applies(check: Check) -> str:
    """``every target``, or the names of targets, and the kind of machine."""
    scope = ", ".join(check.targets) or "every target"
    return f"{scope}, machines that run a {check.variant}" if check.variant else scope


def explanation(check: Check) -> dict[str, Any]:
    """As a JSON document."""
    return {
        "check": check.id,
        "title": check.title,
        "severity": check.severity.value,
        "targets": list(check.targets or target_names()),
        "variant": check.variant,
        "cause": check.cause,
        "remedy": check.remedy,
        "prevents": list(prevented(check)),
        "source": check.source,
    }


def explained(check: Check) -> str:
    """For a person."""
    texts = prevented(check)
    return "\n".join(
        (
            f"{check.id} {check.title}",
            f"  {check.severity.value}; {where_it_applies(check)}",
            f"  cause: {check.cause}",
            f"  fix: {check.remedy}",
            *(f"  prevents: {text}" for text in texts),
            f"  source: {check.source}",
        )
    )
