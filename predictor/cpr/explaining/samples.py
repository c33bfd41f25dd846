"""Data of a model's inputs, for baselines and domains: a file of instances, or arrays by input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cpr.errors import RequestError
from cpr.interface.columns import Misfit, Tensor, whole
from cpr.interface.rows import to_tensors


def read_samples(path: Path, inputs: list[Tensor]) -> dict[str, Any]:
    """Arrays by input, one row an instance, from JSON lines (of instances or of requests), or from a ``.npz`` or ``.npy`` file.

    ``RequestError`` for a file that holds something else, with the place.
    """
    try:
        with open(path, "rb") as file:
            mark = file.read(2)
        return _arrays(path, inputs) if mark in (b"PK", b"\x93N") else _rows(path, inputs)
    except OSError as error:
        raise RequestError(
            f"The data cannot be read: {error.strerror or error}.", "Name a file with --data.", str(path)
        ) from None


def _arrays(path: Path, inputs: list[Tensor]) -> dict[str, Any]:
    from cpr.arrays import read_array

    single = len(inputs) == 1 and path.read_bytes()[:1] == b"\x93"
    found = {}
    for tensor in inputs:
        try:
            found[tensor.name] = whole(read_array(path, None if single else tensor.name), tensor)
        except Misfit as misfit:
            raise RequestError(
                f"The array for the input {tensor.name!r} does not fit: {misfit}.", "Save one row an instance.", str(path)
            ) from None
    counts = {name: len(array) for name, array in found.items()}
    if len(set(counts.values())) > 1:
        raise RequestError(f"The arrays have different numbers of rows: {counts}.", "Save as many rows for each.", str(path))
    return found


def _rows(path: Path, inputs: list[Tensor]) -> dict[str, Any]:
    rows: list[Any] = []
    number = 0
    try:
        text = path.read_text("utf-8-sig")
        for line in text.split("\n"):
            number += 1
            if line.strip():
                value = json.loads(line)
                rows += value["instances"] if isinstance(value, dict) and isinstance(value.get("instances"), list) else [value]
    except UnicodeDecodeError:
        raise RequestError("The data is not UTF-8 text.", "Save it as UTF-8, or as .npz.", str(path)) from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The line is no JSON: {error}.", "Write one instance a line.", f"{path}:{number}") from None
    if not rows:
        raise RequestError("The data holds no instance.", "Write one instance a line.", str(path))
    try:
        return to_tensors(rows, inputs, len(rows))
    except RequestError as error:
        raise RequestError(error.message, error.remedy, str(path)) from None
