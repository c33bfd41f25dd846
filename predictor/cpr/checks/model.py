"""CPR2xx: the model directory."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from cpr.checks.prediction_class import place, shape_of
from cpr.checks.registry import Family, Fault, Subject
from cpr.interface.choosing import DEFAULT_SIGNATURE
from cpr.interface.locate import GRAPH_NAMES
from cpr.manifest import MODEL_DIR, FileEntry
from cpr.report import Severity

FAMILY = Family()

_RECOGNISED = (*GRAPH_NAMES, "model.bst", "model.joblib", "model.pkl")
_SAVED_MODEL_PREDICTOR = "cpr.interface.saved_model.SavedModelPredictor"


def _inside(entry: FileEntry) -> str:
    return entry.path.removeprefix(MODEL_DIR + "/")


def lacks_saved_model(subject: Subject) -> str | None:
    """Why the SavedModel that the routine needs is not there; ``None`` where it is, or where none is needed."""
    names = {_inside(entry) for entry in subject.bundle.manifest.model_files}
    named = subject.bundle.manifest.saved_model
    if named is not None:
        prefix = "" if named == "." else named.rstrip("/") + "/"
        there = any(prefix + graph in names for graph in GRAPH_NAMES)
        return None if there else f"routine.yaml names the SavedModel {named!r}, and it holds no saved_model.pb"
    if any(name.rpartition("/")[2] in GRAPH_NAMES for name in names):
        return None
    shape = shape_of(subject)
    if shape is not None and _SAVED_MODEL_PREDICTOR in shape.bases:
        return f"{subject.bundle.manifest.predictor} is a SavedModelPredictor, and no folder of it holds a saved_model.pb"
    return None


@FAMILY.check(
    "CPR201",
    "The model directory is empty",
    cause="The service copies the model directory and needs at least one file there.",
    remedy="Put the model and its artifacts into the folder that routine.yaml names under `model_dir`, and build again.",
    source="gcloud 528.0.0, uploads.py",
    prevents="Cannot upload contents of directory [{path}] to Google Cloud Storage; directory has no files",
)
def empty(subject: Subject) -> Iterator[Fault]:
    entries = subject.bundle.manifest.model_files
    if not entries:
        yield Fault(MODEL_DIR, "The model directory holds no file.")
    elif not any(entry.size for entry in entries):
        # The service copies a placeholder as well as anything; a routine of rules alone needs no more.
        message = "The model directory holds no file with content: right only for a routine that reads nothing from it."
        yield Fault(MODEL_DIR, message, severity=Severity.WARNING)


@FAMILY.check(
    "CPR202",
    "More than one model file at the root of the model directory",
    cause="The service recognises a model by the files at the root of its directory, and refuses to choose between two.",
    remedy="Move the SavedModel into a folder of its own below the model directory, or rename the other file.",
    source="Google's prediction library in gcloud 528.0.0, prediction_utils.py",
    prevents="Multiple model files are found in the model_path: {path}",
    variant="routine",
)
def several_model_files(subject: Subject) -> Iterator[Fault]:
    names = {_inside(entry) for entry in subject.bundle.manifest.model_files}
    found = [name for name in _RECOGNISED if name in names]
    if len(found) > 1:
        yield Fault(MODEL_DIR, f"The model directory has {' and '.join(found)} at its root; the service takes one at most.")


@FAMILY.check(
    "CPR203",
    "The model directory is too large",
    cause="Each machine type has a limit on the size of the model directory.",
    remedy="Leave out what prediction does not need (training checkpoints, optimizer slots, data), shrink the weights, "
    "or choose a machine type with a higher limit.",
    source="https://cloud.google.com/ai-platform/prediction/docs/machine-types-online-prediction",
)
def too_large(subject: Subject) -> Iterator[Fault]:
    entries = subject.bundle.manifest.model_files
    total, limit = sum(entry.size for entry in entries), subject.machine.max_model_bytes
    if limit is None or total <= limit:
        return
    largest = max(entries, key=lambda entry: entry.size)
    roomier = subject.target.machines_taking(total)
    remedy = None
    if roomier:
        remedy = (
            f"Leave out what prediction does not need, shrink the weights, or deploy with `--machine-type {roomier[0].name}`."
        )
    yield Fault(
        MODEL_DIR,
        f"The model directory has {total:,} bytes; {subject.machine.name} takes {limit:,}. The largest file is {largest.path} "
        f"with {largest.size:,}.",
        remedy,
    )


@FAMILY.check(
    "CPR204",
    "The model directory holds too many files",
    cause="The service copies at most a fixed number of files from deploymentUri.",
    remedy="Put small files together into one archive or table, and leave out what prediction does not need.",
    source="googleapiclient ml.v1.json, revision 20251213: Version.deploymentUri",
)
def too_many_files(subject: Subject) -> Iterator[Fault]:
    count, limit = len(subject.bundle.manifest.model_files), subject.target.limits.max_files
    if limit is not None and count > limit:
        yield Fault(MODEL_DIR, f"The model directory holds {count:,} files; {subject.target.title} takes {limit:,}.")


@FAMILY.check(
    "CPR210",
    "Explanation metadata beside a routine",
    severity=Severity.NOTE,
    cause="AI Platform explains a SavedModel that it runs itself, from tensors of its graph. A routine stands between it and "
    "the graph, and a container hides it.",
    remedy="Leave the file out; for explanations deploy the SavedModel alone, or use sampled Shapley on Vertex AI.",
    source="https://cloud.google.com/ai-platform/prediction/docs/ai-explanations/understanding-inputs-outputs",
)
def explanation_metadata(subject: Subject) -> Iterator[Fault]:
    for entry in subject.bundle.manifest.model_files:
        if entry.path.rpartition("/")[2] == "explanation_metadata.json":
            yield Fault(entry.path, "No service reads it where a routine is deployed; `cpr serve` takes its baselines.")


@FAMILY.check(
    "CPR208",
    "A model with several signatures, and none that is taken unnamed",
    severity=Severity.WARNING,
    cause="A request that names no signature gets the one that routine.yaml names, else the only one, else serving_default.",
    remedy="Set signature in routine.yaml, or let every request have a signature_name.",
    source="Google's prediction library in gcloud 528.0.0, frameworks/tf_prediction_lib.py",
    prevents="No signature found for signature key {name}",
)
def no_default_signature(subject: Subject) -> Iterator[Fault]:
    shape = shape_of(subject)
    if shape is None or _SAVED_MODEL_PREDICTOR not in shape.bases or subject.bundle.manifest.signature is not None:
        return
    if len(subject.models) != 1 or len(subject.models[0].meta_graphs) != 1 or _assigns(subject, "signature"):
        return  # which model, which graph or which signature is meant is for the routine to say
    names = subject.models[0].meta_graphs[0].callable_signatures
    if len(names) > 1 and DEFAULT_SIGNATURE not in names:
        where = f"{MODEL_DIR}/{subject.models[0].where}".removesuffix("/.")
        yield Fault(where, f"It has {', '.join(names)}, and no {DEFAULT_SIGNATURE}.")


def _assigns(subject: Subject, name: str) -> bool:
    """Whether some class of the routine sets an attribute of that name in its body."""
    nodes = (node for tree in subject.trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    targets = (item for node in nodes for item in node.body if isinstance(item, (ast.Assign, ast.AnnAssign)))
    return any(isinstance(inner, ast.Name) and inner.id == name for item in targets for inner in ast.walk(item))


@FAMILY.check(
    "CPR205",
    "The SavedModel is missing",
    cause="routine.yaml or the predictor's base class needs a SavedModel, and the model directory holds none there.",
    remedy="Export the model with tf.saved_model.save(model, 'model/saved_model') and build again.",
    source="Google's prediction library in gcloud 528.0.0, frameworks/tf_prediction_lib.py",
    prevents="Cloud ML only supports TF 1.0 or above and models saved in SavedModel format.",
)
def saved_model_missing(subject: Subject) -> Iterator[Fault]:
    reason = lacks_saved_model(subject)
    if reason is not None:
        yield Fault(MODEL_DIR if subject.bundle.manifest.saved_model else place(subject), f"The model directory: {reason}.")
