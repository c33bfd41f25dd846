"""CPR604 to CPR607 and CPR613 to CPR615: the checkpoint of a model, against its index and its graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cpr.errors import ModelError
from cpr.report import Finding, Severity
from cpr.saved_model import kinds
from cpr.saved_model.checkpoint import INDEX_NAME, OBJECT_GRAPH, CheckpointIndex, Variable
from cpr.saved_model.findings.graph import graph_file
from cpr.saved_model.findings.served import served
from cpr.saved_model.findings.words import listed, shape_text, them
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME, MetaGraph
from cpr.saved_model.tree import Tree

if TYPE_CHECKING:
    from cpr.saved_model.extras import Fingerprint
    from cpr.saved_model.restores import Restored

_LFS_MARK = b"version https://git-lfs.github.com/spec/"
_LFS_LARGEST = 1024
"""A pointer file has less than 1024 bytes: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""

_VARIABLE_OPS = frozenset(("VarHandleOp", "Variable", "VariableV2"))


def is_lfs_pointer(tree: Tree, path: str) -> bool:
    """True for the small text file that Git leaves where Git LFS did not fetch the content."""
    return tree.has(path) and tree.size(path) < _LFS_LARGEST and tree.head(path, len(_LFS_MARK)) == _LFS_MARK


def pointers(tree: Tree) -> Iterator[Finding]:
    """CPR604 for the files that TensorFlow reads from a SavedModel's folder."""
    graphs = [name for name in (PB_NAME, PBTXT_NAME) if tree.has(name)]
    for path in (*graphs, *tree.below("variables"), *tree.below("assets")):
        if is_lfs_pointer(tree, path):
            yield kinds.LFS_POINTER.at(path, "This is a Git LFS pointer, a few lines of text that stand for the real file.")


def unreadable_index(error: ModelError) -> Finding:
    """CPR607: the index that the reader refused."""
    return kinds.INDEX_UNREADABLE.at(INDEX_NAME, error.message, error.remedy)


def missing_index(graphs: Iterable[MetaGraph]) -> Iterator[Finding]:
    """CPR605 for a folder without ``variables/variables.index``."""
    if expects_weights(graphs):
        yield kinds.WEIGHTS_MISSING.at(INDEX_NAME, "The graph has variables, and the index of their values is not there.")


def expects_weights(graphs: Iterable[MetaGraph]) -> bool:
    """True where loading fails without a checkpoint: TensorFlow 2 always writes one, TensorFlow 1 where there are variables."""
    return any(graph.has_objects or not _VARIABLE_OPS.isdisjoint(graph.ops) for graph in graphs)


def shards(tree: Tree, index: CheckpointIndex) -> Iterator[Finding]:
    """CPR605, 606, 614 and 615 for the files beside the index, by their sizes."""
    needed = {f"variables/{index.shard_name(number)}": size for number, size in index.shard_sizes}
    others = {path: 0 for path in tree.below("variables") if path not in needed and _is_shard(path, index)}
    for path, least in (needed | others).items():
        if not tree.has(path):
            yield kinds.WEIGHTS_MISSING.at(path, "This file of weights is missing.")
        elif is_lfs_pointer(tree, path):
            continue
        elif tree.size(path) < least:
            yield kinds.WEIGHTS_CUT.at(
                path, f"The file of weights has {tree.size(path)} bytes; the index says that it needs {least}."
            )
        elif tree.size(path) > least:
            yield kinds.FOREIGN_WEIGHTS.at(
                path,
                f"The file of weights has {tree.size(path)} bytes and the index knows {least}: it comes from another export.",
            )
    yield from _stale(tree, {INDEX_NAME, *needed, *others})


def _is_shard(path: str, index: CheckpointIndex) -> bool:
    """True for one of as many shards as there were when the index was written, by its name."""
    number = path.rpartition(".data-")[2].partition("-")[0]
    return number.isdecimal() and int(number) < index.shards and path == f"variables/{index.shard_name(int(number))}"


def _stale(tree: Tree, own: set[str]) -> Iterator[Finding]:
    stale = [path for path in tree.below("variables") if path not in own and _is_checkpoint_file(path)]
    if stale:
        total = sum(tree.size(path) for path in stale)
        yield kinds.STALE_SHARDS.at(stale[0], f"The index does not name {listed(stale)}: {total:,} bytes are never read.")


def _is_checkpoint_file(path: str) -> bool:
    return fnmatchcase(path, "*.data-?????-of-?????") or path.endswith((".index", ".tempstate")) or "_temp/" in path


