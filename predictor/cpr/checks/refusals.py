"""CPR206, CPR207, CPR209, CPR566 to CPR570: what a SavedModelPredictor refused, as the platform itself would have.

The routine said it itself when it was rehearsed, after whatever its preprocessing did. So nothing is guessed from the source:
each of these is an exception of CPR503 or CPR504 whose cause is known, and told there no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from cpr.checks.prediction_class import place
from cpr.checks.registry import Family, Fault, Subject
from cpr.isolation import Raised
from cpr.manifest import EXAMPLES_NAME, MODEL_DIR

FAMILY = Family()

_LIBRARY = "Google's prediction library in gcloud 528.0.0, frameworks/tf_prediction_lib.py"


class _Refusal(NamedTuple):
    """Which check an exception belongs to. ``says`` is the beginning of its message, as cpr.interface words it."""

    check: str
    phase: str
    type: str
    says: re.Pattern[str]


def _refusal(check: str, phase: str, type_name: str, says: str) -> _Refusal:
    return _Refusal(check, phase, f"cpr.errors.{type_name}", re.compile(says, re.DOTALL))


_MODEL = r"The SavedModel .* "
_ROW = r"instances\[\d+\] "
_REFUSALS = (
    _refusal("CPR206", "from_path", "ModelError", _MODEL + "has no signature '"),
    _refusal("CPR207", "from_path", "ModelError", _MODEL + r"has (no MetaGraph with exactly the tags|\d+ MetaGraphs and none)"),
    _refusal("CPR209", "from_path", "ModelError", r"There are \d+ SavedModels in "),
    _refusal("CPR566", "predict", "RequestError", _ROW + r"has the key .*; the signature's inputs are: '[^']*'\.$"),
    _refusal("CPR567", "predict", "RequestError", _ROW + r"has the key .*; the signature's inputs are: "),
    _refusal("CPR568", "predict", "RequestError", _ROW + "has no value for the input "),
    _refusal("CPR569", "predict", "ModelError", r"The output .* has the shape \[.*\] for \d+ instances"),
    _refusal("CPR570", "predict", "RequestError", "The model has (no signature '|several signatures and none is called )"),
)


def refusal_of(raised: Raised) -> str | None:
    """The check that tells the cause of an exception; ``None`` where it is the author's own."""
    for refusal in _REFUSALS:
        if (refusal.phase, refusal.type) == (raised.phase, raised.type) and refusal.says.match(raised.message):
            return refusal.check
    return None


def _refused(subject: Subject, check: str) -> Iterator[tuple[Raised, int]]:
    """Each distinct exception that belongs to the check, with how many more examples have it."""
    found: dict[str, list[Raised]] = {}
    for raised in subject.run.raised if subject.run is not None else ():
        if refusal_of(raised) == check:
            found.setdefault(raised.message, []).append(raised)
    for group in found.values():
        yield group[0], len(group) - 1


def _of_model(subject: Subject, check: str, where: str) -> Iterator[Fault]:
    for raised, _ in _refused(subject, check):
        yield Fault(where, raised.message, raised.remedy)


def _of_examples(subject: Subject, check: str) -> Iterator[Fault]:
    for raised, others in _refused(subject, check):
        more = f" So do {others} more." if others > 1 else " So does one more." if others else ""
        where = f"{EXAMPLES_NAME}:{raised.line}" if raised.line is not None else place(subject)
        yield Fault(where, f"The example fails: {raised.message}{more}", raised.remedy)


@FAMILY.check(
    "CPR206",
    "The SavedModel has no signature of that name",
    cause="routine.yaml or the class names a signature, and the model was exported with others.",
    remedy="Set signature in routine.yaml to one that `cpr inspect` lists.",
    source=_LIBRARY,
    prevents="No signature found for signature key {name}",
)
def no_signature(subject: Subject) -> Iterator[Fault]:
    return _of_model(subject, "CPR206", "routine.yaml: signature")


@FAMILY.check(
    "CPR207",
    "The SavedModel has no graph with these tags",
    cause="A graph is chosen by all of its tags: those that routine.yaml or the class names, else `serve` alone.",
    remedy="Set tags in routine.yaml to those of a graph that `cpr inspect` lists.",
    source=_LIBRARY,
    prevents="Failed to load the model due to bad model data. tags: {tags}",
)
def no_graph(subject: Subject) -> Iterator[Fault]:
    return _of_model(subject, "CPR207", "routine.yaml: tags")


@FAMILY.check(
    "CPR209",
    "Several SavedModels, and none is named",
    cause="A SavedModelPredictor takes the SavedModel at the root of the model directory, or the only one below it.",
    remedy="Name its folder under saved_model in routine.yaml, or leave the others out.",
    source="cpr.SavedModelPredictor",
)
def several_saved_models(subject: Subject) -> Iterator[Fault]:
    return _of_model(subject, "CPR209", MODEL_DIR)


@FAMILY.check(
    "CPR566",
    "An example names another input than the model's only one",
    cause="An instance that is an object has the name of the signature's input as its key.",
    remedy="Send the bare value, or name the signature's input.",
    source=_LIBRARY,
    prevents="Expected tensor name: {name}, got tensor name: {names}",
)
def wrong_key(subject: Subject) -> Iterator[Fault]:
    return _of_examples(subject, "CPR566")


@FAMILY.check(
    "CPR567",
    "An example has a key that the model has no input for",
    cause="The keys of an instance are the names of the signature's inputs, and no others.",
    remedy="Leave the key out of the instance, or take it out in preprocess.",
    source=_LIBRARY,
    prevents="Unexpected tensor name: {name}",
)
def extra_key(subject: Subject) -> Iterator[Fault]:
    return _of_examples(subject, "CPR567")


@FAMILY.check(
    "CPR568",
    "An instance of an example lacks an input of the model",
    cause="Every instance of a request has every input of the signature.",
    remedy="Send the input with each instance, or fill it in in preprocess.",
    source=_LIBRARY,
    prevents="Input {name} was missing in at least one input instance.",
)
def missing_key(subject: Subject) -> Iterator[Fault]:
    return _of_examples(subject, "CPR568")


@FAMILY.check(
    "CPR569",
    "An output of the model does not follow the rows of a request",
    cause="Each output has one row for each instance. One without a batch dimension, a mean over the batch for example, cannot "
    "be divided among them.",
    remedy="Export a signature whose outputs all have one row for each instance.",
    source=_LIBRARY,
    prevents="Bad output from running tensorflow session: outputs had differing sizes in the batch (outer) dimension",
)
def output_without_batch(subject: Subject) -> Iterator[Fault]:
    return _of_examples(subject, "CPR569")


@FAMILY.check(
    "CPR570",
    "The model has no signature for an example",
    cause="A request runs the signature that it names, else the one that routine.yaml names, else the only one, else "
    "serving_default.",
    remedy="Name one of the model's signatures: signature_name in the request, or signature in routine.yaml.",
    source=_LIBRARY,
    prevents="No signature found for signature key {name}",
)
def request_without_signature(subject: Subject) -> Iterator[Fault]:
    return _of_examples(subject, "CPR570")
