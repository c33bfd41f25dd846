"""Explain what a signature answers: from input arrays to the attributions of every row."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cpr.errors import RequestError
from cpr.explaining import baselines, outcomes
from cpr.explaining.asked import Asked
from cpr.explaining.batches import batch_size
from cpr.explaining.gradients import Integral, integrate
from cpr.explaining.values import INTEGRATED_GRADIENTS, TOLERANCE, Attribution, precision
from cpr.interface import SavedModelPredictor
from cpr.interface._signature import Signature

log = logging.getLogger("cpr.explaining")
"""A warning for each explanation that does not add up."""

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_SHAPLEY = 'Explain it by sampled Shapley: send "explanation": {"method": "sampled-shapley"}.'


def explainable(predictor: Any) -> Any:
    """``predictor``, if it answers with a signature of a SavedModel; ``RequestError`` otherwise, with the reason."""
    kind = type(predictor)
    if not isinstance(predictor, SavedModelPredictor):
        reason = f"{kind.__name__} is not a cpr.SavedModelPredictor: what it runs is its own, and cannot be looked into"
    elif kind.predict is not SavedModelPredictor.predict:
        reason = f"{kind.__name__} has a predict of its own, so what reaches the model cannot be told"
    else:
        return predictor
    raise RequestError(
        f"The routine cannot be explained here: {reason}.",
        "Derive the class from cpr.SavedModelPredictor, and put the Python into preprocess and postprocess.",
    )


def attribute(signature: Signature, tensors: Mapping[str, Any], asked: Asked, folder: Path) -> list[list[Attribution]]:
    """For each row of ``tensors``, arrays by input, its explained outputs, the first one the highest.

    ``folder`` is the SavedModel's: explanation metadata in it says what instances are compared with. ``RequestError`` where the
    method cannot explain this signature.
    """
    if not tensors:
        return []
    count = _rows(tensors)
    if asked.method == INTEGRATED_GRADIENTS:
        _check_differentiable(signature)
    outputs = signature.run(tensors)
    known = baselines.described(folder)
    name = outcomes.output_name(outputs, asked, known.output)
    output = outputs[name]
    if output.shape[:1] != (count,):
        raise RequestError(
            f"The output {name!r} has the shape {list(output.shape)} for {count} instances, so no row of it is one's own.",
            "Explain another output, or export one with a row for each instance.",
            name,
        )
    against = baselines.baselines(tensors, signature.inputs, asked.baselines, known.baselines)
    explained: list[list[Attribution]] = [[] for _ in range(count)]
    for targets in outcomes.targets(output, asked):
        integral = _averaged([_integral(signature, name, tensors, baseline, targets, asked) for baseline in against])
        for row in range(count):
            explained[row].append(_attribution(integral, row, name, outcomes.place(targets[row], output), known.groups))
    _warn(explained, asked)
    return explained


def _rows(tensors: Mapping[str, Any]) -> int:
    """How many rows the inputs have: all of them as many, or none is explained."""
    counts = {name: len(array) if array.ndim else None for name, array in tensors.items()}
    (count, *others) = dict.fromkeys(counts.values())
    if count is None or others:
        spelt = ", ".join(f"{name} {'none' if each is None else each}" for name, each in counts.items())
        raise RequestError(
            f"The inputs have different numbers of rows ({spelt}), so what belongs to an instance cannot be told.",
            "Export a signature whose inputs all have one row for each instance.",
        )
    return count


def _check_differentiable(signature: Signature) -> None:
    if signature.function is None:
        raise RequestError(
            "The model runs as a graph in a session, through which no gradient is computed here.",
            _SHAPLEY,
        )
    discrete = [f"{each.name!r} ({each.dtype})" for each in signature.inputs if each.dtype not in _FLOATS]
    if discrete:
        what = "The input {} has" if len(discrete) == 1 else "The inputs {} have"
        raise RequestError(
            f"{what.format(', '.join(discrete))} no gradient: only floating-point numbers can be changed a little.", _SHAPLEY
        )


def _integral(
    signature: Signature, name: str, rows: Mapping[str, Any], baseline: Mapping[str, Any], targets: Any, asked: Asked
) -> Integral:
    size = batch_size(signature.inputs, rows)
    if asked.method == INTEGRATED_GRADIENTS:
        from cpr.explaining._tensorflow import Differentiated

        return integrate(Differentiated(signature, name), rows, baseline, targets, asked.steps, size, asked.most_steps)
    from cpr.explaining.shapley import sample

    return sample(partial(_scores, signature, name), rows, baseline, targets, asked.paths, size)


def _scores(signature: Signature, name: str, points: Mapping[str, Any], targets: Any) -> Any:
    values = signature.run(points)[name].reshape(len(targets), -1).astype(np.float64)
    return values[np.arange(len(targets)), targets]


def _averaged(integrals: list[Integral]) -> Integral:
    """Over several baselines, as the services do."""
    if len(integrals) == 1:
        return integrals[0]
    mean = {name: np.mean([each.attributions[name] for each in integrals], axis=0) for name in integrals[0].attributions}
    base = np.mean([each.baseline_scores for each in integrals], axis=0)
    errors = np.max([each.errors for each in integrals], axis=0)
    return Integral(mean, integrals[0].scores, base, errors, np.sum([each.steps for each in integrals], axis=0))


def _attribution(integral: Integral, row: int, name: str, index: tuple[int, ...], groups: Mapping[str, str]) -> Attribution:
    attributions: dict[str, Any] = {}
    for key, array in integral.attributions.items():
        if key in groups:  # which is one feature, whatever the shapes of its inputs
            attributions[groups[key]] = attributions.get(groups[key], np.float64(0.0)) + array[row].sum()
        else:
            attributions[key] = array[row]
    score, base, error = (float(array[row]) for array in (integral.scores, integral.baseline_scores, integral.errors))
    if not all(np.isfinite(value).all() for value in (*attributions.values(), score, base, error)):
        raise RequestError(
            f"instances[{row}] has no explanation: on the way from the baseline to it the output or its gradient is no finite "
            "number, as a logarithm's or a root's at zero.",
            'Choose another baseline: "explanation": {"baselines": {"INPUT": VALUE}}.',
            f"instances[{row}]",
        )
    return Attribution(name, index, score, base, attributions, error, int(integral.steps[row]))


def _warn(explained: list[list[Attribution]], asked: Asked) -> None:
    if asked.method != INTEGRATED_GRADIENTS:
        return
    for row, attributions in enumerate(explained):
        for each in attributions:
            error = each.approx_error * (abs(each.score - each.baseline_score) or 1.0)
            if each.approx_error > TOLERANCE and error > 4 * precision(max(abs(each.score), abs(each.baseline_score))):
                log.warning(
                    "instances[%d]: the attributions miss the difference from the baseline by %.2g of it after %d steps.",
                    row,
                    each.approx_error,
                    each.steps,
                )
