"""Points of a model's inputs, in batches that memory bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from cpr.interface.columns import Tensor

_BYTES = 2 << 20
"""Of the inputs of one batch. What a model keeps for its gradients is mostly ten to a hundred times as much."""

_ROWS = 512

Arrays = Mapping[str, Any]


class Size(NamedTuple):
    """How many rows are run at a time. ``exactly``: the signature takes no fewer, so a batch is filled up."""

    rows: int
    exactly: bool = False


def batch_size(inputs: Iterable[Tensor], rows: Arrays) -> Size:
    """As many rows as the signature wants, where it wants a number, else as memory allows."""
    for tensor in inputs:
        if tensor.shape and tensor.shape[0] is not None:
            return Size(tensor.shape[0], exactly=True)
    return Size(int(min(_ROWS, max(1, _BYTES // max(1, row_bytes(rows))))))


def row_bytes(rows: Arrays) -> int:
    """The memory that the inputs of one row take."""
    return sum(array[:1].nbytes for array in rows.values())


def batched(call: Callable[[Arrays, Any], Any], points: Arrays, targets: Any, size: Size) -> Any:
    """``call`` on batches of points, joined: an array, or arrays by name. A batch is filled up with its last row."""
    count = len(targets)
    results = []
    for start in range(0, count, size.rows):
        end = min(start + size.rows, count)
        at = np.minimum(np.arange(start, start + size.rows if size.exactly else end), count - 1)
        got = call({name: array[at] for name, array in points.items()}, targets[at])
        if isinstance(got, Mapping):
            results.append({name: array[: end - start] for name, array in got.items()})
        else:
            results.append(got[: end - start])
    if isinstance(results[0], Mapping):
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}
    return np.concatenate(results)
