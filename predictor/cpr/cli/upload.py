"""``cpr upload``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from cpr.bundle import Bundle, ValidatedBundle
from cpr.cli.bundles import resumable
from cpr.cli.console import Console, Outcome, size_text
from cpr.cli.transfers import Report, transfer
from cpr.manifest import MANIFEST_NAME, VALIDATION_NAME
from cpr.steps.abort import abort
from cpr.steps.upload import Upload, upload

_KEPT = "What was sent is kept: run it again to go on, or `cpr upload … --abort` to remove it."


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Publish a bundle below DEST_URI, as <DEST_URI>/<name>/<version>/. Every file is compared with what the store holds;\n"
        "the manifest comes last and is never replaced. Run it again after an interruption: it goes on inside the file where\n"
        "it stopped. What another version holds already is copied inside the store, and not sent. A bundle without a\n"
        "matching validation.json is validated first. Others who try to publish the same version are told who was first:\n"
        "CPR_PUBLISHER, or the user and this machine."
    )
    parser.epilog = (
        "examples:\n"
        "  cpr upload my_routine/dist/my_routine-1.0.0 gs://my-bucket/routines\n"
        "  cpr upload dist/my_routine-1.0.0 s3://my-bucket --endpoint https://storage.googleapis.com\n"
        "  cpr upload dist/my_routine-1.0.0 gs://my-bucket/routines --abort"
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="the folder that `cpr build` printed")
    parser.add_argument("destination", metavar="DEST_URI", help="gs://BUCKET/PREFIX, s3://…, file:///FOLDER, or a folder")
    parser.add_argument(
        "--endpoint", metavar="URL", help="another server that speaks the store's protocol, for gs:// and s3://"
    )
    parser.add_argument("--verify", action="store_true", help="read everything back and hash it before it is published")
    parser.add_argument("--abort", action="store_true", help="remove what an interrupted upload left, and publish nothing")
    parser.add_argument("--target", metavar="T", help="the target to validate for, where no matching record is there")
    parser.add_argument("--machine-type", metavar="M", help="the machine type to validate for")


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    bundle = Bundle.open(arguments.bundle)
    if arguments.abort:
        return _aborted(bundle, arguments)
    validated = _validated(bundle, arguments.target, arguments.machine_type, console)
    with progress(validated, console) as report:
        done = upload(validated, arguments.destination, endpoint=arguments.endpoint, verify=arguments.verify, progress=report)
    return Outcome(document(done), text(done))


def _aborted(bundle: Bundle, arguments: argparse.Namespace) -> Outcome:
    removed = abort(bundle, arguments.destination, endpoint=arguments.endpoint)
    said = f"{removed} files of an interrupted upload removed" if removed else "No files of an interrupted upload are there"
    return Outcome({"digest": bundle.manifest.digest, "removed": removed}, said)


def document(done: Upload) -> dict[str, object]:
    return {
        "uri": done.uri,
        "digest": done.digest,
        "uploaded": done.uploaded,
        "skipped": done.skipped,
        "copied": done.copied,
        "bytes_sent": done.bytes_sent,
        "bytes_resumed": done.bytes_resumed,
    }


def text(done: Upload) -> str:
    if not done.uploaded:
        return f"{done.uri}\n  published already with this content; nothing was sent\n  {done.digest}"
    kept = f", {done.skipped} there already" if done.skipped else ""
    copied = f", {done.copied} copied from another version" if done.copied else ""
    resumed = f" ({size_text(done.bytes_resumed)} more were sent before)" if done.bytes_resumed else ""
    return f"{done.uri}\n  {done.uploaded} files sent{kept}{copied}, {size_text(done.bytes_sent)}{resumed}\n  {done.digest}"


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
def progress(validated: ValidatedBundle, console: Console) -> Iterator[Report | None]:
    """Shows the files on their way, and says after Ctrl-C how to go on."""
    manifest = validated.bundle.manifest
    sizes = {entry.path: entry.size for entry in manifest.all_files}
    sizes |= {VALIDATION_NAME: len(validated.report.to_text()), MANIFEST_NAME: len(manifest.to_json())}
    with resumable(console, _KEPT), transfer(console, sizes) as report:
        yield report
