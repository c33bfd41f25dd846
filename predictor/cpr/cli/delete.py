"""``cpr delete``."""

from __future__ import annotations

import argparse

from cpr.cli.bundles import add_endpoint, resumable
from cpr.cli.console import Console, Outcome, size_text
from cpr.cli.names import printable
from cpr.cli.transfers import transfer
from cpr.errors import UsageError
from cpr.steps.delete import Deletion, delete, plan_deletion


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Delete a published version: its manifest first, then the files that it lists, and nothing else that lies there. Or\n"
        "what an upload left that never ended. There is no way back. Run it again after an interruption: it ends the work.\n"
        "Without --yes nothing is deleted: it says what would be, with exit status 2."
    )
    parser.epilog = "example:\n  cpr delete gs://my-bucket/routines/my_routine/1.0.0 --yes"
    parser.add_argument("uri", metavar="URI", help="a published version, or an upload to there that never ended")
    parser.add_argument("--yes", action="store_true", help="delete it")
    add_endpoint(parser)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    planned = plan_deletion(arguments.uri, endpoint=arguments.endpoint)
    if not arguments.yes:
        raise UsageError(
            f"This would delete {_what(planned)}: {_size(planned)}.", "Add --yes to delete that for good.", planned.uri
        )
    with resumable(console, "It is not at its end: run it again."), transfer(console, planned.files) as progress:
        done = delete(arguments.uri, endpoint=arguments.endpoint, progress=progress)
    document = {
        "uri": done.uri,
        "name": done.name,
        "version": done.version,
        "files": len(done.files),
        "bytes": done.bytes,
        "left": list(done.left),
    }
    text = f"{done.uri}\n  deleted {_what(done)}: {_size(done)}"
    if done.left:
        text += "\n  left, as no part of it: " + ", ".join(map(printable, done.left[:5]))
        text += f" and {len(done.left) - 5} more" if len(done.left) > 5 else ""
    return Outcome(document, text)


def _what(deletion: Deletion) -> str:
    return "an upload that never ended" if deletion.name is None else f"{deletion.name} {deletion.version}"


def _size(deletion: Deletion) -> str:
    count = len(deletion.files)
    return f"{count} file{'' if count == 1 else 's'}, {size_text(deletion.bytes)}"
