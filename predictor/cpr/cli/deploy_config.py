"""``cpr deploy-config``: write the files that deploy a bundle."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr import resources
from cpr.bundle import Bundle, DeployConfig, PublishedBundle
from cpr.cli.bundles import add_endpoint, find_source, open_bundle
from cpr.cli.console import Console, Outcome
from cpr.errors import UsageError
from cpr.steps.targets import at_uri, deploy_config, write_config
from cpr.storage import is_uri

_EPILOG = """\
example:
  cpr deploy-config dist/iris-1.0 --uri gs://my-bucket/routines --target vertex-ai --machine-type n1-standard-4
  cpr deploy-config gs://my-bucket/routines/iris/1.0 --target ai-platform
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Write the files that deploy a bundle on a machine of a target, and the script that applies them."
    parser.epilog = _EPILOG
    parser.add_argument(
        "bundle",
        metavar="BUNDLE_OR_URI",
        help="a bundle on disk, or the URI that it was published at (a routine's: its newest version)",
    )
    parser.add_argument("--target", required=True, metavar="T", help=f"one of {', '.join(resources.target_names())}")
    parser.add_argument("--machine-type", metavar="M", help="the machine type (default: the target's own)")
    parser.add_argument("--uri", help="for a bundle on disk: where it is, or will be, uploaded to")
    parser.add_argument("-o", "--output", metavar="DIR", help="the folder to write (default: deploy-TARGET-MACHINE)")
    parser.add_argument("--explanation", metavar="FILE", help="explanation_spec.json of `cpr explain BUNDLE`, for Vertex AI")
    add_endpoint(parser)
    add_place(parser)


def add_place(parser: argparse.ArgumentParser) -> None:
    """The options that ``cpr ship`` has, too."""
    parser.add_argument("--project", metavar="P", help="the Google Cloud project (default: the script asks for it)")
    parser.add_argument("--region", metavar="R", help="the region (default: the target's own)")
    parser.add_argument("--image", metavar="I", help="the image of a container (default: one in Artifact Registry)")
    parser.add_argument("--bake-weights", action="store_true", help="put the model into the image of a container")


def run(args: argparse.Namespace, console: Console) -> Outcome:
    resources.read_target(args.target)  # a misspelt one is told before anything is built or fetched
    published, source = _published(args, console)
    config = deploy_config(
        published,
        args.target,
        args.machine_type,
        project=args.project,
        region=args.region,
        image=args.image,
        bake_weights=args.bake_weights,
        source=source,
        explanation=None if args.explanation is None else _read_explanation(Path(args.explanation)),
    )
    folder = output_folder(config, args.output)
    files = write_config(config, folder)
    for note in config.notes:
        console.note(f"note: {note}")
    return Outcome(document(config, folder, files), text(folder, files))


def _read_explanation(path: Path) -> Mapping[str, Any]:
    remedy = "Name the explanation_spec.json that `cpr explain BUNDLE -o DIR` writes."
    try:
        spec = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"The explanation cannot be read: {error.strerror}.", remedy, str(path)) from None
    except (ValueError, RecursionError):
        raise UsageError("The explanation is no JSON.", remedy, str(path)) from None
    if not isinstance(spec, Mapping):
        raise UsageError("The explanation is no object.", remedy, str(path))
    return spec


def output_folder(config: DeployConfig, given: str | None) -> Path:
    """Where the files go: as given, or a folder named for target and machine, here."""
    return Path(given if given is not None else f"deploy-{config.target}-{config.machine_type}")


def document(config: DeployConfig, folder: Path, files: tuple[str, ...]) -> dict[str, object]:
    """The JSON document; ``files`` are paths from the current folder on, as every path that cpr prints."""
    return {
        "target": config.target,
        "machine_type": config.machine_type,
        "output": str(folder),
        "files": [str(folder / path) for path in files],
        "notes": list(config.notes),
    }


def text(folder: Path, files: tuple[str, ...]) -> str:
    """The same for a person."""
    lines = [f"Wrote {len(files)} files to {folder}:", *(f"  {path}" for path in files)]
    return "\n".join([*lines, f"Read {folder / 'README.md'}, then run {folder / 'deploy.sh'}."])


def _published(args: argparse.Namespace, console: Console) -> tuple[PublishedBundle, Bundle | None]:
    name, uri = args.bundle, args.uri
    if is_uri(name):
        if uri is not None:
            raise UsageError("--uri is for a bundle on disk, and a URI was named.", "Leave one of the two out.", "--uri")
        return find_source(name, console, args.endpoint).published(), None
    bundle = open_bundle(name, console, args.endpoint)
    # Without a place, the folder itself: a target that reads from a bucket refuses it and says what it needs.
    return at_uri(bundle, str(bundle.root.resolve()) if uri is None else uri), bundle
