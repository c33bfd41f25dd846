"""What instances are compared with: as the request says, else as the explanation metadata beside the model, else zeros."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cpr.errors import RequestError
from cpr.interface.columns import Misfit, Tensor, column

METADATA_NAME = "explanation_metadata.json"


class Described(NamedTuple):
    """What the metadata in a SavedModel's folder says: baselines and groups by input, the output to explain."""

    baselines: Mapping[str, Sequence[Any]] = {}
    output: str | None = None
    groups: Mapping[str, str] = {}


def described(folder: Path) -> Described:
    """Nothing where there is no such file, or none that can be read: ``cpr validate`` is there to say so."""
    try:
        document = json.loads((folder / METADATA_NAME).read_bytes())
        found = {name: each.get("input_baselines") for name, each in document["inputs"].items()}
        groups = {name: each["group_name"] for name, each in document["inputs"].items() if "group_name" in each}
        outputs = list(document["outputs"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Described()
    baselines = {name: values for name, values in found.items() if isinstance(values, list) and values}
    return Described(baselines, outputs[0] if len(outputs) == 1 else None, groups)


def baselines(
    rows: Mapping[str, Any], inputs: Sequence[Tensor], asked: Mapping[str, Any], known: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """Baselines in the shapes of ``rows``, one of them or several: what they explain is averaged.

    ``RequestError`` for one that does not fit its input, or is of none.
    """
    names = [tensor.name for tensor in inputs]
    for name in asked:
        if name not in names:
            raise RequestError(
                f"There is no input {name!r}.", f"The inputs are {', '.join(names)}.", f"explanation.baselines.{name}"
            )
    given = {**known, **{name: [value] for name, value in asked.items()}}
    count = max((len(given[name]) for name in names if name in given), default=1)
    return [
        {tensor.name: _filled(rows[tensor.name], tensor, given.get(tensor.name), at) for tensor in inputs}
        for at in range(count)
    ]


def _filled(rows: Any, tensor: Tensor, values: Sequence[Any] | None, at: int) -> Any:
    if values is None:
        empty = np.empty(rows.shape, object)
        empty.fill(b"")
        return empty if rows.dtype.kind == "O" else np.zeros_like(rows)
    value = values[min(at, len(values) - 1)]
    shape = (None,) if not isinstance(value, list) else (None, *rows.shape[1:])
    try:
        one = column([value], tensor._replace(shape=shape))
    except Misfit as misfit:
        raise RequestError(
            f"The baseline of the input {tensor.name!r} does not fit: {misfit}.",
            f"Give one number for all of it, or a value of shape {list(rows.shape[1:])}.",
            f"explanation.baselines.{tensor.name}",
        ) from None
    return np.broadcast_to(
        one.reshape(1, *one.shape[1:]) if isinstance(value, list) else one.reshape(1, *[1] * (rows.ndim - 1)), rows.shape
    )
