"""Values to ask a signature with: zeros, ones, and the rows of examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cpr.errors import CprError
from cpr.interface.columns import Tensor

_MOST = 50_000_000
"""Values of one input: a row of more is not made up."""


def filled(inputs: Sequence[Tensor]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A row of zeros; where the batch is free, three of ones and three that differ.

    Nothing where an input has no plain type, or no rank.
    """
    if any(tensor.shape is None for tensor in inputs):
        return
    for name, value, rows in (("zeros", 0, 1), ("ones", 1, 3)):
        arrays = {tensor.name: _array(tensor, value, rows) for tensor in inputs}
        if any(array is None for array in arrays.values()):
            return
        yield name, arrays
    different = {tensor.name: varied(tensor.dtype, tensor.shape or (), 3) for tensor in inputs}
    if all(not tensor.shape or tensor.shape[0] is None for tensor in inputs):
        yield "different rows", different


def from_rows(signature: Any, instances: Sequence[Any]) -> dict[str, Any] | None:
    """The arrays of an example's rows, ``None`` where they are not this signature's."""
    from cpr.interface import rows

    try:
        return rows.to_tensors(list(instances), signature.inputs, len(instances)) if instances else None
    except CprError:
        return None


def _array(tensor: Tensor, value: int, rows: int) -> Any:
    import numpy as np

    assert tensor.shape is not None
    sizes = [1 if size is None else size for size in tensor.shape]
    if tensor.shape and tensor.shape[0] is None:
        sizes[0] = rows
    if int(np.prod(sizes, dtype=float)) > _MOST:
        return None
    if tensor.dtype == "string":
        array = np.empty(sizes, object)
        array.fill(str(value).encode() if value else b"")
        return array
    dtype = "float32" if tensor.dtype == "bfloat16" else tensor.dtype
    try:
        return np.full(sizes, value, dtype)
    except TypeError:
        return None


def varied(dtype: str, shape: tuple[int | None, ...], rows: int) -> Any:
    """Rows that differ from each other, small numbers; ``None`` for a type without such values."""
    import numpy as np

    sizes = [1 if size is None else size for size in shape]
    if sizes:
        sizes[0] = rows
    count = int(np.prod(sizes, dtype=float))
    if count > _MOST:
        return None
    if dtype == "string":
        array = np.empty(count, object)
        array[:] = [str(number).encode() for number in range(count)]
        return array.reshape(sizes)
    numbers = np.arange(count).reshape(sizes)
    dtype = "float32" if dtype == "bfloat16" else dtype
    try:
        return np.sin(numbers + 1).astype(dtype) if np.dtype(dtype).kind in "fc" else (numbers % 3 % 2).astype(dtype)
    except TypeError:
        return None
