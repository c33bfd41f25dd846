"""Which values of a signature's outputs to explain: of one output, in each row, the highest unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cpr.errors import RequestError
from cpr.explaining.asked import Asked

_OUTPUT = "explanation.output"
_INDEX = "explanation.output_index"


def output_name(outputs: Mapping[str, Any], asked: Asked, described: str | None) -> str:
    """The output to explain: the one asked for, else ``described`` in the model's metadata, else the only one of numbers."""
    numeric = [name for name, array in outputs.items() if array.dtype.kind in "fiuV"]
    floats = [name for name in numeric if outputs[name].dtype.kind in "fV"] or numeric
    listed = ", ".join(repr(name) for name in outputs)
    if asked.output is not None or described in numeric:
        name = asked.output or str(described)
        if name not in outputs:
            raise RequestError(f"The signature has no output {name!r}.", f"Its outputs are {listed}.", _OUTPUT)
        if name not in numeric:
            raise RequestError(
                f"The output {name!r} holds no numbers, so there is nothing to explain.",
                f"Choose another of {listed}.",
                _OUTPUT,
            )
        return name
    if len(floats) == 1:
        return floats[0]
    if floats:
        remedy = f'Name one of {", ".join(map(repr, floats))}: "explanation": {{"output": {floats[0]!r}}}.'.replace("'", '"')
        raise RequestError("The signature has several outputs of numbers.", remedy, _OUTPUT)
    raise RequestError(
        f"No output of the signature holds numbers; it has {listed}.", "Name another signature with signature_name.", _OUTPUT
    )


def targets(output: Any, asked: Asked) -> list[Any]:
    """Places in the rows of an output, each an array with one flat index for each row, the first to explain first."""
    shape = output.shape[1:]
    values = output.reshape(len(output), -1).astype(np.float64)
    if not values.shape[1]:
        raise RequestError("The output is empty, so there is nothing to explain.", "Send other instances.", _OUTPUT)
    if asked.output_index is not None:
        return [np.full(len(output), _flat(asked.output_index, shape))]
    most = values.shape[1] if asked.top_k < 0 else min(asked.top_k, values.shape[1])
    return list(np.argsort(-values, axis=1, kind="stable")[:, :most].T)


def place(flat: int, output: Any) -> tuple[int, ...]:
    """The index of a value in an output's row; empty where a row is one number."""
    shape = output.shape[1:]
    return tuple(int(part) for part in np.unravel_index(int(flat), shape)) if shape else ()


def _flat(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    if index == (0,) and not shape:
        return 0
    if len(index) != len(shape) or any(not 0 <= part < size for part, size in zip(index, shape, strict=True)):
        raise RequestError(
            f"output_index is {list(index)}, and a row of the output has the shape {list(shape)}.",
            "Give one place for each dimension, from 0 on.",
            _INDEX,
        )
    return int(np.ravel_multi_index(index, shape)) if shape else 0
