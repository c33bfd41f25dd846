"""``cpr download``."""

from __future__ import annotations

import argparse

from cpr.cli.bundles import add_endpoint, find_source, resumable
from cpr.cli.console import Console, Outcome, size_text
from cpr.cli.transfers import transfer
from cpr.storage.fetch import Fetch


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Copy a published bundle into DIR. Every file is compared with the manifest's SHA-256 before it gets its name; the\n"
        "manifest comes last. Run it again after an interruption: it goes on where it was. DIR may be missing or empty, or\n"
        "hold this bundle or a part of it; nothing else in it is ever overwritten."
    )
    parser.epilog = (
        "examples:\n"
        "  cpr download gs://my-bucket/routines/my_routine/1.0.0 my_routine-1.0.0\n"
        "  cpr download gs://my-bucket/routines/my_routine newest"
    )
    parser.add_argument("uri", metavar="URI", help="a published version; a routine's URI means its newest version")
    parser.add_argument("folder", metavar="DIR", help="the folder that becomes the bundle")
    add_endpoint(parser)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    source = find_source(arguments.uri, console, arguments.endpoint)
    fetch = Fetch.plan(source, arguments.folder)
    sizes = fetch.sizes
    again = "What has arrived is kept: run it again to go on."
    with resumable(console, again), transfer(console, sizes) as progress:
        bundle = fetch.run(progress)
    manifest, received = bundle.manifest, sum(sizes.values())
    document = {
        "uri": source.uri,
        "bundle": str(bundle.root),
        "name": manifest.name,
        "version": manifest.version,
        "digest": manifest.digest,
        "received": len(sizes),
        "kept": len(manifest.all_files) - len(sizes),
        "bytes_received": received,
    }
    return Outcome(document, f"{bundle.root}\n  {_summary(document, received)}\n  {manifest.digest}")


def _summary(document: dict[str, object], received: int) -> str:
    if not document["received"]:
        return "all of it was there already"
    kept = f", {document['kept']} there already" if document["kept"] else ""
    return f"{document['received']} files received{kept}, {size_text(received)}"
