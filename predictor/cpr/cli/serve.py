"""``cpr serve``."""

from __future__ import annotations

import argparse
import json
import logging
import os
from contextlib import ExitStack, closing
from pathlib import Path

from cpr import runtime, weights
from cpr.bundle import Bundle
from cpr.cli.bundles import BUNDLE_HELP, add_endpoint, open_bundle
from cpr.cli.chatter import without_chatter
from cpr.cli.console import Console, Outcome
from cpr.errors import BundleError
from cpr.steps import serving
from cpr.storage import is_uri


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Serve a bundle over HTTP, with the routes of AI Platform, TensorFlow Serving, KServe v1 and Vertex AI containers.\n"
        "Prints one line, `ready URL`, once requests are accepted. SIGTERM or Ctrl-C lets requests in flight end, then exits 0."
    )
    parser.epilog = (
        "environment:\n"
        "  AIP_HTTP_PORT, PORT                  the port, where --port is not given\n"
        "  AIP_PREDICT_ROUTE, AIP_HEALTH_ROUTE  paths to serve beside the usual ones\n"
        "  AIP_STORAGE_URI                      as --model-uri, where the bundle holds no model\n\n"
        "example:\n  cpr serve my_routine --port 8080\n"
        "  curl -d '{\"instances\": [[1, 2]]}' http://127.0.0.1:8080/v1/models/my_routine:predict"
    )
    parser.add_argument("bundle", metavar="BUNDLE_OR_PROJECT_OR_URI", help=BUNDLE_HELP)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1; 0.0.0.0: all)")
    parser.add_argument("--port", type=_port, metavar="N", help="default: AIP_HTTP_PORT, PORT, 8080; 0 picks a free one")
    parser.add_argument("--installed", action="store_true", help="the routine's packages are installed here, as in a container")
    parser.add_argument("--model-uri", metavar="URI", help="the folder to fetch the model directory from")
    add_endpoint(parser)
    parser.add_argument("--threads", type=_positive, default=1, metavar="N", help="predictions at a time (default: 1)")
    parser.add_argument(
        "--max-request-bytes",
        type=_size,
        metavar="N",
        help="the largest request or response (default: AI Platform's limit, 1.5 MB; 0: none)",
    )
    parser.add_argument(
        "--grace", type=_positive, default=30, metavar="SECONDS", help="for requests in flight after a stop (default: 30)"
    )


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    settings = serving.Settings(
        host=arguments.host,
        threads=arguments.threads,
        max_request_bytes=arguments.max_request_bytes,
        grace=arguments.grace,
    )
    settings = serving.from_environment(os.environ, settings, arguments.port)
    _log_to_stderr()
    with ExitStack() as stack:
        address = stack.enter_context(closing(serving.reserve(settings)))
        bundle = _bundle(arguments, console)
        model_dir = _model_dir(bundle, arguments, console, stack)
        console.note(f"Loading {bundle.manifest.name} {bundle.manifest.version}")
        with without_chatter():
            loaded = runtime.load(bundle, installed=arguments.installed, model_dir=model_dir)
        routine = stack.enter_context(loaded)
        serving.serve(routine, settings, lambda url: _ready(url, console), address)
    return Outcome({}, "", raw="")


def _bundle(arguments: argparse.Namespace, console: Console) -> Bundle:
    """With ``--model-uri``, the endpoint may be that one's alone."""
    endpoint = arguments.endpoint if is_uri(arguments.bundle) or arguments.model_uri is None else None
    return open_bundle(arguments.bundle, console, endpoint)


def _model_dir(bundle: Bundle, arguments: argparse.Namespace, console: Console, stack: ExitStack) -> Path | None:
    """Where the model was fetched to; ``None`` where the bundle's own is to be used."""
    given = arguments.model_uri
    uri = given or os.environ.get("AIP_STORAGE_URI")
    if given is None and (bundle.model_dir.is_dir() or not bundle.manifest.model_files):
        return None
    if not uri:
        raise BundleError(
            "The bundle holds no model.", "Say where its model directory is: --model-uri URI.", str(bundle.model_dir)
        )
    console.note(f"Fetching the model from {uri}")
    return stack.enter_context(weights.fetched(bundle.manifest, uri, endpoint=arguments.endpoint))


def _ready(url: str, console: Console) -> None:
    console.line(json.dumps({"schema": "cpr.serve/1", "ready": True, "url": url}) if console.json else f"ready {url}")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    for name in ("cpr.serving", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.propagate = False


def _port(text: str) -> int:
    return _number(text, 0, 65535)


def _positive(text: str) -> int:
    return _number(text, 1, 10**6)


def _size(text: str) -> int:
    return _number(text, 0, 10**12)


def _number(text: str, least: int, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
