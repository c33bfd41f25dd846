"""``cpr build``."""

from __future__ import annotations

import argparse

from cpr.bundle import Bundle
from cpr.cli.console import Console, Outcome, size_text
from cpr.steps.build import build


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a routine folder into a bundle: a source distribution, the model, a manifest with the SHA-256 of everything.\n"
        "The same folder gives the same bytes on every day and machine."
    )
    parser.epilog = "example:\n  cpr build my_routine -o out --version 1.4.2"
    parser.add_argument("project", nargs="?", default=".", metavar="PROJECT", help="the routine folder (default: this one)")
    parser.add_argument("-o", "--output", metavar="DIR", help="where the bundle's folder goes (default: PROJECT/dist)")
    parser.add_argument("--version", metavar="V", help="use this version in place of routine.yaml's (a CI build number)")


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    bundle = build(arguments.project, arguments.output, arguments.version)
    return Outcome(document(bundle), text(bundle))


def document(bundle: Bundle) -> dict[str, object]:
    manifest = bundle.manifest
    return {
        "bundle": str(bundle.root),
        "name": manifest.name,
        "version": manifest.version,
        "digest": manifest.digest,
        "files": [entry.to_json() for entry in manifest.all_files],
    }


def text(bundle: Bundle) -> str:
    manifest, files = bundle.manifest, bundle.manifest.all_files
    size = size_text(sum(entry.size for entry in files))
    return f"{bundle.root}\n  {manifest.name} {manifest.version}, {len(files)} files, {size}\n  {manifest.digest}"
