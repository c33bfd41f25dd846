"""What differs between two models: signatures, operations, variables and their values, files.

Two surveys are compared. Their models are paired by folder, or as they are where each side has only one; the graphs of a pair
by their tags, in the same way. Values of variables are compared by the checksums in their indexes, so no weights are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cpr.errors import ModelError
from cpr.report import Severity
from cpr.saved_model import kinds
from cpr.saved_model.checkpoint import INDEX_NAME, OBJECT_GRAPH, Variable
from cpr.saved_model.documents import signature_document, tensor_document
from cpr.saved_model.extras import FINGERPRINT_NAME
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME, MetaGraph, Signature, TensorInfo
from cpr.saved_model.survey import FoundModel, Survey


class Difference(NamedTuple):
    """One thing that differs. ``a`` and ``b`` are its two states as JSON values, ``None`` where it is not there.

    =====================  ==========================================  =====================================================
    kind                   where                                       a, b
    =====================  ==========================================  =====================================================
    model                  folder of the model                         its bytes
    graph                  tags                                        its version of TensorFlow
    tags                   folder of the model                         lists of tags, where each side has one graph
    tensorflow_version     folder of the model                         text
    keras_version          folder of the model                         text
    signature              key                                         method name, inputs and outputs
    method_name            key                                         text
    input, output          key and name                                dtype and shape, or kind and components
    tensor                 key and name                                the name in the graph
    op                     name                                        how often it is there
    constants              folder of the model                         checksum of a graph file, where nothing above differs
    variable               key in the checkpoint                       dtype, shape, bytes
    content                key of a variable, path of an asset         checksum
    asset, file            path                                        bytes
    total_bytes            ``.``                                       bytes
    =====================  ==========================================  =====================================================

    ``where`` starts with the folder of the model and the tags of the graph where there are several to tell apart.
    """

    kind: str
    where: str
    a: Any
    b: Any


class Comparison(NamedTuple):
    """``a`` and ``b`` are what was found at the two places; ``unread`` says what could not be compared, and why."""

    a: Survey
    b: Survey
    differences: tuple[Difference, ...]
    unread: tuple[str, ...] = ()

    @property
    def equal(self) -> bool | None:
        """``None`` where no difference was found, but not everything could be compared."""
        if self.differences:
            return False
        return None if self.unread else True


def compare_surveys(a: Survey, b: Survey) -> Comparison:
    """What differs between what two surveys found. ``ModelError`` where one of them has no model, or one that cannot be read.

    Assets are read for it, where they lie on this machine.
    """
    for survey in (a, b):
        _refuse_unreadable(survey)
    unread: list[str] = []
    differences = [*_models(a, b, unread), *_outside(a, b)]
    if a.total_bytes != b.total_bytes:
        differences.append(Difference("total_bytes", ".", a.total_bytes, b.total_bytes))
    return Comparison(a, b, tuple(differences), tuple(unread))


class _Side(NamedTuple):
    """One of the two models, with its files by their path in its folder."""

    survey: Survey
    model: FoundModel
    files: Mapping[str, int]

    @classmethod
    def of(cls, survey: Survey, model: FoundModel) -> _Side:
        prefix = "" if model.where == "." else model.where + "/"
        return cls(survey, model, {path[len(prefix) :]: size for path, size in survey.files if path.startswith(prefix)})

    def path(self, relative: str) -> Path:
        return self.survey.path / self.model.where / relative

    def digest(self, relative: str) -> str | None:
        """The SHA-256 of a file; ``None`` where it was listed in a bucket and not fetched, or cannot be read."""
        import hashlib

        sha256 = hashlib.sha256()
        try:
            with open(self.path(relative), "rb") as file:
                while block := file.read(1 << 20):
                    sha256.update(block)
        except OSError:
            return None
        return "sha256:" + sha256.hexdigest()


def _refuse_unreadable(survey: Survey) -> None:
    broken = [model for model in survey.models if not model.meta_graphs or _unreadable_index(survey, model)]
    if survey.models and not broken:
        return
    findings = broken[0].findings if broken else survey.findings
    for finding in findings:
        if finding.severity is Severity.ERROR:
            place = f"{survey.origin}: {finding.where}"
            raise ModelError(f"There is no model to compare: {finding.message}", finding.remedy, place)
    raise ModelError("There is no model to compare here.", "Name the folder that holds saved_model.pb.", survey.origin)


def _unreadable_index(survey: Survey, model: FoundModel) -> bool:
    return model.index is None and INDEX_NAME in _Side.of(survey, model).files


def _models(a: Survey, b: Survey, unread: list[str]) -> Iterator[Difference]:
    if len(a.models) == len(b.models) == 1:
        yield from _model(_Side.of(a, a.models[0]), _Side.of(b, b.models[0]), "", unread)
        return
    ones, others = ({model.where: _Side.of(survey, model) for model in survey.models} for survey in (a, b))
    for where in sorted({*ones, *others}):
        one, other = ones.get(where), others.get(where)
        if one is not None and other is not None:
            yield from _model(one, other, where, unread)
        else:
            yield Difference("model", where, one and sum(one.files.values()), other and sum(other.files.values()))


def _model(a: _Side, b: _Side, where: str, unread: list[str]) -> Iterator[Difference]:
    found = list(_graphs(a, b, where))
    yield from found
    if not any(difference.kind not in ("tensorflow_version", "keras_version") for difference in found):
        yield from _constants(a, b, where)
    yield from _variables(a, b, where, unread)
    yield from _files(a, b, where, unread)


def _graphs(a: _Side, b: _Side, where: str) -> Iterator[Difference]:
    if len(a.model.meta_graphs) == len(b.model.meta_graphs) == 1:
        one, other = a.model.meta_graphs[0], b.model.meta_graphs[0]
        if sorted(one.tags) != sorted(other.tags):
            yield Difference("tags", where or ".", list(one.tags), list(other.tags))
        yield from _graph(one, other, where)
        return
    ones, others = ({_tags(graph): graph for graph in side.model.meta_graphs} for side in (a, b))
    for tags in sorted({*ones, *others}):
        place = _join(where, tags)
        if tags in ones and tags in others:
            yield from _graph(ones[tags], others[tags], place)
        else:
            versions = [each[tags].tensorflow_version if tags in each else None for each in (ones, others)]
            yield Difference("graph", place, *versions)


def _tags(graph: MetaGraph) -> str:
    return f"[{', '.join(sorted(graph.tags))}]"


def _graph(a: MetaGraph, b: MetaGraph, where: str) -> Iterator[Difference]:
    place = where or "."
    if a.tensorflow_version != b.tensorflow_version:
        yield Difference("tensorflow_version", place, a.tensorflow_version, b.tensorflow_version)
    ones, others = (graph.objects.keras_version if graph.objects else "" for graph in (a, b))
    if ones != others:
        yield Difference("keras_version", place, ones or None, others or None)
    ours, theirs = a.callable_signatures, b.callable_signatures
    for key in sorted({*ours, *theirs}):
        yield from _signature(ours.get(key), theirs.get(key), _join(where, key))
    for op in sorted({*a.ops, *b.ops}):
        if a.ops.get(op) != b.ops.get(op):
            yield Difference("op", _join(where, op), a.ops.get(op), b.ops.get(op))


def _signature(a: Signature | None, b: Signature | None, where: str) -> Iterator[Difference]:
    if a is None or b is None:
        yield Difference("signature", where, a and signature_document(a), b and signature_document(b))
        return
    if a.method_name != b.method_name:
        yield Difference("method_name", where, a.method_name, b.method_name)
    yield from _tensors("input", a.inputs, b.inputs, where)
    yield from _tensors("output", a.outputs, b.outputs, where)


def _tensors(kind: str, ones: Mapping[str, TensorInfo], others: Mapping[str, TensorInfo], where: str) -> Iterator[Difference]:
    for name in sorted({*ones, *others}):
        a, b = (tensor_document(side[name]) if name in side else None for side in (ones, others))
        if a is not None and b is not None and "tensor" in a and "tensor" in b:
            names = a["tensor"], b["tensor"]
            if {**a, "tensor": ""} == {**b, "tensor": ""}:
                if names[0] != names[1]:
                    yield Difference("tensor", f"{where}.{name}", *names)
                continue
        if a != b:
            yield Difference(kind, f"{where}.{name}", a, b)


def _constants(a: _Side, b: _Side, where: str) -> Iterator[Difference]:
    """Two graphs may have the same operations, and other constants or wires. TensorFlow's own hash leaves out what only tells
    when a graph was made; it is compared where both have it."""
    programs: list[str | None] = [_program(a), _program(b)]
    if None in programs:
        name = PB_NAME if PB_NAME in a.files and PB_NAME in b.files else PBTXT_NAME
        if name not in a.files or name not in b.files:
            return  # one as text, the other in binary: the same content has other bytes
        programs = [a.digest(name), b.digest(name)]
    if programs[0] != programs[1]:
        yield Difference("constants", where or ".", *programs)


def _program(side: _Side) -> str | None:
    """The hash of the graph in ``fingerprint.pb``, where that is there and is the graph's own."""
    fingerprint = side.model.fingerprint
    if fingerprint is None or not fingerprint.graph_def_program_hash:
        return None
    if any(finding.check == kinds.EXTRAS.id for finding in side.model.findings):
        return None
    return f"program:{fingerprint.graph_def_program_hash:016x}"


