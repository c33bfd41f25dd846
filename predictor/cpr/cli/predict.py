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
from cpr.cli.bundles import open_bundle
from cpr.cli.chatter import without_chatter
from cpr.cli.console import Console, Outcome
from cpr.errors import RequestError, UsageError
from cpr.manifest import MANIFEST_NAME
from cpr.project import is_project
from cpr.storage import is_uri


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Answer one request: in process from a bundle, a routine folder or a SavedModel, or over HTTP from a server.\n"
        "A URL is a server's root or ends in :predict. Prints one prediction a line, as JSON."
    )
    parser.epilog = (
        "example:\n  cpr predict my_routine --instances request.json\n"
        "  echo '[1, 2]' | cpr predict http://127.0.0.1:8080 --instances -"
    )
    parser.add_argument("place", metavar="BUNDLE_OR_MODEL_DIR_OR_URL", help="what answers")
    parser.add_argument(
        "--instances",
        required=True,
        metavar="FILE",
        help='a request body ({"instances": ...}) or one instance a line as JSON; - is standard input',
    )
    parser.add_argument("--signature-name", metavar="S", help="the signature to run, where it is not the default one")
    parser.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="for a server's answer (default: 60)")


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    body = _read_body(arguments.instances)
    if arguments.signature_name is not None:
        body["signature_name"] = arguments.signature_name
    if arguments.place.startswith(("http://", "https://")):
        predictions = client.predict(arguments.place, body, arguments.timeout)
    else:
        with without_chatter():
            loaded = _load(arguments.place, console)
        with loaded as routine:
            predictions = routine.predict(body)
    return Outcome({"predictions": predictions}, "\n".join(map(json.dumps, predictions)))


def _load(place: str, console: Console) -> runtime.LoadedRoutine:
    path = Path(place)
    if not is_uri(place) and path.is_dir() and not (path / MANIFEST_NAME).is_file() and not is_project(path):
        return runtime.load_model_dir(path)
    return runtime.load(open_bundle(place, console))


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
