"""Commands to paste: they ask a model that was looked at for a prediction."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from cpr.saved_model.reader import DEFAULT_SIGNATURE, MetaGraph
from cpr.saved_model.requests import SPELT_OUT, Example, example_inputs, example_request
from cpr.saved_model.survey import FoundModel, Survey

_LONGEST = 200
"""Characters of a request that is spelt out."""


def is_local(found: Survey) -> bool:
    """False for what lies in a bucket."""
    return found.origin == str(found.path)


def request(found: Survey, model: FoundModel, graph: MetaGraph, key: str) -> str | None:
    """A whole command for a shell that calls the signature ``key``; ``None`` where none is known to work, or can be spelt.

    Rows where the request's rows can carry its inputs, otherwise whole inputs: scalars, or several fixed numbers of rows. A
    model in a bucket is not run there: for it the request alone.
    """
    signatures = graph.callable_signatures
    decodes: Mapping[str, str] = graph.calls[key].decodes if key in graph.calls else {}
    example = example_request(signatures, key, decodes)
    if not is_local(found):
        return f"request: {example.to_json()}" if example is not None and _is_short(example) else None
    predict = _predict(found, model, graph)
    if example is not None:
        command = f"{_printed(example)} | {predict} --instances -"
    else:
        inputs = example_inputs(signatures[key], decodes)
        if inputs is None or any("=" in name or name.startswith("-") for name in inputs):
            return None
        chosen = f" --signature {shlex.quote(key)}" if key != DEFAULT_SIGNATURE and len(signatures) > 1 else ""
        values = " ".join("--input " + shlex.quote(f"{name}={text}") for name, text in inputs.items())
        command = f"{predict}{chosen} {values}"
    return command if command.isprintable() else None


def _is_short(example: Example) -> bool:
    return example.size <= SPELT_OUT and len(example.to_json()) <= _LONGEST


def _printed(example: Example) -> str:
    """A command that prints the request."""
    if not _is_short(example):
        return "python3 -c " + shlex.quote(f"import json; print(json.dumps({example.to_python()}))")
    text = example.to_json()
    echo = "printf %s" if "\\" in text else "echo"  # which not in every shell leaves a backslash alone
    return f"{echo} {shlex.quote(text)}"


def _predict(found: Survey, model: FoundModel, graph: MetaGraph) -> str:
    """The command that runs this graph, up to the place of its input."""
    tags = f" --tags {shlex.quote(','.join(graph.tags))}" if len(model.meta_graphs) > 1 else ""
    path = str(found.path / model.where)
    # No program may take it for an option or a URI.
    named = f"./{path}" if path.startswith("-") or ":" in path.partition("/")[0] else path
    return f"cpr predict {shlex.quote(named)}{tags}"