def foreign(tree: Tree, graphs: tuple[MetaGraph, ...], index: CheckpointIndex) -> Iterator[Finding]:
    """CPR615 where the graph asks for what the index has not, or has otherwise; not for the text form."""
    if not graphs or graph_file(tree) != PB_NAME:
        return
    variables = {variable.name: variable for variable in index.variables}
    if _is_own(graphs, variables):
        return
    from cpr.saved_model.restores import read_restored

    try:
        restored = read_restored(tree.path(PB_NAME))
    except ModelError:
        return  # a part of the file that the reader has no need of; TensorFlow may think otherwise, but this is no proof
    if len(restored) != len(graphs):
        return  # the file was written anew since the graphs were read
    found = [
        finding
        for graph, wanted in zip(graphs, restored, strict=True)
        if any(graph is candidate for candidate in served(graphs))
        for finding in _contradictions(graph, wanted, variables)
    ]
    asked = {key for wanted in restored for key in wanted.keys}
    unasked = [name for name in variables if name not in asked and name != OBJECT_GRAPH]
    if not found and asked and unasked:
        message = f"The index has {listed(unasked)}, which the graph does not restore: it was written for another model."
        found.append(kinds.FOREIGN_WEIGHTS.at(INDEX_NAME, message))
    yield from found


def _is_own(graphs: tuple[MetaGraph, ...], variables: Mapping[str, Variable]) -> bool:
    """True where the objects of the only graph are all that the index has: the usual case, and soon known."""
    if len(graphs) != 1 or graphs[0].objects is None:
        return False
    objects = {variable.path: variable for variable in graphs[0].objects.variables if variable.path}
    return variables.keys() - objects.keys() <= {OBJECT_GRAPH} and all(
        path in variables and variable.dtype == variables[path].dtype and _fits(variables[path].shape, variable.shape)
        for path, variable in objects.items()
    )


def _contradictions(graph: MetaGraph, wanted: Restored, variables: Mapping[str, Variable]) -> Iterator[Finding]:
    lacking = [key for key in wanted.keys if key not in variables]
    if lacking:
        yield _contradiction(f"The graph restores {listed(lacking)}, and the index does not have {them(lacking)}.")
        return
    yield from _other_types(wanted.keys, variables)
    objects = {} if graph.objects is None else {variable.path: variable.shape for variable in graph.objects.variables}
    yield from _other_shapes({**objects, **wanted.references}, variables, Severity.ERROR)
    yield from _other_shapes(wanted.resources, variables, Severity.WARNING)


def _other_types(wanted: Mapping[str, str | None], variables: Mapping[str, Variable]) -> Iterator[Finding]:
    other = [key for key, dtype in wanted.items() if dtype and variables[key].dtype != dtype]
    if other:
        key = other[0]
        yield _contradiction(
            f"The graph and the index differ in the type of {listed(other)}: {wanted[key]}, not {variables[key].dtype}."
        )


def _other_shapes(
    wanted: Mapping[str, tuple[int | None, ...] | None], variables: Mapping[str, Variable], severity: Severity
) -> Iterator[Finding]:
    other = [key for key, shape in wanted.items() if key in variables and not _fits(variables[key].shape, shape)]
    if other:
        key = other[0]
        shape, stored = wanted[key], variables[key].shape
        yield _contradiction(
            f"The graph and the index differ in the shape of {listed(other)}: {shape_text(shape)}, not {shape_text(stored)}.",
            severity,
        )


def _fits(stored: tuple[int | None, ...], shape: tuple[int | None, ...] | None) -> bool:
    if shape is None:
        return True
    return len(stored) == len(shape) and all(size in (None, there) for size, there in zip(shape, stored, strict=True))


def _contradiction(message: str, severity: Severity = Severity.ERROR) -> Finding:
    return kinds.FOREIGN_WEIGHTS.at(INDEX_NAME, message, severity=severity)


def altered(tree: Tree, index: CheckpointIndex, fingerprint: Fingerprint | None) -> Iterator[Finding]:
    """CPR613: every shard that holds a tensor whose checksum differs. Reads the weights. CPR615: an index of other weights."""
    from cpr.saved_model.checksums import verify
    from cpr.saved_model.farmhash import fingerprint64

    written_for = 0 if fingerprint is None else fingerprint.checkpoint_hash
    if written_for and written_for != fingerprint64(tree.path(INDEX_NAME).read_bytes()):
        message = "The fingerprint of the model was made with another index of weights: they were put there later."
        yield kinds.FOREIGN_WEIGHTS.at(INDEX_NAME, message)
    found: dict[int, list[str]] = {}
    for mismatch in verify(index):
        found.setdefault(mismatch.shard, []).append(mismatch.variable)
    for shard, names in found.items():
        tensors = list(dict.fromkeys(names))
        yield kinds.WEIGHTS_ALTERED.at(
            f"variables/{index.shard_name(shard)}", f"The bytes of {listed(tensors)} are not those that were written."
        )
