"""Freeing the outer dimension, so that requests of any number of rows are answered together, where that is safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cpr.examples import ATOL, RTOL
from cpr.exporting.values import varied
from cpr.interface._failures import cause

Shape = tuple[int | None, ...] | None
STAYS = "batch: stays fixed: "
"""How the note begins that says why."""

Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def fixed_rows(shapes: Mapping[str, Shape]) -> tuple[int | None, str]:
    """How many rows the inputs are fixed to, ``None`` where they are free, have none, or must stay; and why they must."""
    sizes = {shape[0] for shape in shapes.values() if shape}
    if len(sizes) == 1 and None not in sizes:
        return sizes.pop(), ""
    if len(sizes) > 1:
        return None, "the inputs have different outer dimensions: " + ", ".join(
            f"{name} {shape[0]}" for name, shape in shapes.items() if shape
        )
    return None, ""


def freed(shape: Shape) -> Shape:
    """The shape with a free outer dimension."""
    return (None, *shape[1:]) if shape else shape


def refused(ask: Ask, source: Ask, inputs: Mapping[str, tuple[str, Shape]], outputs: Mapping[str, Shape], rows: int) -> str:
    """Why the freed graph must not be used, empty where it may: two batches at once must answer as the source does each.

    ``inputs`` have dtype and shape, ``outputs`` are the shapes of the freed graph, ``rows`` is what the source takes.
    """
    import numpy as np

    for name, shape in outputs.items():
        if not shape or shape[0] is not None:
            return f"the output {name} would not follow it"
    both = {name: varied(dtype, shape or (), 2 * rows) for name, (dtype, shape) in inputs.items()}
    if any(array is None for array in both.values()):
        return "no values are known to try it with"
    try:
        answered = ask(both)
    except Exception as error:  # of any kind, by operation
        return f"the graph fails with more rows: {cause(error)}"
    try:
        expected = in_chunks(source, rows)(both)
    except Exception as error:
        return f"the source could not be asked: {cause(error)}"
    for name, array in answered.items():
        mine, theirs = np.asarray(array), np.asarray(expected[name])
        if mine.shape != theirs.shape:
            return f"the output {name} would have the shape {list(mine.shape)}"
        close = np.array_equal(mine, theirs) if mine.dtype.kind not in "fc" else np.allclose(mine, theirs, RTOL, ATOL, True)
        if not close:
            return f"the rows of {name} would depend on each other"
    return ""


def in_chunks(source: Ask, rows: int) -> Ask:
    """``source`` takes ``rows`` at a time: any number of them, the last ones repeated to fill the last chunk."""

    def ask(arrays: Mapping[str, Any]) -> dict[str, Any]:
        import numpy as np

        count = max((len(array) for array in arrays.values() if np.ndim(array)), default=0)
        parts = []
        for start in range(0, count, rows):
            chosen = np.minimum(np.arange(start, start + rows), count - 1)
            parts.append(source({key: np.asarray(each)[chosen] if np.ndim(each) else each for key, each in arrays.items()}))
        return {key: np.concatenate([part[key] for part in parts])[:count] for key in parts[0]}

    return ask
