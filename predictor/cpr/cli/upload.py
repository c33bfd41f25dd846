"""``cpr upload``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cpr.bundle import Bundle, ValidatedBundle
from cpr.cli.console import Console, Outcome, size_text
from cpr.steps.upload import Upload, upload
from cpr.storage.sending import Progress


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Publish a bundle below DEST_URI, as <DEST_URI>/<name>/<version>/. Every file is compared with what the store holds;\n"
        "the manifest comes last and is never replaced. Run it again after an interruption: what is there already is kept.\n"
        "A bundle without a matching validation.json is validated first."
    )
    parser.epilog = (
        "examples:\n"
        "  cpr upload my_routine/dist/my_routine-1.0.0 gs://my-bucket/routines\n"
        "  cpr upload dist/my_routine-1.0.0 s3://my-bucket --endpoint https://storage.googleapis.com"
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="the folder that `cpr build` printed")
    parser.add_argument("destination", metavar="DEST_URI", help="gs://BUCKET/PREFIX, s3://…, file:///FOLDER, or a folder")
    parser.add_argument(
        "--endpoint", metavar="URL", help="another server that speaks the store's protocol, for gs:// and s3://"
    )
    parser.add_argument("--target", metavar="T", help="the target to validate for, where no matching record is there")
    parser.add_argument("--machine-type", metavar="M", help="the machine type to validate for")


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    validated = _validated(Bundle.open(arguments.bundle), arguments.target, arguments.machine_type, console)
    with progress(validated.bundle, console) as report:
        done = upload(validated, arguments.destination, endpoint=arguments.endpoint, progress=report)
    return Outcome(document(done), text(done))


def document(done: Upload) -> dict[str, object]:
    return {
        "uri": done.uri,
        "digest": done.digest,
        "uploaded": done.uploaded,
        "skipped": done.skipped,
        "copied": done.copied,
        "bytes_sent": done.bytes_sent,
    }


def text(done: Upload) -> str:
    if not done.uploaded:
        return f"{done.uri}\n  published already with this content; nothing was sent\n  {done.digest}"
    kept = f", {done.skipped} there already" if done.skipped else ""
    return f"{done.uri}\n  {done.uploaded} files sent{kept}, {size_text(done.bytes_sent)}\n  {done.digest}"


def _validated(bundle: Bundle, target: str | None, machine_type: str | None, console: Console) -> ValidatedBundle:
    """The record beside the manifest, where it is about this content and the target asked for; else a fresh one."""
    from cpr.steps.validate import stored_validation, validate

    found = stored_validation(bundle, target, machine_type)
    if found is not None:
        return found
    console.note("Validating first: no matching validation.json lies beside the manifest.")
    if target is None:
        return validate(bundle, machine_type=machine_type, progress=console.note)
    return validate(bundle, target, machine_type, progress=console.note)


@contextmanager
def progress(bundle: Bundle, console: Console) -> Iterator[Progress | None]:
    """One line that changes where a person watches, a line for each file where a log does, nothing with ``--quiet``."""
    if console.quiet:
        yield None
        return
    total = len(bundle.manifest.all_files) + 2  # the manifest and the validation record
    live = sys.stderr.isatty()
    done = sent = 0

    def report(name: str, count: int) -> None:
        nonlocal done, sent
        done, sent = done + 1, sent + count
        line = f"[{done}/{total}] {name} ({size_text(count) if count else 'there already'})"
        if live:
            line = f"[{done}/{total}] {size_text(sent)} sent, {name}"
            sys.stderr.write(f"\r\x1b[K{line[:78]}")
            sys.stderr.flush()
        else:
            console.note(line)

    try:
        yield report
    finally:
        if live and done:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
