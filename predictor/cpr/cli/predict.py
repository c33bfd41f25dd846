"""``cpr predict``."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from pathlib import Path
from typing import Any

from cpr import client, runtime
from cpr.cli import model_run
from cpr.cli.bundles import add_endpoint, open_bundle
from cpr.cli.chatter import without_chatter
from cpr.cli.console import Console, Outcome
from cpr.errors import RequestError, UsageError
from cpr.manifest import MANIFEST_NAME
from cpr.project import is_project
from cpr.storage import is_uri

_WEB = ("http://", "https://")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Answer one request: in process from a bundle, a routine folder or a SavedModel, or over HTTP from a server.\n"
        "A URL is a server's root or ends in :predict. Prints one prediction a line, as JSON.\n"
        "With --input a SavedModel itself is run, on whole arrays with their batch dimension, and its outputs are printed."
    )
    parser.epilog = (
        "examples:\n  cpr predict my_routine --instances request.json\n"
        "  echo '[1, 2]' | cpr predict http://127.0.0.1:8080 --instances -\n"
        "  cpr predict my_routine/model/saved_model --input 'x=[[1, 2]]' --input y=@rows.npz[y] --output-dir out\n"
        "  cpr predict my_routine/model/saved_model --check"
    )
    parser.add_argument(
        "place", nargs="?", metavar="BUNDLE_OR_MODEL_DIR_OR_URL", help="what answers; a published routine's URI, too"
    )
    parser.add_argument(
        "--instances",
        metavar="FILE",
        help='a request body ({"instances": ...}) or one instance a line as JSON; - is standard input',
    )
    parser.add_argument(
        "--input",
        nargs="*",
        action="extend",
        metavar="NAME=VALUE",
        help="the signature's inputs: JSON, @file.npy or @file.npz[key]; alone for a signature that has none",
    )
    parser.add_argument("--check", action="store_true", help="run every signature on zeros, and say which cannot run")
    parser.add_argument(
        "--signature",
        "--signature-name",
        dest="signature_name",
        metavar="S",
        help="the signature to run, if not the default one",
    )
    parser.add_argument("--tags", metavar="T", help="tags of the SavedModel's MetaGraph, with commas between them")
    parser.add_argument("--output-dir", metavar="DIR", help="also write each output of --input to DIR/OUTPUT.npy")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are in --output-dir already")
    parser.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="for a server's answer (default: 60)")
    add_endpoint(parser)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    place = _place(arguments)
    _check_usage(arguments, place)
    tags = _tags(arguments.tags)
    if arguments.check:
        return model_run.check(place, tags, console)
    if arguments.input is not None:
        return model_run.call(arguments, place, tags, console)
    body = _read_body(arguments.instances)
    if arguments.signature_name is not None:
        body["signature_name"] = arguments.signature_name
    if place.startswith(_WEB):
        predictions = client.predict(place, body, arguments.timeout)
    else:
        with without_chatter():
            loaded = _load(place, tags, arguments.endpoint, console)
        with loaded as routine:
            predictions = routine.predict(body)
    return Outcome({"predictions": predictions}, "\n".join(map(json.dumps, predictions)))


def _place(arguments: argparse.Namespace) -> str:
    """What answers; it may stand behind the inputs, of which it takes itself for the last."""
    if arguments.place is None and arguments.input and "=" not in arguments.input[-1]:
        arguments.place = arguments.input.pop()
    if arguments.place is None:
        raise UsageError("The following arguments are required: BUNDLE_OR_MODEL_DIR_OR_URL.", "See `cpr predict --help`.")
    return str(arguments.place)


def _check_usage(arguments: argparse.Namespace, place: str) -> None:
    what = [name for name in ("instances", "input", "check") if getattr(arguments, name) not in (None, False)]
    if len(what) != 1:
        problem = f"--{what[0]} and --{what[1]} exclude each other" if what else "There is nothing to predict"
        raise UsageError(
            f"{problem}.",
            "Give --instances FILE (a request), --input NAME=VALUE (whole arrays) or --check.",
        )
    for option, needs in (("signature_name", ("instances", "input")), ("output_dir", ("input",)), ("overwrite", ("input",))):
        if getattr(arguments, option) and what[0] not in needs:
            name = {"signature_name": "signature"}.get(option, option.replace("_", "-"))
            raise UsageError(f"--{name} has no meaning with --{what[0]}.", "Leave it out, or see `cpr predict --help`.")
    if arguments.endpoint and (place.startswith(_WEB) or not is_uri(place) or what[0] != "instances"):
        raise UsageError(
            "--endpoint is for a published routine that answers --instances.", "Leave it out, or name a gs:// or s3:// URI."
        )
    if arguments.overwrite and not arguments.output_dir:
        raise UsageError("--overwrite has no meaning without --output-dir.", "Name the folder with --output-dir.")
    if place.startswith(_WEB) and (what[0] != "instances" or arguments.tags):
        raise UsageError(
            f"--{'tags' if arguments.tags else what[0]} needs a SavedModel on this machine; {place} is a server.",
            "Name the SavedModel's folder, or send the server a request with --instances.",
        )


def _tags(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    tags = tuple(tag.strip() for tag in text.split(","))
    if not all(tags):
        raise UsageError(f"--tags {text!r} holds an empty tag.", "Write them with commas between, as in --tags serve,gpu.")
    return tags


def _load(place: str, tags: tuple[str, ...] | None, endpoint: str | None, console: Console) -> runtime.LoadedRoutine:
    path = Path(place)
    if not is_uri(place) and path.is_dir() and not (path / MANIFEST_NAME).is_file() and not is_project(path):
        return runtime.load_model_dir(path, tags)
    if tags is not None:
        raise UsageError(f"--tags is for a SavedModel's folder; {place} is a routine.", "Put `tags` into its routine.yaml.")
    return runtime.load(open_bundle(place, console, endpoint))


def _read_body(file: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(
            f"The instances cannot be read: {error.strerror}.", "Name a file with --instances, or - for standard input.", file
        ) from None
    name = "standard input" if file == "-" else file
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RequestError("The instances are not UTF-8 text.", "Save the file as UTF-8.", f"{name}:{line}") from None
    if not text.strip():
        raise RequestError("The file is empty.", 'Write a request body, {"instances": [...]}, or one instance a line.', name)
    whole = _whole(text)
    if isinstance(whole, dict) and "instances" in whole:
        return {key: value for key, value in whole.items() if key != "expect"}  # a line of examples.jsonl is a request, too
    # Not splitlines(): JSON text may hold U+2028 and the like.
    lines = enumerate(text.split("\n"), start=1)
    return {"instances": [_instance(line, f"{name}:{number}") for number, line in lines if line.strip()]}


def _whole(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _instance(line: str, where: str) -> Any:
    remedy = 'Write one instance a line as JSON, or one request body: {"instances": [...]}.'
    try:
        instance = json.loads(line)
    except json.JSONDecodeError as error:
        raise RequestError(f"The line is not JSON: {error.msg} at column {error.colno}.", remedy, where) from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The line cannot be read: {error}.", remedy, where) from None
    if isinstance(instance, dict) and "instances" in instance:
        file = where.rpartition(":")[0]
        raise RequestError(
            "The line is a whole request, and one is sent at a time.",
            f"Send one: `head -n 1 {shlex.quote(file)} | cpr predict … --instances -`; `cpr validate` replays all examples.",
            where,
        )
    return instance


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value) and value < 1e6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
