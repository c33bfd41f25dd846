"""The proof of an export, before it gets its name: loaded by both loaders, asked, inspected, and compared with its source."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cpr.errors import CprError, ModelError
from cpr.examples import ATOL, RTOL, Example
from cpr.exporting.wanted import Run, listed
from cpr.interface._failures import cause
from cpr.models import LoadedModel, load_model
from cpr.report import Finding, Severity
from cpr.saved_model import kinds
from cpr.saved_model.survey import survey

LOADERS = ("object", "session")


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a signature's answers were compared with the source's.

    ``requests`` were answered by both, ``largest`` is the largest difference of two numbers, and ``refused`` are the causes
    why one of them did not answer the others. ``requests`` is 0 where nothing was compared. ``lines`` are those of the user's
    examples that fit the signature.
    """

    tags: tuple[str, ...]
    signature: str
    requests: int
    largest: float
    refused: tuple[str, ...] = ()
    lines: frozenset[int] = frozenset()


class Asked(NamedTuple):
    """What the signatures are asked beside zeros and ones: the user's examples, and arrays by signature instead of those."""

    examples: tuple[Example, ...]
    requests: Mapping[str, Mapping[str, Any]]


def check(
    folder: Path, runs: Mapping[frozenset[str] | None, Run | None], asked: Asked, allow: Collection[str], why_fixed: str = ""
) -> tuple[tuple[Comparison, ...], tuple[Finding, ...]]:
    """Prove the SavedModel in ``folder``; ``runs`` ask its sources in the result's names, by tags, ``None`` for any others.

    ``why_fixed`` says why the outer dimension was not freed, where that was tried.
    Gives what was compared, and what the inspection found. ``ModelError`` for one that a loader does not take, whose answers
    differ, or that inspection has an error or a warning for which is not in ``allow``.
    """
    found = survey(folder)
    _refuse(found.findings, allow, why_fixed)
    compared: list[Comparison] = []
    for model in found.models:
        for graph in model.meta_graphs:
            run = runs.get(frozenset(graph.tags), runs[None])
            for loader in LOADERS:
                compared = [*compared, *_load_and_ask(folder, graph.tags, loader, run, asked)]
    _refuse_unused(asked.examples, compared)
    return _joined(compared), found.findings


def _refuse(findings: Iterable[Finding], allow: Collection[str], why_fixed: str) -> None:
    for finding in findings:
        if finding.severity is not Severity.NOTE and finding.check not in allow:
            remedy = f"{finding.remedy} To export it as it is: `--allow {finding.check}`."
            if finding.check == kinds.UNBATCHED.id:
                remedy = "If that is meant: `--keep-batch`, which leaves a fixed number of rows as it is and allows this."
                remedy = f"It was not freed: {why_fixed}. {remedy}" if why_fixed else remedy
            raise ModelError(f"Nothing was written: {finding.check}: {finding.message}", remedy, finding.check)


def _refuse_unused(examples: Iterable[Example], compared: Iterable[Comparison]) -> None:
    """An example that no signature takes proves nothing, and was meant to."""
    used = frozenset().union(*(each.lines for each in compared))
    for example in examples:
        if example.line not in used:
            raise ModelError(
                f"Nothing was written: the example of line {example.line} fits no signature of the result.",
                "Write it in the names of the result, as a server would get it; `cpr inspect` shows a request for each.",
                "--examples",
            )


def _load_and_ask(folder: Path, tags: tuple[str, ...], loader: str, run: Run | None, asked: Asked) -> list[Comparison]:
    try:
        model = load_model(folder, tags=tags, loader=loader)
    except CprError as error:
        raise ModelError(
            f"Nothing was written: the {loader} loader does not take the result: {error.message}", error.remedy
        ) from None
    with model:
        return [_ask(model, key, run, asked) for key in model.signatures]


