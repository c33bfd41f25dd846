"""Everything about a folder in one value: its files, the SavedModels in it, and what is wrong with them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cpr.bundle import Bundle
from cpr.errors import BundleError, ModelError
from cpr.manifest import MANIFEST_NAME
from cpr.report import Finding, Severity
from cpr.saved_model.checkpoint import Variable, read_checkpoint_index
from cpr.saved_model.findings import (
    graph_findings,
    is_lfs_pointer,
    place_findings,
    pointer_findings,
    unreadable,
    weight_findings,
)
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME, MetaGraph, read_saved_model

_PROJECT_NAME = "routine.yaml"
_INDEX = ("variables", "variables.index")


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A SavedModel below the surveyed folder.

    ``where`` is its folder relative to that, with forward slashes (``.``: the folder itself). Without meta-graphs it could not
    be read, and a finding says why. ``variables`` are those of its checkpoint, in order of name.
    """

    where: str
    meta_graphs: tuple[MetaGraph, ...]
    variables: tuple[Variable, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """``files`` holds path (relative, forward slashes) and size in bytes of every file, in order of path."""

    path: Path
    bundle: Bundle | None
    files: tuple[tuple[str, int], ...]
    models: tuple[FoundModel, ...]
    findings: tuple[Finding, ...]

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self.files)

    @property
    def ok(self) -> bool:
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def survey(path: Path | str) -> Survey:
    """Look at a SavedModel, a bundle, or a folder that holds such. ``ModelError`` where ``path`` is none of these."""
    folder = _folder(Path(path))
    files = _files(folder)
    names = [name for name, _ in files]
    models = tuple(examine(folder, where) for where in _model_folders(names))
    findings = [finding for model in models for finding in model.findings]
    bundle = None
    if MANIFEST_NAME in names and any(name.startswith(("model/", "packages/")) for name in names):
        try:
            bundle = Bundle.open(folder)
        except BundleError as error:
            findings.append(Finding("CPR611", Severity.ERROR, MANIFEST_NAME, error.message, error.remedy))
    elif _PROJECT_NAME not in names:
        findings += _place_findings(folder, names, models)
    return Survey(folder, bundle, files, models, tuple(findings))


def _place_findings(folder: Path, names: list[str], models: tuple[FoundModel, ...]) -> list[Finding]:
    """A routine's model directory has the SavedModel in a folder of its own, as the templates do: no reason to warn."""
    found = place_findings(names, [model.where for model in models])
    of_routine = (folder.resolve().parent / _PROJECT_NAME).is_file()
    return [finding for finding in found if not (of_routine and finding.check == "CPR602")]


def examine(root: Path, where: str = ".") -> FoundModel:
    """Read the SavedModel in the folder ``where`` of ``root``; whatever is wrong with it becomes a finding."""
    folder = root / where
    findings = list(pointer_findings(folder, where))
    graphs: tuple[MetaGraph, ...] = ()
    try:
        graphs = read_saved_model(folder).meta_graphs
    except ModelError as error:
        if not any(is_lfs_pointer(folder / name) for name in (PB_NAME, PBTXT_NAME)):
            name = PB_NAME if (folder / PB_NAME).is_file() else PBTXT_NAME
            findings.append(unreadable(error, "CPR603", (Path(where) / name).as_posix()))
    else:
        findings += graph_findings(folder, graphs, where)
    index, readable = None, True
    index_path = folder.joinpath(*_INDEX)
    if index_path.is_file():
        try:
            index = read_checkpoint_index(index_path)
        except ModelError as error:
            readable = False
            if not is_lfs_pointer(index_path):
                findings.append(unreadable(error, "CPR607", Path(where).joinpath(*_INDEX).as_posix()))
    if readable:
        findings += weight_findings(folder, graphs, index, where)
    return FoundModel(where, graphs, () if index is None else index.variables, tuple(findings))


def _folder(path: Path) -> Path:
    if path.name in (PB_NAME, PBTXT_NAME) and path.is_file():
        return path.parent
    if path.is_dir():
        return path
    if not path.exists():
        raise ModelError("There is nothing at this path.", "Check its spelling; `ls` shows what is there.", str(path))
    remedy = "Name the folder that holds saved_model.pb, or a bundle."
    if path.suffix.lower() in (".keras", ".h5", ".hdf5"):
        remedy = f"Convert it to a SavedModel: keras.models.load_model({path.name!r}).export('model')."
    raise ModelError(f"{path} is a file, not a SavedModel's folder.", remedy, str(path))


def _files(folder: Path) -> tuple[tuple[str, int], ...]:
    """Files with their sizes. A link to a file counts as the file; links to folders are not followed."""
    found = []
    for root, folders, names in os.walk(folder, onerror=_refused):
        folders.sort()
        prefix = Path(root).relative_to(folder)
        for name in names:
            try:
                found.append(((prefix / name).as_posix(), os.stat(os.path.join(root, name)).st_size))  # noqa: PTH116, PTH118
            except OSError:
                continue  # a link that leads nowhere, or in a circle: whoever needs the file says that it is missing
    return tuple(sorted(found))


def _refused(error: OSError) -> None:
    raise ModelError(f"The folder cannot be read: {error.strerror}.", "Check its permissions.", str(error.filename)) from None


def _model_folders(names: list[str]) -> list[str]:
    parts = (name.rpartition("/") for name in names)
    return sorted({folder or "." for folder, _, name in parts if name in (PB_NAME, PBTXT_NAME)})