def _variables(a: _Side, b: _Side, where: str, unread: list[str]) -> Iterator[Difference]:
    ones, others = ({each.name: each for each in side.model.variables if each.name != OBJECT_GRAPH} for side in (a, b))
    for name in sorted({*ones, *others}):
        one, other, place = ones.get(name), others.get(name), _join(where, name)
        if one is None or other is None or (one.dtype, one.shape) != (other.dtype, other.shape):
            yield Difference("variable", place, one and _variable(one), other and _variable(other))
        elif _partition(one) != _partition(other) or _order(a) != _order(b):
            unread.append(f"{place}: its values lie in other slices, or in another order of bytes")
        elif _checksum(one) != _checksum(other):
            yield Difference("content", place, _checksum(one), _checksum(other))


def _partition(variable: Variable) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(each.start, each.shape) for each in variable.slices]


def _order(side: _Side) -> bool:
    return side.model.index is not None and side.model.index.big_endian


def _checksum(variable: Variable) -> str:
    return "crc32c:" + ",".join(f"{each.crc32c:08x}" for each in variable.slices or (variable,))


def _files(a: _Side, b: _Side, where: str, unread: list[str]) -> Iterator[Difference]:
    for path in sorted({*a.files, *b.files}):
        place, kind = _join(where, path), "asset" if path.startswith("assets/") else "file"
        if path == FINGERPRINT_NAME and path in a.files and path in b.files:
            continue  # numbers of no fixed length: their sizes tell nothing
        if a.files.get(path) != b.files.get(path):
            yield Difference(kind, place, a.files.get(path), b.files.get(path))
        elif kind == "asset":
            one, other = a.digest(path), b.digest(path)
            if one is None or other is None:
                unread.append(f"{place}: {a.files[path]:,} bytes that were not read")
            elif one != other:
                yield Difference("content", place, one, other)


def _outside(a: Survey, b: Survey) -> Iterator[Difference]:
    """Files of a bundle or folder that are in none of its models."""
    ones, others = (dict(_elsewhere(survey)) for survey in (a, b))
    for path in sorted({*ones, *others}):
        if ones.get(path) != others.get(path):
            yield Difference("file", path, ones.get(path), others.get(path))


def _elsewhere(survey: Survey) -> Iterable[tuple[str, int]]:
    prefixes = tuple(model.where + "/" for model in survey.models)
    if any(model.where == "." for model in survey.models):
        return ()
    return [(path, size) for path, size in survey.files if not path.startswith(prefixes)]


def _join(where: str, name: str) -> str:
    return f"{where} {name}" if where else name


def _variable(variable: Variable) -> dict[str, Any]:
    return {"dtype": variable.dtype, "shape": list(variable.shape), "bytes": variable.bytes}
