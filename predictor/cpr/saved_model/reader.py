"""``saved_model.pb`` as frozen values: MetaGraphs, signatures, ops, assets.

Field numbers are those of ``saved_model.proto``, ``meta_graph.proto``, ``graph.proto`` and ``struct.proto`` in TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cpr.errors import ModelError
from cpr.saved_model.dtypes import dtype_name, tensor_shape
from cpr.saved_model.graph import Call, Graph, TooLarge, named
from cpr.saved_model.objects import KERAS_METADATA, ObjectGraph, parse_objects, read_keras_version
from cpr.saved_model.versions import read_versions
from cpr.saved_model.wire import BYTES, VARINT, Buffer, last, malformed, opened, select, text

PB_NAME = "saved_model.pb"
PBTXT_NAME = "saved_model.pbtxt"

DEFAULT_SIGNATURE = "serving_default"
"""What servers run where a request names no signature of several."""

_INIT_OP, _TRAIN_OP = "__saved_model_init_op", "__saved_model_train_op"
_ASSETS = "saved_model_assets"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")

_META_GRAPH = {1: BYTES, 2: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES}

_DEEPEST = 32
"""How deep composite tensors may nest: protobuf itself stops at 100 messages, of which each level takes three."""

_KINDS = {
    1: "sparse",
    2: "indexed_slices",
    3: "ragged",
    4: "tensor_array",
    5: "dataset",
    6: "iterator",
    7: "optional",
    8: "per_replica",
    9: "variable",
    10: "row_partition",
}
"""``TypeSpecProto.TypeSpecClass``; 12 and 13 (registered and extension types) go by the name of their class."""

_NONE: Mapping[str, Any] = MappingProxyType({})


class TensorInfo(NamedTuple):
    """One input or output of a signature.

    ``name`` is the tensor in the graph (``serving_default_x:0``). ``dtype`` is spelt as NumPy and TensorFlow do: ``float32``,
    ``string``, ``bool``. ``shape`` is ``None`` for an unknown rank, and holds ``None`` for an unknown dimension.

    A value made of several tensors has no name; ``kind`` says what it is and ``components`` are its tensors. ``coo_sparse`` has
    values, indices and dense shape, in this order; for ``ragged``, ``sparse`` and the like the type itself decides the order
    (ragged: flat values, then row splits from the outermost in), and ``dtype`` and ``shape`` are ``None``.
    """

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None
    kind: str | None = None
    components: tuple[TensorInfo, ...] = ()


class Signature(NamedTuple):
    """A callable of the model. ``method_name`` is for example ``tensorflow/serving/predict``."""

    method_name: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


class MetaGraph(NamedTuple):
    """One graph of the model.

    ``tensorflow_version`` wrote it (``""`` where none is named), built from ``git_version``. ``ops`` counts the operations by
    name, in the graph and in its function library together. ``assets`` are the files that it reads below ``assets/``.
    ``has_objects`` is true for what TensorFlow 2 saved: such a model is restored from its object graph.

    ``stripped_default_attrs``: attributes with their default value were left out, so that older releases read it. ``producer``
    is the graph version that wrote it, ``min_consumer`` the lowest that may read it, ``bad_consumers`` those that must not.
    ``functions`` has the number of nodes of each library function. ``init_ops`` are the nodes that run when the model is
    loaded, and ``load_ops`` the operations that they reach. ``calls`` says what a request of each callable signature runs; a
    signature is not in it where a graph and its many signatures are too large to follow in a second.
    """

    tags: tuple[str, ...]
    tensorflow_version: str
    signatures: Mapping[str, Signature]
    ops: Mapping[str, int]
    assets: tuple[str, ...]
    has_objects: bool = False
    git_version: str = ""
    stripped_default_attrs: bool = False
    producer: int = 0
    min_consumer: int = 0
    bad_consumers: tuple[int, ...] = ()
    functions: Mapping[str, int] = _NONE
    init_ops: tuple[str, ...] = ()
    load_ops: Mapping[str, int] = _NONE
    objects: ObjectGraph | None = None
    calls: Mapping[str, Call] = _NONE

    @property
    def is_tf1(self) -> bool:
        """True for what TensorFlow 1 saved: it runs in a session."""
        return not self.has_objects

    @property
    def callable_signatures(self) -> dict[str, Signature]:
        """The signatures that a request can name: without TensorFlow's own hooks for initialising and training."""
        return {key: signature for key, signature in self.signatures.items() if key not in (_INIT_OP, _TRAIN_OP)}


class SavedModel(NamedTuple):
    """A SavedModel: ``path`` is the folder that holds ``saved_model.pb``."""

    path: Path
    meta_graphs: tuple[MetaGraph, ...]


def read_saved_model(path: Path | str) -> SavedModel:
    """Read the SavedModel in a folder (or a ``saved_model.pb`` itself). ``ModelError`` where there is none or it is broken."""
    path = Path(path)
    folder = path.parent if path.name in (PB_NAME, PBTXT_NAME) else path
    file = _graph_file(folder)
    with opened(file) as buffer:
        if file.name == PBTXT_NAME:
            from cpr.saved_model.pbtxt import to_wire

            graphs = parse_saved_model(to_wire(buffer))
        else:
            graphs = parse_saved_model(buffer)
    return SavedModel(folder, tuple(_with_keras_version(graph, folder) for graph in graphs))


