"""CPR6xx: the SavedModels in the model directory, read without TensorFlow, and against the TensorFlow of the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from packaging.version import Version

from cpr.checks.registry import Family, Fault, Look, Subject
from cpr.manifest import MODEL_DIR
from cpr.report import Severity
from cpr.resources import read_document

FAMILY = Family()

_READER = "tensorflow/core/protobuf/saved_model.proto and tensor_bundle, as TensorFlow reads them"
_AGAIN = "Export the model again, or copy the whole folder again from where it came, and build again."
_BAD_DATA = "Failed to load the model due to bad model data."

# What the reader of SavedModels reports by itself: id, title, severity, cause, remedy, the platform's own words.
_REPORTED = (
    ("CPR603", "The graph of a SavedModel cannot be read", Severity.ERROR, "saved_model.pb is empty, cut or altered.", _AGAIN),
    (
        "CPR604",
        "A Git LFS pointer stands in place of a file",
        Severity.ERROR,
        "The repository was cloned without its large files; what lies there is a few lines of text.",
        "git lfs install && git lfs pull, then build again.",
    ),
    (
        "CPR605",
        "Weights of a SavedModel are missing",
        Severity.ERROR,
        "The graph has variables, and their values lie nowhere.",
        _AGAIN,
    ),
    ("CPR606", "Weights of a SavedModel are cut short", Severity.ERROR, "The file is shorter than its index says.", _AGAIN),
    ("CPR607", "The index of a SavedModel's weights cannot be read", Severity.ERROR, "It is cut or altered.", _AGAIN),
    (
        "CPR608",
        "A SavedModel has no graph for serving",
        Severity.WARNING,
        "Servers ask for the graph with the tag `serve`; another is loaded only where routine.yaml names its tags.",
        "Export with tf.saved_model.save, or name the tags in routine.yaml.",
    ),
    (
        "CPR609",
        "A SavedModel has no signature",
        Severity.WARNING,
        "Without a signature no request can name what to run; only code of your own can.",
        "Export with tf.saved_model.save(model, folder, signatures=model.serve).",
    ),
    ("CPR610", "An asset of a SavedModel is missing", Severity.ERROR, "The graph reads the file when it is loaded.", _AGAIN),
)


def _reported(id: str) -> Look:
    def look(subject: Subject) -> Iterator[Fault]:
        for model in subject.models:
            for finding in model.findings:
                if finding.check == id:
                    yield Fault(f"{MODEL_DIR}/{finding.where}", finding.message, finding.remedy, finding.severity)

    return look


def _register() -> None:
    for id, title, severity, cause, remedy in _REPORTED:
        register: Callable[[Look], Look] = FAMILY.check(
            id, title, severity=severity, cause=cause, remedy=remedy, source=_READER, prevents=_BAD_DATA
        )
        register(_reported(id))


_register()


@FAMILY.check(
    "CPR621",
    "A SavedModel needs a newer TensorFlow than the runtime's",
    cause="TensorFlow refuses a whole model for one operation that it does not know, even one that serving never runs. Newer "
    "releases write such operations into the function that saves checkpoints.",
    remedy="Export the model with the runtime's own TensorFlow, or set a newer runtime_version in routine.yaml.",
    source="deploy/tensorflow/operations.yaml, read from TensorFlow's wheels",
    prevents=_BAD_DATA,
    variant="routine",
)
def unknown_operations(subject: Subject) -> Iterator[Fault]:
    if subject.runtime is None:
        return
    has = subject.runtime.tensorflow
    for model in subject.models:
        for graph in model.meta_graphs:
            for name, introduced in _introduced().items():
                if name in graph.ops and Version(introduced) > Version(has):
                    yield Fault(
                        f"{MODEL_DIR}/{model.where}",
                        f"The SavedModel, written by TensorFlow {graph.tensorflow_version}, has the operation {name}, which "
                        f"came with {introduced}; runtime {subject.runtime.version} has TensorFlow {has} and cannot load it.",
                    )


@cache
def _introduced() -> dict[str, str]:
    introduced: dict[str, str] = read_document("tensorflow", "operations.yaml")["introduced"]
    return introduced
