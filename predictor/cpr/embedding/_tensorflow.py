"""TensorFlow for what goes into a graph: imported on use."""

from __future__ import annotations

from typing import Any

from cpr.errors import MissingExtra


def tensorflow() -> Any:
    """The module; ``MissingExtra`` where it is not installed."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise MissingExtra("tensorflow", "Putting Python's work into a graph") from None
    return tf


def refusing(tf: Any, right: Any, rows: Any, what: str) -> Any:
    """``rows``, whose use fails the request where an element of ``right`` is false; the error names the first such row.

    ``right`` has the outer dimension of ``rows``; ``what`` says what is wrong, after the row's name.
    """
    first = tf.strings.as_string(tf.reduce_min(tf.where(tf.logical_not(right))[:, 0]))
    told = tf.strings.join(["instances[", first, f"] {what}"])
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(right), [told])]):
        return tf.identity(rows)
