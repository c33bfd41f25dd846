"""Sampled Shapley values (Castro, Gomez and Tejada, 2009; https://arxiv.org/abs/1306.4265) against a baseline, for any model.

On each path the values of an instance take the place of the baseline's one after the other, in random order; what each adds to
the score then is its part. Every second path is the one before in reverse, which makes the average steadier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cpr.errors import RequestError
from cpr.explaining.batches import Arrays, Size, batched
from cpr.explaining.gradients import Integral
from cpr.explaining.values import relative

MOST_FEATURES = 512
"""Values of an instance: each costs one prediction a path."""


def sample(
    scores: Callable[[Arrays, Any], Any], rows: Arrays, baseline: Arrays, targets: Any, paths: int, size: Size
) -> Integral:
    """Attributions for ``rows``, arrays by input, each value of a row by itself.

    The paths are the same at each call. ``RequestError`` for instances with more than ``MOST_FEATURES`` values.
    """
    count = len(targets)
    widths = {name: int(np.prod(array.shape[1:])) for name, array in rows.items()}
    features = sum(widths.values())
    if features > MOST_FEATURES:
        raise RequestError(
            f"An instance has {features} values; sampled Shapley here takes {MOST_FEATURES} at most.",
            "Explain the model by integrated gradients, which takes any number.",
            "explanation.method",
        )
    orders = _orders(features, paths)
    attributions = {name: np.zeros(array.shape) for name, array in rows.items()}
    first, last, errors = np.zeros(count), np.zeros(count), np.zeros(count)
    for row in range(count):
        gains = np.zeros((paths, features))
        for path, order in enumerate(orders):
            points = _points(rows, baseline, row, order, widths)
            along = batched(scores, points, np.full(features + 1, targets[row]), size)
            gains[path, order] = np.diff(along)
            first[row], last[row] = along[0], along[-1]
        spread = gains.std(axis=0, ddof=1) / np.sqrt(paths) if paths > 1 else np.zeros(features)
        errors[row] = relative(float(np.linalg.norm(spread)), last[row] - first[row])
        mean, start = gains.mean(axis=0), 0
        for name, width in widths.items():
            attributions[name][row] = mean[start : start + width].reshape(rows[name].shape[1:])
            start += width
    return Integral(attributions, last, first, errors, np.full(count, paths))


def _orders(features: int, paths: int) -> list[Any]:
    random = np.random.default_rng(0)
    orders: list[Any] = []
    while len(orders) < paths:
        order = random.permutation(features)
        orders += [order, order[::-1]]
    return orders[:paths]


def _points(rows: Arrays, baseline: Arrays, row: int, order: Any, widths: dict[str, int]) -> dict[str, Any]:
    """The baseline, then one value of the instance more from row to row."""
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    there = rank[None, :] < np.arange(len(order) + 1)[:, None]
    points, start = {}, 0
    for name, width in widths.items():
        mask = there[:, start : start + width].reshape(-1, *rows[name].shape[1:])
        points[name] = np.where(mask, rows[name][row], baseline[name][row])
        start += width
    return points