def parse_saved_model(buffer: Buffer) -> tuple[MetaGraph, ...]:
    """The MetaGraphs in the bytes of a ``saved_model.pb``."""
    if not len(buffer):
        raise malformed("it is empty")
    spans = [(begin, stop) for _, begin, stop in select(buffer, 0, len(buffer), {2: BYTES})]
    if not spans:
        raise malformed("it holds no graph")
    return tuple(_meta_graph(buffer, begin, stop) for begin, stop in spans)


def _with_keras_version(graph: MetaGraph, folder: Path) -> MetaGraph:
    """Keras 2 writes its release into a file of its own, from TensorFlow 2.5 on."""
    objects = graph.objects
    if objects is None or objects.keras_version or objects.maker != "keras" or objects.keras_major != 2:
        return graph
    path = folder / KERAS_METADATA
    version = read_keras_version(path) if path.is_file() else ""
    return graph._replace(objects=objects._replace(keras_version=version)) if version else graph


def _graph_file(folder: Path) -> Path:
    if (folder / PB_NAME).is_file():
        return folder / PB_NAME
    if (folder / PBTXT_NAME).is_file():
        return folder / PBTXT_NAME
    if not folder.is_dir():
        raise ModelError("This is not a folder.", "Name the folder that holds saved_model.pb.", str(folder))
    raise ModelError("The folder holds no saved_model.pb.", "Name the folder that holds it.", str(folder))


def _meta_graph(buffer: Buffer, start: int, end: int) -> MetaGraph:
    spans: dict[int, list[tuple[int, int]]] = {number: [] for number in _META_GRAPH}
    for number, begin, stop in select(buffer, start, end, _META_GRAPH):
        spans[number].append((begin, stop))
    tags, info, stripped = _meta_info(buffer, spans[1])
    graph = Graph(buffer, spans[2])
    versions = read_versions(buffer, [(at, to) for span in spans[2] for _, at, to in select(buffer, *span, {4: BYTES})])
    collections = [_map_entry(buffer, *span) for span in spans[4]]
    signatures = _signatures(buffer, spans[5])
    assets = [name for key, value in collections if key == _ASSETS for name in _collected_assets(buffer, *value)]
    assets += [_asset_name(buffer, *span) for span in spans[6]]
    init_ops = _init_ops(buffer, signatures, collections)
    has_objects = any(stop > begin for begin, stop in spans[7])
    return MetaGraph(
        tags=tags,
        tensorflow_version=info[5],
        signatures=signatures,
        ops=named(graph.ops),
        assets=tuple(dict.fromkeys(assets)),
        has_objects=has_objects,
        git_version=info[6],
        stripped_default_attrs=stripped,
        producer=versions.producer,
        min_consumer=versions.min_consumer,
        bad_consumers=versions.bad_consumers,
        functions=named(graph.functions),
        init_ops=init_ops,
        load_ops=_load_ops(graph, init_ops),
        objects=parse_objects(buffer, spans[7]) if has_objects else None,
        calls=_calls(graph, signatures),
    )


def _meta_info(buffer: Buffer, spans: Iterable[tuple[int, int]]) -> tuple[tuple[str, ...], dict[int, str], bool]:
    tags: list[str] = []
    versions = {5: "", 6: ""}
    stripped = False
    for start, end in spans:
        for number, begin, stop in select(buffer, start, end, {4: BYTES, 5: BYTES, 6: BYTES, 7: VARINT}):
            if number == 4:
                tags.append(text(buffer, begin, stop))
            elif number == 7:
                stripped = bool(begin)
            else:
                versions[number] = text(buffer, begin, stop)
    return tuple(tags), versions, stripped


def _signatures(buffer: Buffer, spans: Iterable[tuple[int, int]]) -> dict[str, Signature]:
    found = {}
    for span in spans:
        key, value = _map_entry(buffer, *span)
        found[key] = _signature(buffer, *value)
    return {key: found[key] for key in sorted(found)}


def _load_ops(graph: Graph, init_ops: Iterable[str]) -> dict[str, int]:
    try:
        return graph.load(init_ops)
    except TooLarge:
        return {}


def _calls(graph: Graph, signatures: Mapping[str, Signature]) -> dict[str, Call]:
    calls: dict[str, Call] = {}
    for key, signature in signatures.items():
        if key in (_INIT_OP, _TRAIN_OP):
            continue
        inputs, outputs = (
            {name: _tensors(info) for name, info in side.items()} for side in (signature.inputs, signature.outputs)
        )
        try:
            calls[key] = graph.call(inputs, outputs)
        except TooLarge:
            break
    return calls


def _tensors(info: TensorInfo) -> list[str]:
    """The names of the tensors that a value consists of."""
    found, todo = [], [info]
    while todo:
        item = todo.pop()
        if item.kind is None:
            found.append(item.name)
        todo += item.components
    return found


