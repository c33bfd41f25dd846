"""Which transformations are taken, in the order of what they lose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cpr.errors import ModelError, UsageError
from cpr.shrinking.constants import LARGE, MIDDLING, with_variables
from cpr.shrinking.folding import folded
from cpr.shrinking.model import Model
from cpr.shrinking.pruning import pruned
from cpr.shrinking.retyping import stored_as
from cpr.shrinking.weights import FLOAT16, INT8, smaller_integers, smaller_weights

WEIGHTS = (FLOAT16, INT8)
"""From what loses the least on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One transformation, and about how many ``bytes`` the model had after it."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: a type of the weights, integers stored smaller, a limit in bytes.

    ``has_data``: there are rows to compare the answers on, without which no step may change them. ``fold``: what no request
    changes may be computed beforehand.
    """

    weights: str | None
    int64_to_int32: bool
    limit: int | None
    has_data: bool
    fold: bool = True

    def check(self) -> None:
        """``UsageError`` for what cannot be asked."""
        if self.weights is not None and self.weights not in WEIGHTS:
            raise UsageError(f"Weights cannot be stored as {self.weights!r}.", f"Name one: {', '.join(WEIGHTS)}.", "--weights")
        if self.limit is not None and self.limit <= 0:
            raise UsageError("The limit is not above zero.", "Write it as --limit 500MB.", "--limit")
        if self.weights is not None:
            self.need_data(self.weights)

    def need_data(self, weights: str) -> None:
        """``UsageError`` where there is nothing to compare on."""
        if not self.has_data:
            raise UsageError(
                f"Storing the weights as {weights} changes the answers, and there is nothing to compare them on.",
                "Name rows that the SavedModel takes: --data ROWS.npz, or --examples FILE.",
                "--data",
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """A smaller model, and the ``steps`` to it from ``exact``, the one that lacks nothing but what no request needs.

    ``kept`` are large variables that stay as they are, with the reason; ``lossy`` is the type of the weights, ``""`` where all
    answers stay the same.
    """

    model: Model
    exact: Model
    steps: tuple[Step, ...]
    kept: Mapping[str, str]
    lossy: str


def planned(source: Model, wish: Wish) -> Plan:
    """Transform a model as it was wished.

    ``ModelError`` where it cannot be, or does not fit the limit; ``UsageError`` where only a step that needs data would make it
    fit, and there is none.
    """
    model = exact = pruned(source)
    steps = [Step("only what serving needs", model.bytes)]
    made = with_variables(model, LARGE if wish.weights is None and wish.limit is None else MIDDLING)
    if made is not model:
        model = made
        steps.append(Step("large constants as variables", model.bytes))
    if wish.fold:
        made = folded(model)
        if made.bytes < model.bytes:
            model = made
            steps.append(Step("vectors and batch norms folded", model.bytes))
    plan = Plan(model, exact, tuple(steps), {}, "")
    for step in _further(wish):
        if wish.limit is not None and plan.model.bytes <= wish.limit and not _is_asked(step, wish):
            break
        plan = _taken(plan, model, step, wish)
        if step == _INTEGERS:
            model = plan.model
    if wish.limit is not None and plan.model.bytes > wish.limit:
        raise too_large(source, plan.model.bytes, wish.limit, plan.lossy)
    return plan


_INTEGERS = "int32"


def _further(wish: Wish) -> Iterator[str]:
    """The steps after the first, as far as they are asked for or a limit may need them."""
    if wish.int64_to_int32 or wish.limit is not None:
        yield _INTEGERS
    if wish.weights is not None:
        yield wish.weights
    elif wish.limit is not None:
        yield from WEIGHTS


def _is_asked(step: str, wish: Wish) -> bool:
    return step == wish.weights or (step == _INTEGERS and wish.int64_to_int32)


def _taken(plan: Plan, exact: Model, step: str, wish: Wish) -> Plan:
    """``exact`` is the model before any weights became smaller: one type follows another, and not on top of it."""
    if step == _INTEGERS:
        storings, kept = smaller_integers(exact)
        name, lossy = "int64 as int32", ""
    else:
        wish.need_data(f"{step}, for the model to fit," if wish.weights is None else step)
        storings, kept = smaller_weights(exact, step)
        name, lossy = f"weights as {step}", step if storings else ""
    if not storings:
        return Plan(plan.model, plan.exact, plan.steps, {**plan.kept, **dict(kept)}, plan.lossy)
    model = stored_as(exact, storings)
    return Plan(model, plan.exact, (*plan.steps, Step(name, model.bytes)), {**plan.kept, **dict(kept)}, lossy)


def too_large(source: Model, size: int, limit: int, lossy: str) -> ModelError:
    """The error for a model that does not fit, with what is left to do."""
    how = f", its weights stored as {lossy}," if lossy else ""
    more = " --weights int8 makes it smaller still." if lossy == FLOAT16 else ""
    return ModelError(
        f"The model has {size:,} bytes{how} which is {size - limit:,} more than the limit of {limit:,}.",
        f"Nothing was written.{more} Train a smaller model, or ask for a larger quota: that is what remains.",
        str(source.folder),
    )
