"""Which variables are worth storing in a smaller type, and what is stored then."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from cpr.shrinking import _tensorflow
from cpr.shrinking.model import Model, Stored
from cpr.shrinking.retyping import Storing, variables_of

FLOAT16, INT8 = "float16", "int8"

_NODES = {FLOAT16: 200, INT8: 400}
"""Bytes that the operations take which turn a variable back: one that saves less stays as it is."""

_LARGEST_HALF = 65504.0
_STEPS = 127
_WIDE = ("float32", "float64")
_ROWS = 1 << 24
"""Elements that are quantised at once."""


class Kept(NamedTuple):
    """A variable that stays as it is though it is large, and why."""

    key: str
    reason: str


def smaller_weights(model: Model, weights: str) -> tuple[dict[str, Storing], tuple[Kept, ...]]:
    """How to store the weights as ``float16`` or ``int8``, and those that cannot be.

    ``int8`` has one scale for each channel (the last axis; of a depthwise kernel, the last two): 127 steps to each side of
    zero, up to the largest value of the channel. Vectors stay as they are: biases and what
    normalises are small, and needed exactly.
    """
    found: dict[str, Storing] = {}
    kept = []
    for key, reason in variables_of(model).items():
        tensor = model.tensors.get(key)
        if tensor is None or not _worthwhile(tensor, weights):
            continue
        if reason is None:
            made = _half(tensor) if weights == FLOAT16 else _quantised(tensor)
            if isinstance(made, Storing):
                found[key] = made
                continue
            reason = made
        kept.append(Kept(key, reason))
    return found, tuple(kept)


def smaller_integers(model: Model) -> tuple[dict[str, Storing], tuple[Kept, ...]]:
    """How to store variables of int64 as int32, and those whose values do not allow it."""
    tf = _tensorflow.tensorflow()
    found: dict[str, Storing] = {}
    kept = []
    for key, reason in variables_of(model).items():
        tensor = model.tensors.get(key)
        if tensor is None or tensor.dtype != tf.int64.as_datatype_enum or 4 * prod(tensor.shape) <= _NODES[FLOAT16]:
            continue
        values = tensor.load()
        if reason is None and not tf.int32.min <= int(tf.reduce_min(values)) <= int(tf.reduce_max(values)) <= tf.int32.max:
            reason = "its values do not fit"
        if reason is None:
            found[key] = Storing(_cast(tensor, tf.int32))
        else:
            kept.append(Kept(key, reason))
    return found, tuple(kept)


def _worthwhile(tensor: Stored, weights: str) -> bool:
    tf = _tensorflow.tensorflow()
    dtype = tf.as_dtype(tensor.dtype)
    if dtype.name not in _WIDE and not (weights == INT8 and dtype.name in ("float16", "bfloat16")):
        return False
    count = prod(tensor.shape)
    if weights == FLOAT16:
        return bool(count * (dtype.size - 2) > _NODES[FLOAT16])
    return len(tensor.shape) > 1 and bool(count * (dtype.size - 1) - 4 * tensor.shape[-1] > _NODES[INT8])


def _half(tensor: Stored) -> Storing | str:
    tf = _tensorflow.tensorflow()
    largest = max((float(tf.reduce_max(tf.abs(part))) for part in _parts(tensor)), default=0.0)
    if not largest <= _LARGEST_HALF:
        return f"its largest value is {largest:.3g}, and that of float16 is {_LARGEST_HALF:.0f}"
    return Storing(_cast(tensor, tf.float16))


def _cast(tensor: Stored, dtype: Any) -> Stored:
    tf = _tensorflow.tensorflow()
    return Stored(dtype.as_datatype_enum, tensor.shape, lambda: tf.cast(tensor.load(), dtype))


def _quantised(tensor: Stored) -> Storing | str:
    tf = _tensorflow.tensorflow()
    import numpy as np

    channels = 2 if len(tensor.shape) == 4 and tensor.shape[-1] <= 4 else 1  # depthwise kernels end in input, multiplier
    axes = list(range(len(tensor.shape) - channels))
    largest = np.zeros(tensor.shape[-channels:], np.float64)
    for part in _parts(tensor):
        largest = np.maximum(largest, tf.reduce_max(tf.abs(part), axes).numpy().astype(np.float64))
    if not np.isfinite(largest).all():
        return "it holds values that are not finite"
    scale = np.where(largest > 0, largest / _STEPS, 1.0).astype(tf.as_dtype(tensor.dtype).as_numpy_dtype)

    def load() -> Any:
        done = [tf.cast(tf.round(part / scale), tf.int8) for part in _parts(tensor)]
        return done[0] if len(done) == 1 else tf.concat(done, 0)

    return Storing(Stored(tf.int8.as_datatype_enum, tensor.shape, load), scale)


def _parts(tensor: Stored) -> Iterator[Any]:
    """The values, some rows at a time: what is computed with them takes as much memory again."""
    values = tensor.load()
    if not tensor.shape or not prod(tensor.shape):
        if prod(tensor.shape):
            yield values
        return
    rows = max(1, _ROWS * tensor.shape[0] // prod(tensor.shape))
    for start in range(0, tensor.shape[0], rows):
        yield values[start : start + rows]
