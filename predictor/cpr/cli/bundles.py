"""What most verbs start from: a bundle, a routine folder that is built first, or the URI of a published bundle."""

from __future__ import annotations

import argparse
import atexit
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpr.bundle import Bundle
from cpr.cli.console import Console
from cpr.cli.transfers import transfer
from cpr.errors import BundleError, OutputError, UsageError
from cpr.manifest import MANIFEST_NAME
from cpr.project import PROJECT_NAME, is_project
from cpr.storage import Location, is_uri
from cpr.storage.fetch import Fetch
from cpr.storage.published import Source, open_source

BUNDLE_HELP = (
    "a bundle, a routine folder, which is built first, or the URI of a published one (a routine's: its newest version)"
)


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """The option of all that reads from a bucket."""
    parser.add_argument(
        "--endpoint", metavar="URL", help="another server that speaks the store's protocol, for gs:// and s3://"
    )


def find_source(uri: str, console: Console, endpoint: str | None = None) -> Source:
    """The version published at ``uri``; where that is a routine's, its newest, which is told."""
    source = open_source(uri, endpoint=endpoint)
    if source.uri != str(Location.parse(uri)):
        console.note(f"The newest version there is {source.manifest.version}: {source.uri}")
    return source


@contextmanager
def resumable(console: Console, remedy: str) -> Iterator[None]:
    """Says, where it is interrupted, what running it again does."""
    try:
        yield
    except KeyboardInterrupt:
        console.note(remedy)
        raise


def open_bundle(place: str, console: Console, endpoint: str | None = None) -> Bundle:
    """The bundle at ``place``. A routine folder is built into its own ``dist/``; what a URI names is fetched, verified, into a
    temporary folder that goes when the process ends. A routine's URI means its newest version."""
    if is_uri(place):
        source = find_source(place, console, endpoint)
        folder = Path(tempfile.mkdtemp(prefix="cpr-bundle-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        console.note(f"Fetching {source.uri}")
        fetch = Fetch.plan(source, folder / "bundle")
        with transfer(console, fetch.sizes) as progress:
            return fetch.run(progress)
    if endpoint is not None:
        raise UsageError(f"--endpoint is for a URI, and {place} is on this machine.", "Leave it out.", "--endpoint")
    path = Path(place)
    if (path / MANIFEST_NAME).is_file():
        return Bundle.open(path)
    if is_project(path):
        from cpr.steps.build import build

        try:
            bundle = build(path)
        except OutputError as error:
            remedy = f"Build it where you may write, `cpr build {shlex.quote(place)} -o DIR`, and name what that prints."
            raise OutputError(error.message, remedy, error.where) from None
        console.note(f"Built {bundle.root}")
        return bundle
    problem = "has neither" if path.is_dir() else "is no folder with" if path.exists() else "does not exist, so it has neither"
    raise BundleError(
        f"{place} {problem} a {MANIFEST_NAME} (a bundle) {'nor' if 'neither' in problem else 'or'} "
        f"a {PROJECT_NAME} (a routine folder).",
        "Name a bundle or a routine folder; `cpr new DIR` starts one.",
        place,
    )
