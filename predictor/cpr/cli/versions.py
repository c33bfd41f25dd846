"""``cpr list``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from cpr.cli.bundles import add_endpoint
from cpr.cli.console import Console, Outcome, size_text
from cpr.cli.names import printable
from cpr.steps.versions import Listed, list_versions

_HEAD = ("NAME", "VERSION", "SIZE", "FILES", "PUBLISHED (UTC)", "VALIDATED FOR", "DIGEST")
_RIGHT = {2, 3}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what is published at a place: the versions of one routine, or those of all routines in a folder. Each with its\n"
        "size, when it was published, what it was validated for, and its digest; in order of name and version."
    )
    parser.epilog = "examples:\n  cpr list gs://my-bucket/routines\n  cpr list gs://my-bucket/routines/my_routine --json"
    parser.add_argument("uri", metavar="URI", help="a folder of routines, a routine, or a version")
    parser.add_argument("--all", action="store_true", help="also uploads and deletions that did not end")
    add_endpoint(parser)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    found = list_versions(arguments.uri, unfinished=arguments.all, endpoint=arguments.endpoint)
    document = {"uri": arguments.uri, "versions": [_document(each) for each in found]}
    return Outcome(document, "\n".join(_table(found)) if found else f"Nothing is published at {arguments.uri}.")


def _document(listed: Listed) -> dict[str, object]:
    return {
        "uri": listed.uri,
        "name": listed.name,
        "version": listed.version,
        "state": listed.state,
        "digest": listed.digest,
        "files": listed.files,
        "bytes": listed.bytes,
        "published": None if listed.published is None else _time(listed.published, "%Y-%m-%dT%H:%M:%SZ"),
        "target": listed.target,
        "machine_type": listed.machine_type,
        "problem": listed.problem,
    }


def _table(found: tuple[Listed, ...]) -> Iterator[str]:
    rows = [_HEAD, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        cells = zip(row, widths, range(len(_HEAD)), strict=True)
        yield "  ".join(cell.rjust(width) if at in _RIGHT else cell.ljust(width) for cell, width, at in cells).rstrip()
    for listed in found:
        if listed.problem:
            yield f"{printable(listed.uri)}: {printable(listed.problem)}"


def _row(listed: Listed) -> tuple[str, ...]:
    published = "-" if listed.published is None else _time(listed.published, "%Y-%m-%d %H:%M")
    return (
        printable(listed.name),
        printable(listed.version),
        "-" if listed.bytes is None else size_text(listed.bytes),
        "-" if listed.files is None else str(listed.files),
        published,
        "-" if listed.target is None else f"{listed.target} {listed.machine_type}",
        f"({listed.state})" if listed.digest is None else f"{listed.digest[:19]}…",
    )


def _time(seconds: float, form: str) -> str:
    return time.strftime(form, time.gmtime(seconds))
