"""The values that an explanation is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INTEGRATED_GRADIENTS = "integrated-gradients"
SAMPLED_SHAPLEY = "sampled-shapley"
XRAI = "xrai"

TOLERANCE = 1e-4
"""How far, relative to the difference that is explained, the sum of attributions by gradients may be from it."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """One value of one instance's outputs, explained.

    ``index`` locates the value in the output's row, and is empty where a row is one number. ``attributions`` has for each input
    an array in the shape of its row, and for a group of inputs one number; they sum up to ``score`` less ``baseline_score``.
    ``approx_error`` is how far they are from that, relative to it (sampled Shapley: the standard error of the sample);
    ``steps`` is how many gradients, or paths, it took.
    """

    output: str
    index: tuple[int, ...]
    score: float
    baseline_score: float
    attributions: Mapping[str, Any]
    approx_error: float
    steps: int


def relative(error: float, difference: float) -> float:
    """``error`` in relation to what is explained; as it is where that is nothing."""
    return abs(error) / abs(difference) if difference else abs(error)


def precision(score: Any) -> Any:
    """By how much two scores of this size may differ for no other reason than that they are computed in 32 bits."""
    return 2.0**-22 * abs(score)
