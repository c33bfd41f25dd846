"""How far the answers of two models are apart, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cpr.errors import CprError, ModelError
from cpr.models import load_model
from cpr.shrinking.batches import Batch, batches_for

_LONGEST = 60_000
"""Milliseconds that a batch may take in a session: one that waits for an input queue never ends."""


_ROUNDING = 1e-4, 1e-5
"""Relative and absolute: sums in another order, as where operations are fused, are off by less."""


class Answered(NamedTuple):
    """What a signature answered to its batches: output arrays by name for each, or why there is no answer."""

    signature: str
    batches: list[Batch]
    outputs: list[dict[str, Any]]
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One output of one signature, compared on ``rows`` rows.

    ``maximum`` and ``mean`` are of absolute differences (of numbers that are no floats, texts and booleans: ``None``).
    ``agreement`` is the part of the rows whose largest score is the same one, and the same for what is no float;
    ``None`` for floats of which a row has one. ``same`` is true where floats are within the tolerance of rounding, and all
    else is equal. ``made_up``: the rows are no data of the user's.
    """

    signature: str
    output: str
    rows: int
    maximum: float | None
    mean: float | None
    agreement: float | None
    same: bool
    made_up: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values; infinities as text, which JSON has no number for."""
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: "Infinity" if value == math.inf else value for name, value in values}


def answers(
    folder: Path, tags: tuple[str, ...], examples: Path | None, data: Path | None, known: Mapping[str, Answered] | None = None
) -> dict[str, Answered]:
    """Run every signature of a MetaGraph in a session, as servers do. ``known``: what another one was run on."""
    found = {}
    with load_model(folder, tags, "session") as model:
        default = model.signature().name if len(model.signatures) == 1 else "serving_default"
        for name, signature in model.signatures.items():
            batches = batches_for(signature, examples, data, default) if known is None else known[name].batches
            found[name] = _answered(name, signature, batches)
    return found


def answers_of_objects(folder: Path, tags: tuple[str, ...], known: Mapping[str, Answered]) -> dict[str, Answered]:
    """The same by ``tf.saved_model.load``, for the first batch of each signature that has an answer."""
    found = {}
    with load_model(folder, tags, "object") as model:
        for name, answered in known.items():
            if not answered.failed and answered.batches:
                found[name] = _answered(name, model.signatures[name], answered.batches[:1])
    return found


def _answered(name: str, signature: Any, batches: list[Batch]) -> Answered:
    if not batches:
        return Answered(name, [], [], "its inputs are no plain arrays")
    try:
        return Answered(name, batches, [signature.run(batch.inputs, _LONGEST) for batch in batches])
    except CprError as error:
        return Answered(name, batches, [], error.message)


def compared(before: Mapping[str, Answered], after: Mapping[str, Answered]) -> tuple[Accuracy, ...]:
    """Every output of every signature that the first model answered. ``ModelError`` where the second one does not."""
    found = []
    for name, one in before.items():
        if one.failed or name not in after:
            continue
        other = after[name]
        if other.failed:
            raise ModelError(
                f"The signature {name!r} no longer runs: {other.failed}",
                "Nothing was written. Report the model: it is one that this should take.",
            )
        for output in one.outputs[0]:
            pairs = [(left[output], right[output]) for left, right in zip(one.outputs, other.outputs, strict=False)]
            found.append(_compared(name, output, pairs, one.batches))
    return tuple(found)


def _compared(name: str, output: str, pairs: Iterable[tuple[Any, Any]], batches: list[Batch]) -> Accuracy:
    import numpy as np

    rows, largest, total, count = 0, 0.0, 0.0, 0
    agreed: list[Any] = []
    same = True
    floats = scores = False
    for (left, right), batch in zip(pairs, batches, strict=False):
        if left.shape != right.shape or left.dtype != right.dtype:
            raise ModelError(
                f"The output {output!r} of {name!r} has another shape or type.", "Nothing was written: report the model."
            )
        sizes = {array.shape[:1] for array in batch.inputs.values()}
        by_row = left.shape[:1] in sizes
        one, two = (array.reshape(array.shape[0] if by_row else 1, -1) if array.size else array for array in (left, right))
        rows += left.shape[0] if by_row else 1
        if not left.size:
            continue
        if left.dtype.kind not in "fcV":
            equal = (one == two).reshape(len(one), -1).all(axis=1)
            agreed += equal.tolist()
            same = same and bool(equal.all())
            continue
        floats = True
        wide = np.complex128 if left.dtype.kind == "c" else np.float64
        with np.errstate(invalid="ignore"):
            off = np.abs(left.astype(wide) - right.astype(wide))
        off = np.where((left == right) | (np.isnan(left) & np.isnan(right)), 0.0, off)
        largest = max(largest, float(np.nan_to_num(off, nan=np.inf).max()))
        total, count = total + float(off.sum()), count + off.size
        same = same and bool(np.allclose(left.astype(wide), right.astype(wide), *_ROUNDING, equal_nan=True))
        width = left.shape[-1] if left.ndim > 1 or not by_row else 1
        if width > 1 and left.dtype.kind != "c":
            scores = True
            agreed += _agreeing(left.reshape(-1, width), right.reshape(-1, width)).tolist()
    agreement = float(np.mean(agreed)) if agreed and (scores or not floats) else None
    made_up = any(batch.made_up for batch in batches)
    if not floats:
        return Accuracy(name, output, rows, None, None, agreement, same, made_up)
    return Accuracy(name, output, rows, largest, total / count, agreement, same, made_up)


def _agreeing(left: Any, right: Any) -> Any:
    """For each row, whether the largest score of the one is the largest, or as large as that, of the other."""
    import numpy as np

    chosen = np.argmax(right, axis=-1)[:, None]
    return np.take_along_axis(left, chosen, axis=-1)[:, 0] >= left.max(axis=-1)
