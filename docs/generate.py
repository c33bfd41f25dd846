"""Writes the pages of docs/reference/ that the program itself knows best. Run it after a change: python docs/generate.py

A test compares the pages with what this makes.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from cpr.checks import CATALOGUE
from cpr.checks.explained import prevented, where_it_applies
from cpr.cli import VERBS, module_of
from cpr.symptoms import Symptom, symptoms

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Written by docs/generate.py. Do not edit. -->\n"


def pages() -> dict[str, str]:
    """The text of every generated page, by its path below docs/."""
    return {
        "reference/cli.md": "\n".join(cli()),
        "reference/checks.md": "\n".join(checks()),
        "reference/symptoms.md": "\n".join(field_failures()),
    }


def cli() -> Iterator[str]:
    yield NOTE
    yield "# The command line\n"
    yield "Every verb takes `--json` (one JSON document on standard output, its first key `schema`; progress and logs go to"
    yield "standard error), `-q`, `--debug` and `--help`. A failure with `--json` prints"
    yield '`{"schema": "cpr.error/1", "error": {"type", "message", "remedy", "where"}}`.\n'
    yield "Exit status 0: fine. 1: the work was done and found wanting, or it failed. 2: wrong usage. 130: interrupted.\n"
    for verb, summary in VERBS.items():
        parser = argparse.ArgumentParser(add_help=False)
        importlib.import_module(module_of(verb)).configure(parser)
        yield f"## cpr {verb}\n"
        yield f"{summary[0].upper()}{summary[1:]}.\n"
        yield f"{parser.description}\n"
        yield from arguments(parser)
        yield f"```\n{str(parser.epilog).strip()}\n```\n"


def arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A table of the parser's arguments. Not ``format_help``: every Python lays that out in its own way."""
    yield "| argument | |"
    yield "| --- | --- |"
    for action in parser._actions:
        value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
        if action.option_strings:
            name = " ".join(filter(None, [", ".join(action.option_strings), value]))
        else:
            name = f"[{value}]" if action.nargs == "?" else value
        yield f"| `{name}` | {action.help}{' (required)' if action.required and action.option_strings else ''} |"
    yield ""


def checks() -> Iterator[str]:
    yield NOTE
    yield "# The checks of `cpr validate`\n"
    yield "An id never changes its meaning. Errors fail the validation; warnings and notes do not. The CPR6xx are about"
    yield "SavedModels: `cpr inspect` finds them as well, without a bundle and without TensorFlow.\n"
    for check in sorted(CATALOGUE, key=lambda check: check.id):
        yield f"## {check.id} {check.title}\n"
        yield f"*{check.severity.value}; {where_it_applies(check)}*\n"
        yield f"{check.cause}\n"
        for text in prevented(check):
            yield f"What the platform says otherwise: `{text}`\n"
        yield f"To do: {check.remedy}\n"
        yield f"Source: {check.source}\n"


def field_failures() -> Iterator[str]:
    yield NOTE
    yield "# Failures known from the field\n"
    yield "What people were told after the upload, why, and the check of `cpr validate` that says it before. `cpr diagnose`"
    yield "finds the place in this list for an error text. `{name}` stands for what changes from one message to the next."
    yield "Where no check is named, the reason is. The [checks](checks.md) have the rest.\n"
    for symptom in symptoms():
        yield from field_failure(symptom)


def field_failure(symptom: Symptom) -> Iterator[str]:
    yield f"## {symptom.id} {symptom.title}\n"
    for text in symptom.says:
        yield f"- `{text.replace('`', '')}`"
    for text in symptom.told:
        yield f"- in words: {re.sub('[{}]', '', text)}"
    yield f"\n{symptom.cause}\n"
    titles = {check.id: check.title for check in CATALOGUE}
    if symptom.checks:
        named = (f"{name} ({titles[name]})" if name in titles else name for name in symptom.checks)
        yield f"Found before the upload by {', '.join(named)}.\n"
    if symptom.unseen:
        yield f"{symptom.unseen}\n" if symptom.checks else f"No check: {symptom.unseen[0].lower()}{symptom.unseen[1:]}\n"
    if symptom.remedy:
        yield f"To do: {symptom.remedy}\n"
    yield f"Source: {symptom.source}\n"


def main() -> None:
    for path, text in pages().items():
        (HERE / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
