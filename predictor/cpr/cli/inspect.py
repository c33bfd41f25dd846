"""``cpr inspect``: what a SavedModel, a bundle or a folder holds, and what differs between two."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cpr.cli.console import Console, Outcome
from cpr.cli.names import printable
from cpr.errors import UsageError
from cpr.saved_model.documents import signature_document
from cpr.saved_model.operations import lowest
from cpr.steps.inspect import compare, inspect

if TYPE_CHECKING:  # their modules are imported where they are needed: a script that asks for JSON waits for none of the text
    from cpr.report import Finding
    from cpr.saved_model.comparison import Comparison
    from cpr.saved_model.reader import MetaGraph
    from cpr.saved_model.survey import FoundModel, Survey


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what a SavedModel, a bundle or a folder with such holds: files, signatures, ops, variables, and what is wrong\n"
        "with it. TensorFlow is not needed. From a bucket the small files alone are fetched, never the weights.\n"
        "With a second place: what differs between the two models.\n"
        "Exit status 1: a model here cannot be loaded. Differences between two models are no failure."
    )
    parser.epilog = (
        "examples:\n"
        "  cpr inspect my_routine/model\n"
        "  cpr inspect gs://my-bucket/models/price/7 --json\n"
        "  cpr inspect model --tensorflow 2.11\n"
        "  cpr inspect models/price/6 models/price/7"
    )
    parser.add_argument(
        "path",
        metavar="PATH_OR_URI",
        help="the folder, or a saved_model.pb in it; gs://, s3:// or file:// (a published routine's: its newest version)",
    )
    parser.add_argument("other", metavar="OTHER", nargs="?", help="a second one, to compare the first with")
    parser.add_argument("--verify", action="store_true", help="recompute the checksum of every tensor; reads all weights")
    parser.add_argument("--tensorflow", metavar="VERSION", help="say what this release of TensorFlow would refuse or not run")
    parser.add_argument(
        "--endpoint", metavar="URL", help="another server that speaks the store's protocol, for gs:// and s3://"
    )


def run(args: argparse.Namespace, console: Console) -> Outcome:
    if args.other is not None:
        return _compared(args, console)
    found = inspect(args.path, verify=args.verify, tensorflow=args.tensorflow, endpoint=args.endpoint, progress=console.note)
    if console.json:
        return Outcome(_document(found), "", ok=found.ok)
    from cpr.cli.inspect_text import text

    return Outcome({}, text(found), ok=found.ok)


def _compared(args: argparse.Namespace, console: Console) -> Outcome:
    for option, value in (("--verify", args.verify), ("--tensorflow", args.tensorflow)):
        if value:
            raise UsageError(f"{option} is for one model.", "Inspect the two models by themselves.", option)
    compared = compare(args.path, args.other, endpoint=args.endpoint, progress=console.note)
    if console.json:
        return Outcome(_differences(compared), "")
    from cpr.cli.compare_text import text

    return Outcome({}, text(compared))


def _document(found: Survey) -> dict[str, Any]:
    manifest = None if found.bundle is None else found.bundle.manifest
    return {
        "path": printable(found.origin),
        "bundle": None if manifest is None else {"name": manifest.name, "version": manifest.version, "digest": manifest.digest},
        "total_bytes": found.total_bytes,
        "files": [{"path": printable(path), "size": size} for path, size in found.files],
        "meta_graphs": [_meta_graph(graph, model) for model in found.models for graph in model.meta_graphs],
        "models": [_model(model) for model in found.models],
        "findings": [_finding(finding) for finding in found.findings],
    }


def _meta_graph(graph: MetaGraph, model: FoundModel) -> dict[str, Any]:
    needs = lowest(graph.ops)
    return {
        "path": printable(model.where),
        "tags": list(graph.tags),
        "tensorflow_version": graph.tensorflow_version,
        "git_version": graph.git_version,
        "minimum_tensorflow": needs.release,
        "maximum_tensorflow": needs.until,
        "minimum_tensorflow_ops": list(needs.ops),
        "unknown_ops": [op for op in needs.unknown if op not in graph.functions],
        "producer": graph.producer,
        "min_consumer": graph.min_consumer,
        "bad_consumers": list(graph.bad_consumers),
        "stripped_default_attrs": graph.stripped_default_attrs,
        "signatures": {key: signature_document(signature) for key, signature in graph.signatures.items()},
        "ops": dict(graph.ops),
        "functions": dict(graph.functions),
        "init_ops": list(graph.init_ops),
        "objects": _objects(graph),
        "variables": [
            {"name": variable.name, "dtype": variable.dtype, "shape": variable.shape, "bytes": variable.bytes}
            for variable in model.variables
        ],
        "assets": list(graph.assets),
    }


def _objects(graph: MetaGraph) -> dict[str, Any] | None:
    objects = graph.objects
    if objects is None:
        return None
    return {
        "maker": objects.maker,
        "keras_version": objects.keras_version or None,
        "keras_major": objects.keras_major or None,
        "classes": dict(objects.classes),
        "functions": objects.functions,
        "variables": [
            {
                "name": variable.name,
                "dtype": variable.dtype,
                "shape": variable.shape,
                "trainable": variable.trainable,
                "path": variable.path or None,
            }
            for variable in objects.variables
        ],
    }


def _model(model: FoundModel) -> dict[str, Any]:
    fingerprint, warmup = model.fingerprint, model.warmup
    return {
        "path": printable(model.where),
        "fingerprint": None if fingerprint is None else fingerprint._asdict(),
        "warmup": None if warmup is None else warmup._asdict(),
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {key: printable(value) for key, value in finding.to_json().items()}


def _differences(compared: Comparison) -> dict[str, Any]:
    return {
        "a": printable(compared.a.origin),
        "b": printable(compared.b.origin),
        "equal": compared.equal,
        "differences": [
            {"kind": each.kind, "where": printable(each.where), "a": each.a, "b": each.b} for each in compared.differences
        ],
        "unread": [printable(what) for what in compared.unread],
    }
