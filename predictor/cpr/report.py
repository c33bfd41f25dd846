"""What validation found: findings, and the report of them that ``validation.json`` holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from cpr.errors import BundleError

# cpr.manifest is imported where it is needed: to read a SavedModel, whose findings these are, takes less time than its hashes.


class Severity(Enum):
    """How much a finding matters: an error stops a deployment, a warning may, a note never does."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(NamedTuple):
    """One thing a check found. ``check`` is its stable id (``CPR101``), ``where`` a file, key or line."""

    check: str
    severity: Severity
    where: str
    message: str
    remedy: str

    def to_json(self) -> dict[str, str]:
        return {
            "check": self.check,
            "severity": self.severity.value,
            "where": self.where,
            "message": self.message,
            "remedy": self.remedy,
        }


class Suppressed(NamedTuple):
    """A finding that the author lets stand, and why."""

    finding: Finding
    reason: str

    def to_json(self) -> dict[str, str]:
        return {**self.finding.to_json(), "reason": self.reason}


class Report(NamedTuple):
    """What validation found and measured for one bundle, target and machine.

    ``measured`` holds what the isolated run measured (``phases``, ``peak_mib``, ``memory_mib`` of the machine, …) and
    ``environment`` what it ran on (``python``, ``platform``, ``packages``): plain JSON values.
    """

    digest: str
    target: str
    machine_type: str
    findings: tuple[Finding, ...]
    measured: Mapping[str, Any]
    environment: Mapping[str, Any]
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def passes(self, strict: bool) -> bool:
        """``ok``, and where it is ``strict`` without a warning, too."""
        return self.ok and not (strict and any(finding.severity is Severity.WARNING for finding in self.findings))

    def to_text(self) -> str:
        """The text of ``validation.json``; ``from_text(to_text())`` is the same value."""
        return json.dumps(self.to_json(), indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str | bytes, where: str = "validation.json") -> Report:
        """Read ``validation.json``; a ``BundleError`` says what is wrong with it."""
        from cpr.manifest import typed

        try:
            return cls.from_json(typed(json.loads(text), dict, "it"))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise BundleError(
                f"The validation record cannot be read: {error}.", "Run `cpr validate` on the bundle again.", where
            ) from None

    def to_json(self) -> dict[str, Any]:
        from cpr.manifest import FORMAT

        return {
            "format": FORMAT,
            "digest": self.digest,
            "target": self.target,
            "machine_type": self.machine_type,
            "ok": self.ok,
            "findings": [finding.to_json() for finding in self.findings],
            "suppressed": [each.to_json() for each in self.suppressed],
            "measured": dict(self.measured),
            "environment": dict(self.environment),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Report:
        """Read the document of ``validation.json``; ``KeyError``, ``TypeError`` or ``ValueError`` where it is not one."""
        from cpr.manifest import FORMAT, typed

        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r} is not one that this release reads")
        return cls(
            digest=typed(document["digest"], str, "digest"),
            target=typed(document["target"], str, "target"),
            machine_type=typed(document["machine_type"], str, "machine_type"),
            findings=tuple(map(_finding, typed(document["findings"], list, "findings"))),
            measured=typed(document["measured"], dict, "measured"),
            environment=typed(document["environment"], dict, "environment"),
            # Records of older releases have none.
            suppressed=tuple(
                Suppressed(_finding(item), item["reason"]) for item in typed(document.get("suppressed", []), list, "suppressed")
            ),
        )


def _finding(item: Mapping[str, Any]) -> Finding:
    return Finding(item["check"], Severity(item["severity"]), item["where"], item["message"], item["remedy"])
