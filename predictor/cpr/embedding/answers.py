"""Answers inside the graph: names in place of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cpr.embedding._tensorflow import tensorflow
from cpr.errors import UsageError


def labels(names: Sequence[str], probability: bool = False) -> Labels:
    """A part that names the largest score of each row; of several equal ones the first, as ``numpy.argmax`` has it.

    It takes scores ``[rows, len(names)]`` and gives ``{"label": strings [rows]}``, with ``probability`` also that score.
    NaN has no place in an order: a row with one may get any name.
    """
    if not names:
        raise UsageError("There are no names.", "Give one for each class.", "names")
    return Labels(tuple(names), probability)


class Labels:
    """See :func:`labels`."""

    def __init__(self, names: tuple[str, ...], probability: bool) -> None:
        self.names = names
        self.probability = probability

    def __call__(self, scores: Any) -> Any:
        tf = tensorflow()
        if scores.shape.rank != 2 or scores.shape[1] not in (None, len(self.names)):
            raise UsageError(
                f"The scores have the shape {scores.shape}, and there are {len(self.names)} names.",
                "Give a name for each class, and scores with a row for each instance.",
                "names",
            )
        largest, places = tf.math.top_k(scores, 1)  # tf.argmax does not promise which of several equal ones it takes
        label = tf.gather(tf.constant(self.names), places[:, 0])
        return {"label": label, "probability": largest[:, 0]} if self.probability else {"label": label}