def _init_ops(
    buffer: Buffer, signatures: Mapping[str, Signature], collections: Iterable[tuple[str, tuple[int, int]]]
) -> tuple[str, ...]:
    """The nodes that the loader runs, in the places where it looks (``tensorflow/python/saved_model/loader_impl.py``)."""
    found = []
    hook = signatures.get(_INIT_OP)
    if hook is not None and _INIT_OP in hook.outputs:
        found.append(hook.outputs[_INIT_OP].name)
    for key, (start, end) in collections:
        if key in _INIT_COLLECTIONS:
            for _, begin, stop in select(buffer, start, end, {1: BYTES}):
                found += [text(buffer, at, to) for _, at, to in select(buffer, begin, stop, {1: BYTES})]
    return tuple(dict.fromkeys(name.removesuffix(":0") for name in found if name))


def _map_entry(buffer: Buffer, start: int, end: int) -> tuple[str, tuple[int, int]]:
    key, value = "", (0, 0)
    for number, begin, stop in select(buffer, start, end, {1: BYTES, 2: BYTES}):
        if number == 1:
            key = text(buffer, begin, stop)
        else:
            value = (begin, stop)
    return key, value


def _signature(buffer: Buffer, start: int, end: int) -> Signature:
    method_name = ""
    tensors: tuple[dict[str, TensorInfo], dict[str, TensorInfo]] = ({}, {})
    for number, begin, stop in select(buffer, start, end, {1: BYTES, 2: BYTES, 3: BYTES}):
        if number == 3:
            method_name = text(buffer, begin, stop)
        else:
            key, value = _map_entry(buffer, begin, stop)
            tensors[number - 1][key] = _tensor_info(buffer, *value, _DEEPEST)
    inputs, outputs = (dict(sorted(side.items())) for side in tensors)
    return Signature(method_name, inputs, outputs)


def _tensor_info(buffer: Buffer, start: int, end: int, depth: int) -> TensorInfo:
    if not depth:
        raise malformed(f"the tensors at byte {start} are nested too deep")
    name, dtype, encoding = "", 0, (1, 0, 0)
    shape: tuple[int | None, ...] | None = None
    shaped = False
    fields = {1: BYTES, 2: VARINT, 3: BYTES, 4: BYTES, 5: BYTES}
    for number, begin, stop in select(buffer, start, end, fields):
        if number == 2:
            dtype = begin
        elif number == 3:
            shape, shaped = tensor_shape(buffer, begin, stop), True
        else:
            # name, coo_sparse and composite_tensor are one choice: the last one counts.
            encoding = (number, begin, stop)
    number, begin, stop = encoding
    if number == 5:
        kind, components = _composite(buffer, begin, stop, depth)
        return TensorInfo("", dtype_name(dtype), shape, kind, components)
    # A shape that is not written is a message with nothing in it, and that is a scalar's.
    shape = shape if shaped else ()
    if number == 4:
        return TensorInfo("", dtype_name(dtype), shape, "coo_sparse", _coo(buffer, begin, stop, dtype, shape))
    name = text(buffer, begin, stop)
    return TensorInfo(name, dtype_name(dtype), shape)


def _composite(buffer: Buffer, start: int, end: int, depth: int) -> tuple[str, tuple[TensorInfo, ...]]:
    kind, class_name = 0, ""
    components = []
    for number, begin, stop in select(buffer, start, end, {1: BYTES, 2: BYTES}):
        if number == 2:
            components.append(_tensor_info(buffer, begin, stop, depth - 1))
            continue
        for inner, at, to in select(buffer, begin, stop, {1: VARINT, 3: BYTES}):
            if inner == 1:
                kind = at
            else:
                class_name = text(buffer, at, to)
    return _KINDS.get(kind) or class_name or "composite", tuple(components)


def _coo(buffer: Buffer, start: int, end: int, dtype: int, shape: tuple[int | None, ...] | None) -> tuple[TensorInfo, ...]:
    names = {1: "", 2: "", 3: ""}
    for number, begin, stop in select(buffer, start, end, {1: BYTES, 2: BYTES, 3: BYTES}):
        names[number] = text(buffer, begin, stop)
    rank = None if shape is None else len(shape)
    return (
        TensorInfo(names[1], dtype_name(dtype), (None,)),
        TensorInfo(names[2], "int64", (None, rank)),
        TensorInfo(names[3], "int64", (rank,)),
    )


def _asset_name(buffer: Buffer, start: int, end: int) -> str:
    return text(buffer, *last(buffer, start, end, 2))


def _collected_assets(buffer: Buffer, start: int, end: int) -> Iterator[str]:
    """TF1 exporters name their assets in a collection of ``Any`` messages, each an ``AssetFileDef``."""
    for _, begin, stop in select(buffer, start, end, {5: BYTES}):
        for _, at, to in select(buffer, begin, stop, {1: BYTES}):
            yield _asset_name(buffer, *last(buffer, at, to, 2))
