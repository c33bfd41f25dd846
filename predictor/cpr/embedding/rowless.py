"""Batches without a row, which servers may send and some graphs fail on: TensorFlow's fused convolutions are among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cpr.errors import CprError

if TYPE_CHECKING:
    from cpr.interface._signature import Signature
    from cpr.interface.columns import Tensor

Run = Callable[..., Mapping[str, Any]]


def answer(signature: Signature) -> dict[str, Any]:
    """What a signature answers no rows, as arrays by name. Errors as those of ``Signature.run``."""
    return signature.run({tensor.name: _nothing(tensor) for tensor in signature.inputs})


def safe(tf: Any, run: Run, signature: Signature) -> Run:
    """``run``, the signature as a function of tensors by name. Where it fails without rows, it gets one, then cut off."""
    try:
        answer(signature)
    except CprError:
        return lambda **given: _padded(tf, run, given)
    return run


def _padded(tf: Any, run: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    count = tf.reduce_max([tf.shape(tensor)[0] for tensor in given.values()])
    full = {name: tf.cond(count > 0, lambda it=it: it, lambda it=it: _row(tf, it)) for name, it in given.items()}
    return {name: output[:count] for name, output in run(**full).items()}


def _row(tf: Any, tensor: Any) -> Any:
    """One row of zeros, or of empty texts, of the size that each row of ``tensor`` has."""
    return tf.zeros(tf.concat([[1], tf.shape(tensor)[1:]], 0), tensor.dtype)


def _nothing(tensor: Tensor) -> Any:
    import numpy as np

    dtype = {"string": "O", "bfloat16": "float32"}.get(tensor.dtype, tensor.dtype)
    return np.empty([0, *(size or 1 for size in (tensor.shape or (None,))[1:])], dtype)
