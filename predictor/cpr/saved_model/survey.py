"""Everything about a folder in one value: its files, the SavedModels in it, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cpr.errors import BundleError, ModelError
from cpr.report import Finding, Severity
from cpr.saved_model import kinds
from cpr.saved_model.checkpoint import INDEX_NAME, CheckpointIndex, Variable, read_checkpoint_index
from cpr.saved_model.extras import FINGERPRINT_NAME, WARMUP_NAME, Fingerprint, Warmup, read_fingerprint, read_warmup
from cpr.saved_model.findings import extras, graph, leftovers, operations, place, serving, signature, weights
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME, MetaGraph, read_saved_model
from cpr.saved_model.tree import Tree, local_tree

if TYPE_CHECKING:
    from cpr.bundle import Bundle

_Extra = TypeVar("_Extra", Fingerprint, Warmup)

_MODEL_DIR = "model"
"""``MODEL_DIR`` of cpr.manifest."""


class FoundModel(NamedTuple):
    """A SavedModel below the surveyed folder.

    ``where`` is its folder relative to that, with forward slashes (``.``: the folder itself). Without meta-graphs it could not
    be read, and a finding says why. ``index`` is that of its checkpoint, ``fingerprint`` and ``warmup`` are what lies beside
    the graph: ``None`` where there is none that can be read.
    """

    where: str
    meta_graphs: tuple[MetaGraph, ...]
    findings: tuple[Finding, ...]
    index: CheckpointIndex | None = None  # type: ignore[assignment]  # and no longer the method of a tuple
    fingerprint: Fingerprint | None = None
    warmup: Warmup | None = None

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Those of its checkpoint, in order of name."""
        return () if self.index is None else self.index.variables


class Survey(NamedTuple):
    """``files`` holds path (relative, forward slashes) and size in bytes of every file, in order of path.

    ``origin`` is what was looked at, for people to read: the folder, or the address of a bucket's folder.
    """

    path: Path
    bundle: Bundle | None
    files: tuple[tuple[str, int], ...]
    models: tuple[FoundModel, ...]
    findings: tuple[Finding, ...]
    origin: str

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self.files)

    @property
    def ok(self) -> bool:
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def survey(path: Path | str, *, verify: bool = False, tensorflow: str | None = None) -> Survey:
    """Look at a SavedModel, a bundle, or a folder that holds such. ``ModelError`` where ``path`` is none of these.

    ``verify`` recomputes the checksum of every tensor; ``tensorflow`` is the release that should load the models (``2.11``).
    """
    path = Path(path)
    folder = _folder(path)
    found = survey_tree(local_tree(folder), verify=verify, tensorflow=tensorflow)
    if folder != path and path.name in place.INSIDE:
        return found._replace(findings=(*found.findings, place.inside(path.name)))
    return found


def survey_tree(tree: Tree, *, verify: bool = False, tensorflow: str | None = None) -> Survey:
    """The same for a folder whose files are known already."""
    folders = _model_folders(tree)
    packed = _is_packed(tree)
    is_bundle = tree.has(place.MANIFEST_NAME) and bool(tree.below(_MODEL_DIR) or tree.below("packages"))
    spare = leftovers.spare_files(tree, set(folders), f"{_MODEL_DIR}/" if is_bundle else "" if packed else None)
    models = tuple(examine(tree, where, beside=spare.get(where, ()), verify=verify, tensorflow=tensorflow) for where in folders)
    findings = [finding for model in models for finding in model.findings]
    bundle = None
    if is_bundle:
        try:
            bundle = _bundle(tree.root)
        except BundleError as error:
            findings.append(kinds.BUNDLE_ALTERED.at(place.MANIFEST_NAME, error.message, error.remedy))
    elif not tree.has(place.PROJECT_NAME):
        found = place.findings(tree, tuple(folders))
        findings += (finding for finding in found if not (packed and finding.check == kinds.WRONG_LEVEL.id))
    return Survey(tree.root, bundle, tuple(tree.files.items()), models, tuple(findings), tree.origin)


def _bundle(root: Path) -> Bundle:
    from cpr.bundle import Bundle

    return Bundle.open(root)


def _is_packed(tree: Tree) -> bool:
    """True for the model directory of a routine or of a bundle: all of it is uploaded, and it has the SavedModel in a folder of
    its own, as the templates do."""
    root = tree.root.resolve()
    of_bundle = root.name == _MODEL_DIR and (root.parent / place.MANIFEST_NAME).is_file()
    return of_bundle or (root.parent / place.PROJECT_NAME).is_file()


