"""``cpr explain``: write what explains a model's predictions on AI Platform and Vertex AI."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cpr.cli.bundles import add_endpoint, open_bundle
from cpr.cli.console import Console, Outcome
from cpr.cli.names import printable
from cpr.errors import UsageError
from cpr.explaining.baselines import METADATA_NAME
from cpr.explaining.features import ENCODINGS, MODALITIES, RULES, Wishes
from cpr.explaining.values import INTEGRATED_GRADIENTS, SAMPLED_SHAPLEY, XRAI
from cpr.manifest import MANIFEST_NAME
from cpr.project import is_project
from cpr.steps.explain import TARGETS, ExplanationConfig, Request, explain, write_explanation
from cpr.storage import is_uri


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write explanation_metadata.json (AI Platform) and explanation_spec.json (Vertex AI) for the SavedModel in a folder:\n"
        "its inputs with baselines from data, its output, the method. TensorFlow is not needed. For a bundle or a routine\n"
        "folder Vertex AI's alone is written, for the container that serves it. `cpr serve` answers :explain, to try it here."
    )
    parser.epilog = (
        "examples:\n"
        "  cpr explain model --data rows.jsonl -o model\n"
        "  cpr explain model --features x=rooms,square_metres --method sampled-shapley --paths 25 -o explanation\n"
        "  cpr explain my_routine --target vertex-ai -o explanation"
    )
    parser.add_argument("place", metavar="SAVED_MODEL_OR_BUNDLE", help="the SavedModel's folder; or a bundle, a routine folder")
    parser.add_argument("--data", metavar="FILE", help="the model's inputs: instances as JSON lines, .npz or .npy")
    parser.add_argument("-o", "--output", metavar="DIR", help="the folder to write into (default: print alone)")
    parser.add_argument("--target", choices=TARGETS, metavar="T", help="ai-platform or vertex-ai (default: both)")
    parser.add_argument("--signature", metavar="S", help="the signature to explain, if not the default one")
    parser.add_argument("--tags", metavar="T", help="tags of the SavedModel's MetaGraph, with commas between them")
    parser.add_argument("--output-name", metavar="NAME", help="the output to explain (default: the only one of numbers)")
    parser.add_argument("--labels", metavar="A,B,…", help="names of the output's values, in order")
    parser.add_argument(
        "--method",
        choices=(INTEGRATED_GRADIENTS, SAMPLED_SHAPLEY, XRAI),
        metavar="M",
        help="integrated-gradients, sampled-shapley or xrai (default: the first, where every input has a gradient)",
    )
    parser.add_argument("--steps", type=int, default=50, metavar="N", help="of the gradients (default: 50; Vertex AI: to 100)")
    parser.add_argument("--paths", type=int, default=50, metavar="N", help="of sampled Shapley (default: 50; Vertex AI: to 50)")
    parser.add_argument(
        "--top-k", type=int, default=1, metavar="N", help="values to explain on Vertex AI (default: 1; -1: all)"
    )
    parser.add_argument(
        "--baseline",
        choices=RULES,
        default="median",
        metavar="RULE",
        help="median, mean or zeros, of numbers (default: median)",
    )
    for option, value, words in (
        ("--modality", "NAME=M", f"what an input is: {', '.join(MODALITIES)}"),
        ("--encoding", "NAME=E", f"how an input is encoded: {', '.join(ENCODINGS)}"),
        ("--features", "NAME=A,B,…", "names of a vector's values, which makes each a feature"),
        ("--group", "NAME=A,B,…", "inputs to be explained as one"),
    ):
        parser.add_argument(option, action="append", default=[], metavar=value, help=f"{words} (may be repeated)")
    add_endpoint(parser)


def run(args: argparse.Namespace, console: Console) -> Outcome:
    request = _request(args)
    place = Path(args.place)
    is_routine = is_uri(args.place) or (place / MANIFEST_NAME).is_file() or is_project(place)
    config = explain(open_bundle(args.place, console, args.endpoint) if is_routine else place, request, args.data)
    written = [str(Path(args.output) / name) for name in write_explanation(config, args.output)] if args.output else []
    for note in config.notes:
        console.note(f"note: {note}")
    return Outcome(_document(config, written), _text(config, written))


def _request(args: argparse.Namespace) -> Request:
    pairs = {option: _pairs(getattr(args, option), f"--{option}") for option in ("modality", "encoding", "features", "group")}
    wishes = Wishes(
        args.baseline,
        {name: _one_of(value, MODALITIES, "--modality") for name, value in pairs["modality"].items()},
        {name: _one_of(value, ENCODINGS, "--encoding") for name, value in pairs["encoding"].items()},
        {name: _listed(value) for name, value in pairs["features"].items()},
        {name: _listed(value) for name, value in pairs["group"].items()},
    )
    if args.top_k < -1 or args.top_k == 0:
        raise UsageError(f"--top-k is {args.top_k}.", "Give 1 or more, or -1 for all.", "--top-k")
    return Request(
        target=args.target,
        signature=args.signature,
        tags=None if args.tags is None else _listed(args.tags),
        output=args.output_name,
        labels=() if args.labels is None else _listed(args.labels),
        method=args.method,
        steps=args.steps,
        paths=args.paths,
        top_k=args.top_k,
        wishes=wishes,
    )


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name or not value:
            raise UsageError(f"{option} {text!r} has not the form NAME=VALUE.", "See `cpr explain --help`.", option)
        if name in pairs:
            raise UsageError(f"{option} names {name!r} twice.", "Give it once.", option)
        pairs[name] = value
    return pairs


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _one_of(value: str, known: tuple[str, ...], option: str) -> str:
    if value not in known:
        raise UsageError(f"{option} {value!r} is not known.", f"Choose one of {', '.join(known)}.", option)
    return value


def _document(config: ExplanationConfig, written: list[str]) -> dict[str, Any]:
    return {
        "path": config.path,
        "signature": config.signature,
        "output": config.output,
        "method": config.method,
        "baselines": {name: {"value": value, "rule": config.rules[name]} for name, value in config.baselines.items()},
        "documents": config.files,
        "explanation_config": config.method_config,
        "files": written,
        "notes": list(config.notes),
    }


def _text(config: ExplanationConfig, written: list[str]) -> str:
    lines = [f"Explains {config.output} by {config.method}. Compared with:"]
    lines += [f"  {name}: {_short(value)} ({config.rules[name]})" for name, value in config.baselines.items()]
    lines += [f"Wrote {path}." for path in written]
    if config.method_config is not None:
        ((_, parameters),) = config.method_config.items()
        flag = "num-paths" if config.method == SAMPLED_SHAPLEY else "num-integral-steps"
        (count,) = parameters.values()
        lines.append(
            f"{METADATA_NAME} belongs beside saved_model.pb, and the version onto an N1 machine: "
            "gcloud beta ai-platform versions create … --framework tensorflow "
            f"--explanation-method {config.method} --{flag} {count}"
        )
    if not written:
        lines += [json.dumps(document, indent=2, ensure_ascii=False) for document in config.files.values()]
    return "\n".join(printable(line) if "\n" not in line else line for line in lines)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:60] + "…"
