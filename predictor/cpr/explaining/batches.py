"""Points of a model's inputs, in batches that memory bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from cpr.interface.columns import Tensor

_BYTES = 4 << 20
"""Of the inputs of one batch. What a model keeps for its gradients is mostly ten to a hundred times as much."""

_ROWS = 512

Arrays = Mapping[str, Any]


def batch_rows(inputs: Iterable[Tensor], rows: Arrays) -> int:
    """How many rows to run at a time: as many as the signature wants, where it wants a number, else as memory allows."""
    for tensor in inputs:
        if tensor.shape and tensor.shape[0] is not None:
            return tensor.shape[0]
    size = sum(array[:1].nbytes for array in rows.values())
    return int(min(_ROWS, max(1, _BYTES // max(1, size))))


def batched(call: Callable[[Arrays, Any], Any], points: Arrays, targets: Any, rows: int) -> Any:
    """``call`` on batches of exactly ``rows`` rows at most, joined: an array, or arrays by name.

    A last batch is filled up with its last row, so that a signature with a fixed batch takes it, and none is traced anew.
    """
    count = len(targets)
    results = []
    for start in range(0, count, rows):
        at = np.minimum(np.arange(start, start + rows), count - 1) if count > rows else np.arange(count)
        got = call({name: array[at] for name, array in points.items()}, targets[at])
        results.append(_each(got, lambda array, left=count - start: array[:left]))  # type: ignore[misc]
    if isinstance(results[0], Mapping):
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}
    return np.concatenate(results)


def _each(result: Any, change: Callable[[Any], Any]) -> Any:
    return {name: change(array) for name, array in result.items()} if isinstance(result, Mapping) else change(result)
