"""``cpr lock``."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from cpr.cli.bundles import BUNDLE_HELP, add_endpoint, open_bundle
from cpr.cli.console import Console, Outcome, size_text
from cpr.errors import OutputError
from cpr.locking import Lock
from cpr.manifest import Manifest
from cpr.steps.lock import lock


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Lock the requirements of a routine, and all that they need, as the target would install them: versions and SHA-256\n"
        "for its Python and its system, from wheels alone. What is printed is a requirements file that pip and uv take with\n"
        "--require-hashes. Asks the package index, through uv (`pip install 'cpr-kit[lock]'`)."
    )
    parser.epilog = "example:\n  cpr lock my_routine --target vertex-ai -o requirements.lock"
    parser.add_argument("bundle", metavar="BUNDLE_OR_PROJECT_OR_URI", help=BUNDLE_HELP)
    parser.add_argument("--target", default="ai-platform", metavar="T", help="the deploy target (default: ai-platform)")
    parser.add_argument("--machine-type", metavar="M", help="the machine type (default: the target's)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the requirements file there in place of printing it")
    add_endpoint(parser)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    bundle = open_bundle(arguments.bundle, console, arguments.endpoint)
    locked = lock(bundle, arguments.target, arguments.machine_type)
    text = requirements_file(bundle.manifest, arguments.target, locked)
    document = {"target": arguments.target, **locked.to_json(), "bytes": locked.size, "output": arguments.output}
    if arguments.output is None:
        return Outcome(document, text.rstrip("\n"))
    _write(Path(arguments.output), text)
    count = len(locked.packages)
    summary = f"{arguments.output}: {count} package{'' if count == 1 else 's'}, {size_text(locked.size)} of wheels"
    return Outcome(document, f"{summary}, for Python {locked.python} on {locked.platform}")


def requirements_file(manifest: Manifest, target: str, locked: Lock) -> str:
    """The lock with a line above that says for what it holds."""
    head = f"# {manifest.name} {manifest.version} on {target}: Python {locked.python}, {locked.platform}\n"
    return head + (locked.to_text() or "# Nothing is to be installed: the runtime has all that the routine requires.\n")


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The requirements file cannot be written: {error.strerror}.", "Name a file where you may write.", str(path)
        ) from None
