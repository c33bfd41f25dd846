"""``cpr verify``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import nullcontext

from cpr.cli.bundles import add_endpoint, find_source
from cpr.cli.console import Console, Outcome, size_text
from cpr.cli.names import printable
from cpr.cli.transfers import transfer
from cpr.steps.verify import Verification, examine


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read a published bundle back and compare every file's SHA-256 with the manifest. Tells what is missing, altered, or\n"
        "there though the manifest does not list it. Exit status 1 where it finds any."
    )
    parser.epilog = "example:\n  cpr verify gs://my-bucket/routines/my_routine/1.0.0"
    parser.add_argument("uri", metavar="URI", help="a published version; a routine's URI means its newest version")
    parser.add_argument("--quick", action="store_true", help="compare the names and sizes that the store lists; read no file")
    add_endpoint(parser)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    source = find_source(arguments.uri, console, arguments.endpoint)
    sizes = {entry.path: entry.size for entry in source.manifest.all_files}
    with nullcontext() if arguments.quick else transfer(console, sizes) as progress:
        found = examine(source, quick=arguments.quick, progress=progress)
    document = {
        "uri": source.uri,
        "name": source.manifest.name,
        "version": source.manifest.version,
        "digest": source.manifest.digest,
        "ok": found.ok,
        "quick": found.quick,
        "files": found.files,
        "bytes": found.bytes,
        "findings": [fault.to_json() for fault in found.faults],
    }
    return Outcome(document, "\n".join(_text(found)), found.ok)


def _text(found: Verification) -> Iterator[str]:
    for fault in found.faults:
        yield f"{fault.kind:<7}  {printable(fault.path)}: {fault.message}"
    how = "names and sizes" if found.quick else "SHA-256"
    verdict = "ok" if found.ok else f"not ok, {len(found.faults)} found"
    yield f"{verdict}: {found.source.uri}, {found.files} files, {size_text(found.bytes)}, {how} compared"
