"""``cpr export``: a servable SavedModel of what is not one yet."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any

from cpr.cli.chatter import without_chatter
from cpr.cli.console import Console, Outcome
from cpr.cli.names import printable
from cpr.errors import UsageError
from cpr.saved_model.documents import signature_document
from cpr.steps.export import Exported, export

_PAIRS = ("also", "input", "output", "rename_signature", "rename_input", "rename_output")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a servable SavedModel of what is not one yet, and prove it: it loads by both of TensorFlow's loaders, answers\n"
        "as its source does, and `cpr inspect` has neither error nor warning for it. Otherwise nothing is written.\n"
        "SRC is recognised by its content: a SavedModel whose tags, signature names, input and output names or method names\n"
        "are wrong or missing; a Keras file; a frozen graph; a checkpoint with its .meta; a training folder;\n"
        "an Estimator's folder, with the functions that make it and its serving input."
    )
    parser.epilog = (
        "examples:\n"
        "  cpr export model.keras served\n"
        "  cpr export exported served --tags serve --rename-signature predict=serving_default\n"
        "  cpr export exported served --method classify --rename-output probabilities=scores\n"
        "  cpr export frozen.pb served --input image=input:0 --output scores=softmax:0\n"
        "  cpr export run/model.ckpt-1000 served --output scores=softmax:0 --constant keep_prob:0=1.0"
    )
    parser.add_argument("source", metavar="SRC", help="what is to become a SavedModel; it stays as it is")
    parser.add_argument("destination", metavar="DST", help="the folder to write")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=TENSOR", help="an input: a tensor of the graph")
    parser.add_argument("--output", action="append", default=[], metavar="NAME=TENSOR", help="an output: a tensor of the graph")
    parser.add_argument(
        "--constant", action="append", default=[], metavar="TENSOR=JSON", help="a value that a tensor of the graph has for good"
    )
    parser.add_argument("--function", metavar="NAME", help="the function to serve, of a SavedModel that has no signature")
    parser.add_argument(
        "--checkpoint", metavar="PREFIX", help="the weights of the graph; of a training folder a name, newest or best:METRIC"
    )
    parser.add_argument("--keep-batch", action="store_true", help="leave an outer dimension that is fixed as it is")
    parser.add_argument("--estimator", metavar="FILE.py:F", help="the function that makes the Estimator of the folder SRC")
    parser.add_argument("--serving-input", metavar="FILE.py:F", help="its serving input function")
    parser.add_argument("--python", metavar="PATH", help="the Python that runs them, with TensorFlow 2.15 or older")
    parser.add_argument("--tags", metavar="T", help="tags of the result, with commas between them (default: serve)")
    parser.add_argument("--from-tags", metavar="T", help="tags of the graph to take, where SRC has several")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="TAGS=SRC",
        help="the graph of another source, beside that of SRC",
    )
    parser.add_argument("--signature", metavar="S", help="the signature that the options are about, or a new one's name")
    for option, what in (("signature", "signature"), ("input", "input"), ("output", "output")):
        parser.add_argument(
            f"--rename-{option}", action="append", default=[], metavar="OLD=NEW", help=f"give the {what} OLD the name NEW"
        )
    parser.add_argument("--method", metavar="M", help="what the signature is for: predict, classify or regress")
    parser.add_argument(
        "--add",
        choices=("classify", "regress"),
        help="add a signature of this name that parses tf.Example messages",
    )
    parser.add_argument("--examples", metavar="FILE", help="requests (examples.jsonl) that SRC and DST must answer alike")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="ID", help="a finding of `cpr inspect` that the result may have"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the folder DST if it is there")


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    pairs: dict[str, Any] = {f"{name}s": _pairs(name, getattr(arguments, name)) for name in _PAIRS}
    also = {_tags("--also", tags) or (): source for tags, source in pairs.pop("alsos").items()}
    with without_chatter():
        exported = export(
            arguments.source,
            arguments.destination,
            tags=_tags("--tags", arguments.tags),
            from_tags=_tags("--from-tags", arguments.from_tags),
            signature=arguments.signature,
            constants=_constants(arguments.constant),
            checkpoint=arguments.checkpoint,
            function=arguments.function,
            estimator=arguments.estimator,
            serving_input=arguments.serving_input,
            python=arguments.python,
            keep_batch=arguments.keep_batch,
            method=arguments.method,
            add=arguments.add,
            examples=arguments.examples,
            allow=arguments.allow,
            overwrite=arguments.overwrite,
            say=lambda text: console.note(printable(text)),
            also=also,
            **pairs,
        )
    return Outcome(_document(exported), _text(exported))


def _pairs(name: str, texts: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    option = f"--{name.replace('_', '-')}"
    for text in texts:
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise UsageError(f"{option} {text!r} has not the form NAME=VALUE.", "See `cpr export --help`.", option)
        if left in pairs:
            raise UsageError(f"{option} names {left!r} twice.", "Name each once.", option)
        pairs[left] = right
    return pairs


def _constants(texts: Iterable[str]) -> dict[str, Any]:
    constants = {}
    for name, text in _pairs("constant", texts).items():
        try:
            constants[name] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"The value of {name} is not JSON: {error}.", "Write false or 1.0.", "--constant") from None
    return constants


def _tags(option: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    tags = tuple(tag.strip() for tag in text.split(","))
    if not all(tags):
        raise UsageError(f"{option} {text!r} holds an empty tag.", f"Write {option} serve,gpu.", option)
    return tags


def _document(exported: Exported) -> dict[str, Any]:
    return {
        "path": printable(str(exported.path)),
        "source": exported.kind,
        "meta_graphs": [
            {
                "tags": list(graph.tags),
                "signatures": {key: signature_document(each) for key, each in graph.callable_signatures.items()},
            }
            for graph in exported.model.meta_graphs
        ],
        "changes": [printable(note) for note in exported.notes],
        "compared": [
            {
                "tags": list(each.tags),
                "signature": each.signature,
                "requests": each.requests,
                "largest_difference": each.largest,
                "refused": [printable(cause) for cause in each.refused],
            }
            for each in exported.compared
        ],
        "not_compared": printable(exported.why_not) or None,
        "findings": [finding.to_json() for finding in exported.findings],
    }


def _text(exported: Exported) -> str:
    lines = [f"{exported.path}: a SavedModel that both loaders take"]
    for each in exported.compared:
        where = f"{','.join(each.tags)} {each.signature}"
        if each.requests:
            lines.append(f"  {where}: answers as the source, {each.requests} requests, largest difference {each.largest:.3g}")
        else:
            reason = exported.why_not or "; ".join(each.refused) or "no values are known that it takes"
            lines.append(f"  {where}: not compared with the source: {reason}")
    lines += [f"  {finding.severity.value} {finding.check}: {finding.message}" for finding in exported.findings]
    lines.append(f"next: cpr inspect {exported.path}")
    return "\n".join(map(printable, lines))
