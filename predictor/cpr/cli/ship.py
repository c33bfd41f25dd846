"""``cpr ship``: the four steps in one, the line that a CI script has."""

from __future__ import annotations

import argparse

from cpr.bundle import Bundle, DeployConfig, PublishedBundle, ValidatedBundle
from cpr.cli import build as build_verb
from cpr.cli import deploy_config as config_verb
from cpr.cli import upload as upload_verb
from cpr.cli import validate as validate_verb
from cpr.cli.console import Console, Outcome
from cpr.errors import TargetError
from cpr.steps.build import build
from cpr.steps.targets import at_uri, deploy_config, write_config
from cpr.steps.upload import upload
from cpr.steps.validate import examine


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Build, validate, upload and write the deploy config. It stops at the first step that fails: what validation or the\n"
        "target refuses is never uploaded."
    )
    parser.epilog = "example:\n  cpr ship my_routine gs://my-bucket/routines --target vertex-ai --version 1.0.dev42"
    parser.add_argument("routine", metavar="PROJECT", help="the routine folder")
    parser.add_argument("destination", metavar="DEST_URI", help="gs://BUCKET/PREFIX, s3://…, file:///FOLDER, or a folder")
    parser.add_argument("--target", required=True, metavar="T", help="the deploy target")
    parser.add_argument("--machine-type", metavar="M", help="the machine type (default: the target's own)")
    parser.add_argument("--version", metavar="V", help="use this version in place of routine.yaml's (a CI build number)")
    parser.add_argument("--endpoint", metavar="URL", help="another server that speaks the store's protocol")
    parser.add_argument("-o", "--output", metavar="DIR", help="where the config goes (default: deploy-TARGET-MACHINE)")
    parser.add_argument("--strict", action="store_true", help="stop at a warning of the validation, too")
    config_verb.add_place(parser)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    bundle = build(arguments.routine, version=arguments.version)
    console.note(f"Built {bundle.root}")
    _config(arguments, bundle, at_uri(bundle, arguments.destination))  # what the target refuses is told before the rehearsal
    report = examine(bundle, arguments.target, arguments.machine_type, console.note)
    documents = {"build": build_verb.document(bundle), "validate": validate_verb.document(report, arguments.strict)}
    validation = validate_verb.report_text(bundle.manifest, report, arguments.strict)
    if not report.passes(arguments.strict):
        return Outcome(documents, validation, ok=False)
    console.note(validation)
    validated = ValidatedBundle(bundle, report)
    with upload_verb.progress(validated, console) as progress:
        done = upload(validated, arguments.destination, endpoint=arguments.endpoint, progress=progress)
    config = _config(arguments, bundle, done)
    folder = config_verb.output_folder(config, arguments.output)
    files = write_config(config, folder)
    documents["upload"] = upload_verb.document(done)
    documents["deploy-config"] = config_verb.document(config, folder, files)
    texts = (build_verb.text(bundle), upload_verb.text(done), config_verb.text(folder, files))
    return Outcome(documents, "\n".join(texts))


def _config(arguments: argparse.Namespace, bundle: Bundle, published: PublishedBundle) -> DeployConfig:
    try:
        return deploy_config(
            published,
            arguments.target,
            arguments.machine_type,
            project=arguments.project,
            region=arguments.region,
            image=arguments.image,
            bake_weights=arguments.bake_weights,
            source=bundle,
        )
    except TargetError as error:
        if error.where != "--uri":
            raise
        # Here the destination is that place, and there is no such option.
        raise TargetError(error.message, "Give the target's kind of bucket as DEST_URI.", arguments.destination) from None
