"""The part of ``cpr predict`` that runs a SavedModel itself: whole arrays in and out, and the check on zeros."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr import runtime
from cpr.cli.chatter import without_chatter
from cpr.cli.console import Console, Outcome
from cpr.cli.names import printable, printable_lines
from cpr.errors import UsageError

_FILE_KEY = re.compile(r"(.+)\[([^\[\]]+)\]")


def _loaded(place: str, tags: tuple[str, ...] | None, console: Console) -> runtime.LoadedModel:
    with without_chatter():
        model = runtime.load_model(place, tags)
    if model.reason:
        console.note(f"The model runs as a graph in a session; its objects cannot be restored: {model.reason}")
    return model


def call(arguments: argparse.Namespace, place: str, tags: tuple[str, ...] | None, console: Console) -> Outcome:
    inputs = _inputs(arguments.input)
    with _loaded(place, tags, console) as model, without_chatter():
        signature = model.signature(arguments.signature_name)
        outputs = model.call(inputs, signature.name)
    from cpr import arrays

    values = {name: arrays.listed(name, array) for name, array in outputs.items()}
    document: dict[str, Any] = {
        "predictions": _rows(outputs, values),
        "signature": signature.name,
        "loader": model.loader,
        "outputs": {
            name: {"dtype": arrays.dtype_name(array), "shape": list(array.shape), "values": values[name]}
            for name, array in outputs.items()
        },
    }
    if arguments.output_dir is None:
        return Outcome(document, "\n".join(_shown(name, array, values[name]) for name, array in outputs.items()))
    paths = arrays.write_arrays(Path(arguments.output_dir), outputs, overwrite=arguments.overwrite)
    document["files"] = {name: str(path) for name, path in paths.items()}
    return Outcome(document, "\n".join(f"{_headed(name, outputs[name])} -> {path}" for name, path in paths.items()))


def check(place: str, tags: tuple[str, ...] | None, console: Console) -> Outcome:
    with _loaded(place, tags, console) as model, without_chatter():
        checks = model.check()
    rows = [{"signature": each.signature, "ok": each.ok, "cause": each.cause or None} for each in checks]
    words = {True: "runs", False: "fails", None: "unknown"}
    text = [f"{each.signature}: {words[each.ok]}{', ' if each.cause else ''}{each.cause}" for each in checks]
    document = {"loader": model.loader, "signatures": rows}
    ok = not any(each.ok is False for each in checks)
    return Outcome(document, "\n".join(map(printable, text or ["The model has no signature."])), ok=ok)


def _inputs(texts: list[str]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(
                f"--input {text!r} has not the form NAME=VALUE.", "Write --input 'x=[[1, 2]]' or --input x=@file.npy."
            )
        if name in inputs:
            raise UsageError(f"The input {name!r} is given twice.", "Give each input once, with all its rows.")
        inputs[name] = _file(name, value[1:]) if value.startswith("@") else _json(name, value)
    return inputs


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"The value of the input {name!r} is not JSON: {error}.",
            f"Write numbers as '{name}=[[1, 2]]', text as '{name}=[\"a\"]', a file as {name}=@file.npy.",
        ) from None


def _file(name: str, text: str) -> Any:
    from cpr.arrays import read_array

    keyed = None if _home(text).is_file() else _FILE_KEY.fullmatch(text)
    path, key = (keyed[1], keyed[2]) if keyed else (text, None)
    try:
        return read_array(_home(path), key)
    except OSError as error:
        raise UsageError(
            f"The file of the input {name!r} cannot be read: {error.strerror}.", "Name a .npy or .npz file behind the @.", path
        ) from None


def _home(path: str) -> Path:
    """The path with the user's folder for ``~``."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no such user
        return Path(path)


def _rows(outputs: Mapping[str, Any], values: Mapping[str, Any]) -> list[Any] | None:
    """One row for each instance, if all outputs have that many."""
    counts = {array.shape[:1] for array in outputs.values()}
    if len(counts) != 1 or counts == {()}:
        return None
    if len(values) == 1:
        rows: list[Any] = next(iter(values.values()))
        return rows
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _headed(name: str, array: Any) -> str:
    from cpr.arrays import dtype_name

    return printable(f"{name}: {dtype_name(array)} {list(array.shape)}")


def _shown(name: str, array: Any, values: Any) -> str:
    """The output for a person: long ones are shortened in the middle, as NumPy does."""
    import numpy as np

    plain = np.array(values, object).reshape(array.shape) if array.dtype.kind == "O" else array
    body = np.array2string(plain, threshold=200, separator=", ", max_line_width=100)
    return f"{_headed(name, array)}\n{printable_lines(body)}"
