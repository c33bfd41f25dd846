"""What most verbs start from: a bundle, a routine folder that is built first, or the URI of a published bundle."""

from __future__ import annotations

import atexit
import shlex
import shutil
import tempfile
from pathlib import Path

from cpr.bundle import Bundle
from cpr.cli.console import Console
from cpr.errors import BundleError, OutputError
from cpr.manifest import MANIFEST_NAME
from cpr.project import PROJECT_NAME, is_project
from cpr.storage import fetch_bundle, is_uri


def open_bundle(place: str, console: Console) -> Bundle:
    """The bundle at ``place``. A routine folder is built into its own ``dist/``; what a URI names is fetched, verified, into a
    temporary folder that goes when the process ends."""
    if is_uri(place):
        folder = Path(tempfile.mkdtemp(prefix="cpr-bundle-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        console.note(f"Fetching {place}")
        return fetch_bundle(place, folder / "bundle")
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
