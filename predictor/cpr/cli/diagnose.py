"""``cpr diagnose``: what an error text from the cloud means."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby

from cpr.cli.console import Console, Outcome
from cpr.cli.names import printable_lines
from cpr.errors import UsageError
from cpr.messages import MAX_CHARACTERS
from cpr.steps.diagnose import Match, diagnose

_UNKNOWN = (
    "unknown: nothing that cpr knows of prints this.\n"
    "  next: paste more of it, with the log of the version; run `cpr validate` on the routine, which runs it as the service\n"
    "  would; `cpr validate --explain CPR501` shows what any one check is about."
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Find out what an error text from the cloud means: its cause, what to do about it, and the checks that foresee it.\n"
        "Names and numbers may differ, and the text may be wrapped, quoted, in JSON, or cut short. It never guesses: exit\n"
        "status 1 where nothing known is in the text."
    )
    parser.epilog = (
        "example:\n"
        "  cpr diagnose 'Bad model detected with error: \"Model requires more memory than allowed.\"'\n"
        "  gcloud ai-platform versions create … 2>&1 | cpr diagnose -"
    )
    parser.add_argument(
        "text", nargs="+", metavar="TEXT", help="the error text; several arguments are joined; - reads standard input"
    )


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    matches = diagnose(_text(arguments.text))
    document = {"known": bool(matches), "matches": [match.to_json() for match in matches]}
    text = "\n\n".join(_paragraphs(matches)) if matches else _UNKNOWN
    return Outcome(document, printable_lines(text), ok=bool(matches))


def _text(words: Sequence[str]) -> str:
    if list(words) != ["-"]:
        return " ".join(words)
    if sys.stdin.isatty():
        raise UsageError("Standard input is a terminal.", "Pipe the error text into it, or give it as an argument.", "-")
    half = MAX_CHARACTERS * 2  # bytes: a character of UTF-8 has up to four
    head = sys.stdin.buffer.read(half)
    tail = b""
    while part := sys.stdin.buffer.read(1 << 20):
        tail = (tail + part)[-half:]
    return (head + tail).decode("utf-8", "replace")


def _paragraphs(matches: Sequence[Match]) -> Iterator[str]:
    """One for each failure: what is printed, its cause, and the checks."""
    for _, group in groupby(matches, key=lambda match: match.symptom or match.check):
        found = list(group)
        yield "\n".join((f"{found[0].message}", f"  cause: {found[0].cause}", *_rest(found), f"  source: {found[0].source}"))


def _rest(found: Sequence[Match]) -> Iterator[str]:
    for index, match in enumerate(found):
        if match.check is not None:
            yield f"  {match.check} {match.title}"
        if match.remedy != (found[index + 1].remedy if index + 1 < len(found) else None):
            yield f"  fix: {match.remedy}"
    if found[0].unseen:
        yield f"  before the upload: {found[0].unseen}"
