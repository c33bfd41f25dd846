"""What the command line prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from cpr.cli.names import printable, printable_lines
from cpr.errors import CprError, PredictorError


class Outcome(NamedTuple):
    """What a verb has to say.

    ``document`` is the JSON document without its ``schema`` key, ``text`` the same for a person. With ``ok`` false the exit
    status is 1. ``raw`` replaces both in every mode: a report in a format that the user asked for by name.
    """

    document: Mapping[str, Any]
    text: str
    ok: bool = True
    raw: str | None = None


class Console:
    """The two streams of one run. ``verb`` names the JSON schema."""

    def __init__(self, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.verb = "cpr"

    def note(self, text: str) -> None:
        """Progress: a line on standard error, left out with ``--quiet``."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        """A result that cannot wait for the end, on standard output."""
        print(text, flush=True)

    def outcome(self, outcome: Outcome) -> None:
        if outcome.raw is not None:
            if outcome.raw:  # empty: all was said while the verb ran
                print(outcome.raw, flush=True)
        elif self.json:
            self._document(f"cpr.{self.verb}/1", outcome.document)
        elif outcome.text:
            print(outcome.text, flush=True)

    def error(self, error: CprError) -> None:
        """Two lines on standard error, what and what to do; with ``--json`` a document on standard output instead."""
        if self.json:
            detail = {
                "type": type(error).__name__,
                "message": error.message,
                "remedy": error.remedy,
                "where": error.where,
            }
            self._document("cpr.error/1", {"error": detail})
            return
        if isinstance(error, PredictorError) and error.traceback:
            print(printable_lines(error.traceback.rstrip()), file=sys.stderr)
        where, message = printable(error.where or ""), error.message
        if error.where:
            message = message.replace(error.where, where)  # a line end in a name is no end of the message's line
        place = f"{where}: " if where and not _names(message, where) else ""
        print(
            f"error: {printable_lines(place + message)}\n  fix: {printable_lines(error.remedy)}",
            file=sys.stderr,
            flush=True,
        )

    def _document(self, schema: str, document: Mapping[str, Any]) -> None:
        # ASCII, so that every terminal can take it. Indented for people alone: that takes json ten times as long.
        print(json.dumps({"schema": schema, **document}, indent=2 if sys.stdout.isatty() else None), flush=True)


def _names(message: str, where: str) -> bool:
    """Whether the message names the place itself, and not only holds its letters: ``.`` is in every sentence."""
    return len(where) > 1 and re.search(rf"(?<![\w./-]){re.escape(where)}(?![\w/-])", message) is not None


def size_text(count: int) -> str:
    """A size for a person: ``512 B``, ``1.5 KB``, ``450.0 MB`` (decimal units, as the platform's limits)."""
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
