"""``cpr inspect``: what a SavedModel, a bundle or a folder holds."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import Any

from cpr.cli.console import Console, Outcome, size_text
from cpr.errors import UsageError
from cpr.report import Finding
from cpr.saved_model.reader import MetaGraph, Signature, TensorInfo
from cpr.saved_model.requests import example_request
from cpr.saved_model.survey import FoundModel, Survey, survey
from cpr.storage import is_uri
from cpr.storage.location import Location

_MOST_FILES, _MOST_OPS, _MOST_VARIABLES, _BAR = 12, 8, 8, 16
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what a SavedModel, a bundle or a folder with such holds: files, signatures, ops, variables, and what is wrong "
        "with it. TensorFlow is not needed. Exit status 1: a model here cannot be loaded."
    )
    parser.epilog = "example:\n  cpr inspect my_routine/model\n  cpr inspect dist/iris-1.0 --json"
    parser.add_argument("path", metavar="PATH", help="the folder, or a saved_model.pb in it")


def run(args: argparse.Namespace, console: Console) -> Outcome:
    found = survey(_folder(args.path))
    return Outcome(_document(found), "\n".join(map(_printable, _text(found))), ok=found.ok)


def _folder(place: str) -> str:
    if not is_uri(place):
        return place
    location = Location.parse(place)
    if location.bucket:
        copy = "aws s3 cp --recursive" if location.scheme == "s3" else "gcloud storage cp -r"
        raise UsageError("A bucket is not inspected in place.", f"Copy it first: `{copy} {shlex.quote(place)} FOLDER`.", place)
    return location.path


def _document(found: Survey) -> dict[str, Any]:
    manifest = None if found.bundle is None else found.bundle.manifest
    return {
        "path": _printable(str(found.path)),
        "bundle": None if manifest is None else {"name": manifest.name, "version": manifest.version, "digest": manifest.digest},
        "total_bytes": found.total_bytes,
        "files": [{"path": _printable(path), "size": size} for path, size in found.files],
        "meta_graphs": [_meta_graph(graph, model) for model in found.models for graph in model.meta_graphs],
        "findings": [_finding(finding) for finding in found.findings],
    }


def _meta_graph(graph: MetaGraph, model: FoundModel) -> dict[str, Any]:
    return {
        "path": _printable(model.where),
        "tags": list(graph.tags),
        "tensorflow_version": graph.tensorflow_version,
        "signatures": {
            key: {
                "method_name": signature.method_name,
                "inputs": {name: _tensor(info) for name, info in signature.inputs.items()},
                "outputs": {name: _tensor(info) for name, info in signature.outputs.items()},
            }
            for key, signature in graph.signatures.items()
        },
        "ops": dict(graph.ops),
        "variables": [
            {"name": variable.name, "dtype": variable.dtype, "shape": list(variable.shape), "bytes": variable.bytes}
            for variable in model.variables
        ],
        "assets": list(graph.assets),
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {key: _printable(value) for key, value in finding.to_json().items()}


def _tensor(info: TensorInfo) -> dict[str, Any]:
    rest = {"dtype": info.dtype, "shape": None if info.shape is None else list(info.shape)}
    if info.kind is None:
        return {"tensor": info.name, **rest}
    return {"kind": info.kind, "components": [_tensor(component) for component in info.components], **rest}


def _text(found: Survey) -> Iterator[str]:
    what = ""
    if found.bundle is not None:
        what = f"bundle {found.bundle.manifest.name} {found.bundle.manifest.version}, "
    count = len(found.files)
    yield f"{found.path}: {what}{size_text(found.total_bytes)} in {count} file{'' if count == 1 else 's'}"
    yield from _tree(found.files)
    for model in found.models:
        for graph in model.meta_graphs:
            yield ""
            place = "" if model.where == "." else f"{model.where}: "
            written = f", written by TensorFlow {graph.tensorflow_version}" if graph.tensorflow_version else ""
            yield f"{place}graph [{', '.join(graph.tags)}]{written}"
            yield from _graph(graph, model)
    if found.findings:
        yield ""
        for finding in found.findings:
            yield f"{finding.severity.value} {finding.check} {finding.where}: {finding.message}"
            yield f"  fix: {finding.remedy}"


def _tree(files: tuple[tuple[str, int], ...]) -> Iterator[str]:
    largest = sorted(files, key=lambda file: (-file[1], file[0]))[:_MOST_FILES]
    shown = [file for file in files if file in set(largest)]
    top = max((size for _, size in shown), default=0) or 1
    for path, size in shown:
        bar = "█" * round(_BAR * size / top)
        yield f"  {size_text(size):>8}  {bar:<{_BAR}}  {path}"
    if len(files) > len(shown):
        rest = sum(size for _, size in files) - sum(size for _, size in shown)
        yield f"  {size_text(rest):>8}  {'':<{_BAR}}  … {len(files) - len(shown)} smaller files"


def _graph(graph: MetaGraph, model: FoundModel) -> Iterator[str]:
    signatures = graph.callable_signatures
    for key, signature in signatures.items():
        yield f"  {key}  ({signature.method_name.removeprefix('tensorflow/serving/') or 'no method name'})"
        yield from _signature(signature)
        request = example_request(signatures, key)
        if request is not None:
            yield f"    request: {request}"
    common = sorted(graph.ops.items(), key=lambda item: (-item[1], item[0]))[:_MOST_OPS]
    more = ", …" if len(graph.ops) > _MOST_OPS else ""
    yield f"  ops: {sum(graph.ops.values())} of {len(graph.ops)} kinds: {', '.join(f'{op} {n}' for op, n in common)}{more}"
    variables = [variable for variable in model.variables if variable.name != _OBJECT_GRAPH]
    if variables:
        yield f"  variables: {len(variables)}, {size_text(sum(variable.bytes for variable in variables))}"
        for variable in sorted(variables, key=lambda variable: -variable.bytes)[:_MOST_VARIABLES]:
            name = variable.name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
            yield f"    {size_text(variable.bytes):>8}  {name}  {variable.dtype}{_shape(variable.shape)}"
        if len(variables) > _MOST_VARIABLES:
            yield f"    {'':>8}  … {len(variables) - _MOST_VARIABLES} smaller ones"
    if graph.assets:
        yield f"  assets: {', '.join(graph.assets)}"


def _signature(signature: Signature) -> Iterator[str]:
    rows = [("in ", name, info) for name, info in signature.inputs.items()]
    rows += [("out", name, info) for name, info in signature.outputs.items()]
    width = max((len(name) for _, name, _ in rows), default=0)
    for side, name, info in rows:
        yield f"    {side} {name:<{width}}  {_type(info)}"


def _type(info: TensorInfo) -> str:
    if info.kind is None:
        return f"{info.dtype}{_shape(info.shape)}"
    return f"{info.kind} of {', '.join(_type(component) for component in info.components)}"


def _shape(shape: tuple[int | None, ...] | None) -> str:
    """``[?, 4]``; ``[…]`` for an unknown rank."""
    if shape is None:
        return "[…]"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _printable(text: str) -> str:
    """Names come from the model and the file system: a terminal must not obey them, and not every file name is Unicode."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