def _ask(model: LoadedModel, key: str, run: Run | None, asked: Asked) -> Comparison:
    largest, requests, refused = 0.0, 0, []
    rows = _rows(model, key, asked.examples)
    given = {f"example {line}": arrays for line, arrays in rows.items()}
    for name, arrays in [*given.items(), *_made_up(model, key, asked)]:
        expected, failed = (None, "") if run is None else _answers(run, key, arrays)
        try:
            answered = model.call(arrays, key)
        except CprError as error:
            if expected is not None:
                raise _differs(key, name, f"the result fails: {error.message}") from None
            refused.append(error.message)
            continue
        if expected is not None:
            largest = max(largest, _difference(key, name, expected, answered))
            requests += 1
        elif failed:
            refused.append(f"the source fails on {name}: {failed}")
    return Comparison(model.tags, key, requests, largest, tuple(dict.fromkeys(refused)), frozenset(rows))


def _answers(run: Run, key: str, arrays: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """The source's, or ``None`` where it fails, and why: then there is nothing to hold the result to."""
    try:
        return run(key, arrays), ""
    except Exception as error:  # nearly anything, from TensorFlow, Keras or the user's own function
        traceback.clear_frames(error.__traceback__)
        return None, cause(error)


def _rows(model: LoadedModel, key: str, examples: Iterable[Example]) -> dict[int, dict[str, Any]]:
    """The arrays of the examples that fit the signature, by line."""
    from cpr.exporting.values import from_rows

    mine = [each for each in examples if each.request.get("signature_name") in (None, "", key)]
    arrays = {each.line: from_rows(model.signatures[key], each.request["instances"]) for each in mine}
    return {line: each for line, each in arrays.items() if each is not None}


def _made_up(model: LoadedModel, key: str, asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    from cpr.exporting.values import filled

    if key in asked.requests:
        yield "rows that differ", dict(asked.requests[key])
    else:
        yield from filled(model.signatures[key].inputs)


def _difference(key: str, name: str, expected: Mapping[str, Any], answered: Mapping[str, Any]) -> float:
    """The largest difference of two numbers; ``ModelError`` where one is beyond the tolerance, or anything else differs."""
    import numpy as np

    if set(expected) != set(answered):
        raise _differs(key, name, f"its outputs are {listed(sorted(answered))}, the source's {listed(sorted(expected))}")
    largest = 0.0
    for output, mine in answered.items():
        theirs = np.asarray(expected[output])
        if mine.shape != theirs.shape:
            raise _differs(key, name, f"{output} has the shape {list(mine.shape)}, the source's {list(theirs.shape)}")
        if mine.dtype.kind not in "fcV":
            if not np.array_equal(mine, theirs.astype(mine.dtype)):
                raise _differs(key, name, f"{output} differs")
            continue
        left, right = (np.asarray(each, "complex128" if each.dtype.kind == "c" else "float64") for each in (mine, theirs))
        if not np.allclose(left, right, RTOL, ATOL, equal_nan=True):
            raise _differs(key, name, f"{output} differs by up to {np.nanmax(np.abs(left - right)):.3g}")
        with np.errstate(invalid="ignore"):
            differences = np.abs(left - right)
        largest = max(largest, float(differences[np.isfinite(differences)].max(initial=0.0)))
    return largest


def _differs(key: str, name: str, what: str) -> ModelError:
    return ModelError(
        f"Nothing was written: the result does not answer as its source does. Signature {key!r}, {name}: {what}.",
        "Does it draw random numbers (dropout that is on), or keep state from one request to the next? Export it without.",
        key,
    )


def _joined(compared: list[Comparison]) -> tuple[Comparison, ...]:
    """One for both loaders."""
    joined: dict[tuple[tuple[str, ...], str], Comparison] = {}
    for each in compared:
        place = each.tags, each.signature
        before = joined.get(place, each)
        refused = tuple(dict.fromkeys((*before.refused, *each.refused)))
        requests = min(before.requests, each.requests)
        joined[place] = Comparison(*place, requests, max(before.largest, each.largest), refused, each.lines)
    return tuple(joined.values())
