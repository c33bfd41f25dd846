"""Embed: put what Python does before and after a model inside its graph, and prove that it answers the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr.errors import ModelError, OutputError, UsageError
from cpr.examples import ATOL, RTOL
from cpr.folders import filled
from cpr.report import Severity

if TYPE_CHECKING:
    from cpr.embedding.composing import Part
    from cpr.models import LoadedModel
    from cpr.report import Finding


@dataclass(frozen=True, slots=True)
class Embedded:
    """A SavedModel with its preprocessing and postprocessing inside.

    ``path`` is its folder, ``signature`` the name of its one signature; ``rows`` is how many instances the graph answered as
    Python does, ``largest`` the largest difference of two numbers among them; ``findings`` are the notes of its inspection.
    """

    path: Path
    signature: str
    rows: int
    largest: float
    findings: tuple[Finding, ...]


def embed(
    model: Path | str,
    destination: Path | str,
    preprocess: Part | None = None,
    postprocess: Part | None = None,
    *,
    examples: Path | str | Sequence[Any],
    python: Any = None,
    inputs: Mapping[str, Any] | None = None,
    signature: str | None = None,
    tags: Collection[str] | str | None = None,
    rtol: float = RTOL,
    atol: float = ATOL,
    overwrite: bool = False,
) -> Embedded:
    """Write the SavedModel ``destination``: ``preprocess``, then a signature of ``model``, then ``postprocess``, in one graph.

    The two are functions of whole batches in operations of TensorFlow, or Keras layers; ``cpr.embedding`` has ready-made ones.
    Each gets the tensor where there is one, else a dict of tensors by name, and gives one tensor or such a dict: ``preprocess``
    makes the model's inputs of the request, ``postprocess`` the answer of the model's outputs. The outer dimension is that of
    the rows, and free.

    ``inputs`` are what the new signature takes, shape and type by name (``{"text": ([None], "string")}``). Without it they are
    the model's own where there is no ``preprocess``, else one batch of strings, under the name of its first argument.
    ``signature`` (default: the only one, else ``serving_default``) and ``tags`` choose what is run of ``model``.

    The graph is held to ``python`` on ``examples``, a file of requests or a list of instances, row by row: whole requests, each
    row alone, and none, within ``rtol`` and ``atol``. ``python`` is what runs outside the graph: a routine (``cpr.load``), a
    function from instances to predictions or an object with such a ``predict``, or a pair of functions around the model, from
    instances to its rows and from its rows to predictions. Without it the examples' expected answers count.

    Nothing is written where a row differs, where one of TensorFlow's loaders does not take the result, or where ``cpr inspect``
    has an error or a warning for it. ``ModelError``, ``UsageError``, ``OutputError``, ``PredictorError``, ``MissingExtra``.
    """
    from cpr.embedding import parity
    from cpr.embedding.composing import compose
    from cpr.models import load_model

    target = Path(destination)
    _check_free(target, overwrite)
    with load_model(model, tags) as source, filled(target) as folder:
        chosen = source.signature(signature)
        asked = parity.cases(examples, _python(python, source, chosen.name), chosen.name)
        compose(source, chosen, folder, preprocess, postprocess, inputs)
        notes = _inspected(folder)
        largest = 0.0
        for loader in ("object", "session"):
            with load_model(folder, loader=loader) as result:
                singly = loader == "object"
                largest = max(largest, parity.check(result, chosen.name, asked, rtol, atol, singly=singly))
    return Embedded(target, chosen.name, sum(len(case.instances) for case in asked), largest, notes)


def _python(given: Any, source: LoadedModel, signature: str) -> Callable[[list[Any]], Any] | None:
    from cpr.runtime import LoadedRoutine

    if given is None:
        return None
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(map(callable, given)):
        before, after = given
        return lambda instances: after(source.predict(list(before(instances)), signature))
    if isinstance(given, LoadedRoutine):
        return lambda instances: given.predict({"instances": instances})
    run = getattr(given, "predict", given)
    if not callable(run):
        raise UsageError("python cannot be called.", "Give a function, a routine, or a pair of functions.", "python")
    called: Callable[[list[Any]], Any] = run
    return called


def _inspected(folder: Path) -> tuple[Finding, ...]:
    from cpr.saved_model.survey import survey

    findings = survey(folder).findings
    for finding in findings:
        if finding.severity is not Severity.NOTE:
            raise ModelError(f"Nothing was written: {finding.check}: {finding.message}", finding.remedy, finding.check)
    return findings


def _check_free(target: Path, overwrite: bool) -> None:
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not overwrite):
        what = "a file" if target.is_file() else "a folder with something in it"
        raise OutputError(
            f"There is {what} at {target} already.", "Name another place, or replace a folder: overwrite=True.", str(target)
        )
