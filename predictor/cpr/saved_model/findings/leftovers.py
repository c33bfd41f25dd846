"""CPR631 to CPR634: bytes that are uploaded and copied to every machine, and that serving never reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from cpr.report import Finding, Severity
from cpr.saved_model import kinds
from cpr.saved_model.checkpoint import INDEX_NAME, VALUE_SUFFIX, CheckpointIndex, short_name
from cpr.saved_model.findings.words import listed
from cpr.saved_model.tree import Tree

_EVENTS = "events.out.tfevents."
_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_OWN_FOLDERS = ("variables/", "assets/", "assets.extra/")
_BY_GRAPH = (
    "Build the graph that predicts alone, without the optimizer; restore the checkpoint of the training into it, and export it."
)
"""For what TensorFlow 1 saved: its savers write all variables of the graph."""


def spare_files(tree: Tree, folders: Set[str], shipped: str | None) -> dict[str, list[str]]:
    """The files that are no part of a SavedModel, by the folder of the model that they lie beside.

    That is the innermost of ``folders`` that holds them. Where all files whose paths begin with ``shipped`` go along with the
    models (``None``: that is not known), it may also be the only one that there is.
    """
    found: dict[str, list[str]] = {}
    for path in tree.files:
        folder = _holder(path, folders)
        if folder is not None:
            if not (path if folder == "." else path[len(folder) + 1 :]).startswith(_OWN_FOLDERS):
                found.setdefault(folder, []).append(path)
        elif shipped is not None and path.startswith(shipped) and len(folders) == 1:
            found.setdefault(next(iter(folders)), []).append(path)
    return found


def _holder(path: str, folders: Set[str]) -> str | None:
    """The innermost of the folders that holds the file."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        if folder in folders:
            return folder
    return "." if "." in folders else None


def beside(tree: Tree, paths: Iterable[str]) -> Iterator[Finding]:
    """CPR631 and CPR632 for files in the folder of a model, which are no part of it; ``paths`` are places in the tree."""
    files = {path: tree.size(path) for path in paths}
    events = {path: size for path, size in files.items() if path.removeprefix(_folder(path)).startswith(_EVENTS)}
    if events:
        yield _wasted(kinds.EVENT_FILES, "Event files of a training", events)
    checkpoints = dict(_of_checkpoints(files))
    if checkpoints:
        yield _wasted(kinds.LEFTOVERS, "Checkpoints of a training", checkpoints)
    keras = {path: size for path, size in files.items() if path.lower().endswith(_KERAS_SUFFIXES)}
    if keras:
        # A routine may well read it itself, so this is no more than a note, whatever its size.
        yield _wasted(kinds.LEFTOVERS, "Keras files beside the SavedModel, which does not need them", keras, Severity.NOTE)


def _of_checkpoints(files: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The parts of ``model.ckpt-100``: index, shards and, from TensorFlow 1, graph; and the two files beside them."""
    shards = {path.rpartition(".data-")[0] for path in files if ".data-" in path}
    stems = {stem for stem in shards if f"{stem}.index" in files}
    folders = {_folder(stem) for stem in stems}
    for path, size in files.items():
        stem, _, suffix = path.rpartition(".")
        part = stem in stems and (suffix in ("index", "meta") or suffix.startswith("data-"))
        if part or (path.removeprefix(_folder(path)) in ("checkpoint", "graph.pbtxt") and _folder(path) in folders):
            yield path, size


def in_checkpoint(index: CheckpointIndex) -> Iterator[Finding]:
    """CPR633 and CPR634, from the names, sizes and checksums in the index."""
    from cpr.saved_model.waste import duplicates, optimizer_slots

    slots = optimizer_slots(index)
    if slots.bytes:
        yield kinds.OPTIMIZER_SLOTS.at(
            INDEX_NAME,
            f"{slots.bytes:,} bytes of the weights are for training alone, such as {short_name(slots.names[0])}.",
            None if any(name.endswith(VALUE_SUFFIX) for name in slots.names) else _BY_GRAPH,
            severity=_severity(slots.bytes),
        )
    twice = duplicates(index)
    if twice.bytes:
        one, other = map(short_name, twice.pairs[0])
        yield kinds.STORED_TWICE.at(
            INDEX_NAME,
            f"{twice.bytes:,} bytes of the weights are there a second time, such as {one} and {other}.",
            severity=_severity(twice.bytes),
        )


def _wasted(kind: kinds.Kind, what: str, files: Mapping[str, int], severity: Severity | None = None) -> Finding:
    total = sum(files.values())
    return kind.at(next(iter(files)), f"{what}: {listed(files)}, {total:,} bytes.", severity=severity or _severity(total))


def _severity(wasted: int) -> Severity:
    return Severity.WARNING if wasted >= kinds.MIB else Severity.NOTE


def _folder(path: str) -> str:
    """With the slash at its end; ``""`` for the topmost."""
    head, slash, _ = path.rpartition("/")
    return head + slash
