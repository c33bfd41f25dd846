"""What a smaller model must hold before it gets its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import CprError, ModelError, UsageError
from cpr.models import load_model
from cpr.report import Finding, Severity
from cpr.shrinking.accuracy import Accuracy, Answered, answers, answers_of_objects, compared

Tags = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far answers may be off where weights are stored as ``lossy`` (``""``: not at all).

    ``agreement`` is the least part of the rows with the same largest score, ``difference`` the most that any number may be off.
    """

    lossy: str
    agreement: float
    difference: float | None


def check_bounds(agreement: float, difference: float | None) -> None:
    """``UsageError`` for bounds that are none."""
    if not 0 <= agreement <= 1:
        raise UsageError("The agreement is a part of the rows, from 0 to 1.", "Write it as 0.99.", "--min-agreement")
    if difference is not None and not difference >= 0:
        raise UsageError("The difference is not a number from 0 on.", "Write it as 0.001.", "--max-difference")


def held(source: Path, place: Path, tags: Tags, known: Mapping[str, Answered], bounds: Bounds) -> tuple[Accuracy, ...]:
    """How the model in ``place`` answers what ``known`` are the answers of the source to, for one MetaGraph.

    It is asked in a session, as servers do, and loaded as objects. ``ModelError`` where the answers are too far off.
    """
    again = answers(place, tags, None, None, known)
    found = compared(known, again)
    for each in found:
        _check(each, bounds)
    if _loads(source, tags):
        for each in compared(again, answers_of_objects(place, tags, again)):
            _check(each, Bounds("", 1.0, None))
    return found


def _loads(folder: Path, tags: Tags) -> bool:
    """Whether TensorFlow's object loader takes the source: one that it refuses cannot become one that it takes."""
    try:
        load_model(folder, tags, "object").close()
    except CprError:
        return False
    return True


def _check(found: Accuracy, bounds: Bounds) -> None:
    place = f"The output {found.output!r} of {found.signature!r}"
    if not bounds.lossy:
        if not found.same:
            raise ModelError(
                f"{place} is another one: off by up to {found.maximum}.",
                "Nothing was written. Take --no-fold; if that changes an answer too, report the model.",
            )
        return
    if found.made_up:
        return  # told in the report: rows without a meaning refuse nothing
    if bounds.difference is not None and found.maximum is not None and found.maximum > bounds.difference:
        raise _refused(f"{place} is off by up to {found.maximum:.3g}, more than {bounds.difference:g}", bounds)
    if found.agreement is not None and found.agreement < bounds.agreement:
        part = f"{found.agreement:.2%} of {found.rows} rows, less than {bounds.agreement:.2%}"
        raise _refused(f"{place} agrees on {part}", bounds)
    if found.agreement is None and not found.same and bounds.difference is None and found.maximum is not None:
        raise UsageError(
            f"{place} is a number, with no other score to be larger than.",
            f"Say how far it may be off: --max-difference X. It is off by up to {found.maximum:.3g}.",
            "--max-difference",
        )


def _refused(what: str, bounds: Bounds) -> ModelError:
    smaller = "Take --weights float16, or allow" if bounds.lossy == "int8" else "Allow"
    return ModelError(f"{what}, with weights as {bounds.lossy}.", f"Nothing was written. {smaller} more if you can serve that.")


def check_findings(source: Path, place: Path) -> None:
    """``ModelError`` where `cpr inspect` would find an error or a warning in ``place`` that the source has not."""
    known = _grave(source)
    for check, finding in _grave(place).items():
        if check not in known:
            raise ModelError(
                f"The smaller model would have a fault that the model has not: {check}, {finding.message}",
                "Nothing was written. Report the model.",
                str(source),
            )


def _grave(folder: Path) -> dict[str, Finding]:
    from cpr.saved_model.survey import survey

    return {each.check: each for each in survey(folder, verify=True).findings if each.severity is not Severity.NOTE}