def examine(
    tree: Tree, where: str = ".", *, beside: Iterable[str] = (), verify: bool = False, tensorflow: str | None = None
) -> FoundModel:
    """Read the SavedModel in the folder ``where``; whatever is wrong with it becomes a finding.

    ``beside`` are the files around it that are no part of it, as paths in the tree.
    """
    inner = tree.folder(where)
    findings = list(weights.pointers(inner))
    pointed = {finding.where for finding in findings}
    graphs: tuple[MetaGraph, ...] = ()
    try:
        graphs = read_saved_model(inner.root).meta_graphs
    except ModelError as error:
        if not pointed & {PB_NAME, PBTXT_NAME}:
            findings.append(graph.unreadable(inner, error))
    else:
        findings += graph.findings(inner, graphs)
    index = None
    if not inner.has(INDEX_NAME):
        findings += weights.missing_index(graphs)
    elif INDEX_NAME not in pointed:
        try:
            index = read_checkpoint_index(inner.path(INDEX_NAME))
        except ModelError as error:
            findings.append(weights.unreadable_index(error))
    fingerprint = _extra(inner, FINGERPRINT_NAME, read_fingerprint, findings)
    warmup = _extra(inner, WARMUP_NAME, read_warmup, findings)
    file = graph.graph_file(inner)
    findings += extras.findings(graphs, warmup)
    if index is not None:
        findings += weights.shards(inner, index)
        findings += weights.foreign(inner, graphs, index)
        if verify:
            # A pointer is not what was written either, and that is told.
            altered = weights.altered(inner, index, fingerprint)
            findings += (finding for finding in altered if finding.where not in pointed)
        findings += leftovers.in_checkpoint(index)
    findings += operations.findings(graphs, file, tensorflow)
    findings += serving.findings(graphs, file)
    findings += signature.findings(graphs, file)
    findings = [*_placed(findings, where), *leftovers.beside(tree, beside)]
    return FoundModel(where, graphs, tuple(findings), index, fingerprint, warmup)


def _extra(tree: Tree, name: str, read: Callable[[Path], _Extra], findings: list[Finding]) -> _Extra | None:
    """What lies beside the graph; a finding is added where it cannot be read."""
    if not tree.has(name):
        return None
    try:
        return read(tree.path(name))
    except ModelError as error:
        findings.append(extras.unreadable(name, error))
        return None


def _placed(findings: list[Finding], where: str) -> Iterator[Finding]:
    """The findings of a model, their places relative to the surveyed folder instead of the model's."""
    for finding in findings:
        if where == ".":
            yield finding
        else:
            yield finding._replace(where=where if finding.where == "." else f"{where}/{finding.where}")


def _folder(path: Path) -> Path:
    """The folder to look at: that of a graph file, and the SavedModel around its variables or assets."""
    if path.name in (PB_NAME, PBTXT_NAME) and path.is_file():
        return path.parent
    if path.is_dir():
        inside = path.name in place.INSIDE and not any((path / name).exists() for name in (PB_NAME, PBTXT_NAME))
        return path.parent if inside and _has_graph(path.parent) else path
    if not path.exists():
        raise ModelError("There is nothing at this path.", "Check its spelling; `ls` shows what is there.", str(path))
    what, remedy = f"{path} is a file, not a SavedModel's folder.", "Name the folder that holds saved_model.pb, or a bundle."
    if path.parent.name in place.INSIDE and _has_graph(path.parent.parent):
        raise ModelError(f"{path} is a part of a SavedModel.", f"Name its folder: {path.parent.parent}.", str(path))
    hint = None
    if path.is_file():  # and no pipe, which would be waited for
        hint = place.file_hint(Tree(path.parent, {path.name: path.stat().st_size}, str(path.parent)), path.name)
    if hint is not None:
        what, remedy = f"{what} {hint[0]}", hint[1]
    raise ModelError(what, remedy, str(path))


def _has_graph(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (PB_NAME, PBTXT_NAME))


def _model_folders(tree: Tree) -> list[str]:
    parts = (name.rpartition("/") for name in tree.files)
    return sorted({folder or "." for folder, _, name in parts if name in (PB_NAME, PBTXT_NAME)})
