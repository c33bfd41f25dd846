"""The proof that a graph answers as the Python it stands for, row by row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr.embedding import rowless
from cpr.errors import CprError, ModelError, UsageError
from cpr.examples import Example, compare, read_examples

if TYPE_CHECKING:
    from cpr.interface._signature import Signature
    from cpr.models import LoadedModel

Run = Callable[[list[Any]], Any]

_LISTED = 5


class Case(NamedTuple):
    """One request: where it stands, its instances, and what each is answered by the Python path, as plain JSON."""

    place: str
    instances: list[Any]
    expected: list[Any]


class Row(NamedTuple):
    """A row whose two answers differ: where, and how (``.probability: 0.5, expected 0.6 (off by 0.1)``)."""

    place: str
    difference: str


def cases(examples: Path | str | Sequence[Any], python: Run | None, signature: str) -> tuple[Case, ...]:
    """What the graph is held to: the answers of ``python``, or without it those that the examples expect.

    ``examples`` is a file of requests, or a list of instances. ``UsageError`` where there is nothing to compare with.
    """
    found = [_case(place, example, python) for place, example in _requests(examples, signature) if example.request["instances"]]
    if not found:
        raise UsageError(
            "There is nothing to compare the graph with.", "Give examples, and the Python path or their expected answers."
        )
    return tuple(found)


def check(model: LoadedModel, signature: str, asked: Sequence[Case], rtol: float, atol: float, *, singly: bool) -> float:
    """The largest difference of two numbers in the answers; ``ModelError`` with the rows where one is beyond the tolerance.

    Each case is one batch; ``singly``: and each row one of its own, and a batch of none is tried.
    """
    largest = 0.0
    for some in (asked, tuple(_alone(asked)) if singly else ()):
        wrong: list[Row] = []
        for case in some:
            got = _answers(model, signature, case)
            largest = max(largest, _largest(case.expected, got))
            wrong += _differences(case, got, rtol, atol)
        if wrong:
            raise _differ(wrong)
    if singly:
        _check_none(model.signature(signature))
    return largest


def _requests(examples: Path | str | Sequence[Any], signature: str) -> Iterator[tuple[str, Example]]:
    if not isinstance(examples, (str, Path)):
        yield "examples", Example(1, {"instances": list(examples)}, None)
        return
    for example in read_examples(Path(examples)):
        if example.request.get("signature_name") in (None, "", signature):
            yield f"{Path(examples).name}:{example.line}", example


def _case(place: str, example: Example, python: Run | None) -> Case:
    from cpr.failures import author_error
    from cpr.payload import encoded

    instances = list(example.request["instances"])
    if python is None:
        expected = [] if example.expect is None else example.expect.predictions
    else:
        try:
            expected = python(list(instances))
        except CprError:
            raise
        except Exception as error:  # the author's own code
            raise author_error(f"The Python path, asked {place},", error, None) from error
        expected = json.loads(encoded(expected, len(instances)))
    if len(expected) != len(instances):
        raise UsageError(
            f"There are {len(expected)} answers to hold the {len(instances)} instances of {place} to.",
            "Give the Python path, or examples with an expected answer for each instance.",
            place,
        )
    return Case(place, instances, expected)


def _alone(asked: Iterable[Case]) -> Iterator[Case]:
    """Every row of a larger batch as a batch of its own."""
    for case in asked:
        if len(case.instances) > 1:
            for number, (instance, expected) in enumerate(zip(case.instances, case.expected, strict=True)):
                yield Case(f"{case.place}, row {number} sent alone,", [instance], [expected])


def _answers(model: LoadedModel, signature: str, case: Case) -> list[Any]:
    try:
        return model.predict(case.instances, signature)
    except CprError as error:
        raise ModelError(
            f"Nothing was written: the graph ({model.loader} loader) fails where Python answers: {case.place} {error.message}",
            error.remedy,
            case.place,
        ) from None


def _differences(case: Case, got: list[Any], rtol: float, atol: float) -> Iterator[Row]:
    for number, (mine, theirs) in enumerate(zip(got, case.expected, strict=True)):
        difference = compare(theirs, mine, rtol, atol)
        if difference is not None:
            yield Row(f"{case.place} instances[{number}]", difference)


def _differ(wrong: Sequence[Row]) -> ModelError:
    listed = "; ".join(f"{row.place}: {row.difference.removeprefix('the answer: ')}" for row in wrong[:_LISTED])
    more = f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
    return ModelError(
        f"Nothing was written: the graph does not answer as Python does. {listed}{more}.",
        "Make the two do the same (resizing and decoding differ from library to library), or allow more with rtol and atol.",
        wrong[0].place,
    )


def _largest(expected: Any, got: Any) -> float:
    """The largest finite difference of two numbers at the same place."""
    if isinstance(expected, list) and isinstance(got, list):
        return max(map(_largest, expected, got), default=0.0)
    if isinstance(expected, dict) and isinstance(got, dict):
        return max((_largest(expected[key], got[key]) for key in expected.keys() & got.keys()), default=0.0)
    if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (expected, got)):
        difference = abs(expected - got)
        return float(difference) if math.isfinite(difference) else 0.0
    return 0.0


def _check_none(signature: Signature) -> None:
    """No rows in, no rows out."""
    try:
        lengths = {name: len(array) for name, array in rowless.answer(signature).items()}
    except CprError as error:
        raise ModelError(f"Nothing was written: the graph fails for an empty batch: {error.message}", error.remedy) from None
    for name, length in lengths.items():
        if length:
            raise ModelError(
                f"Nothing was written: for an empty batch the output {name!r} has {length} rows.",
                "Make every output follow the rows of the input.",
                name,
            )
