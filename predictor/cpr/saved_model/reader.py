"""``saved_model.pb`` as frozen values: MetaGraphs, signatures, ops, assets.

Field numbers are those of ``saved_model.proto``, ``meta_graph.proto``, ``graph.proto`` and ``struct.proto`` in TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import ModelError
from cpr.saved_model.dtypes import dtype_name
from cpr.saved_model.wire import BYTES, VARINT, Buffer, last, malformed, opened, select, signed, text

PB_NAME = "saved_model.pb"
PBTXT_NAME = "saved_model.pbtxt"

_INIT_OP, _TRAIN_OP = "__saved_model_init_op", "__saved_model_train_op"
_ASSET_COLLECTION = "saved_model_assets"

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


@dataclass(frozen=True, slots=True)
class TensorInfo:
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


@dataclass(frozen=True, slots=True)
class Signature:
    """A callable of the model. ``method_name`` is for example ``tensorflow/serving/predict``."""

    method_name: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """One graph of the model.

    ``tensorflow_version`` wrote it (``""`` where none is named). ``ops`` counts the operations by name, in the graph and in its
    function library together. ``assets`` are the files that it reads below ``assets/``. ``has_objects`` is true for what
    TensorFlow 2 saved: such a model is restored from its object graph.
    """

    tags: tuple[str, ...]
    tensorflow_version: str
    signatures: Mapping[str, Signature]
    ops: Mapping[str, int]
    assets: tuple[str, ...]
    has_objects: bool = False

    @property
    def callable_signatures(self) -> dict[str, Signature]:
        """The signatures that a request can name: without TensorFlow's own hooks for initialising and training."""
        return {key: signature for key, signature in self.signatures.items() if key not in (_INIT_OP, _TRAIN_OP)}


@dataclass(frozen=True, slots=True)
class SavedModel:
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

            return SavedModel(folder, parse_saved_model(to_wire(buffer[:])))
        return SavedModel(folder, parse_saved_model(buffer))


def parse_saved_model(buffer: Buffer) -> tuple[MetaGraph, ...]:
    """The MetaGraphs in the bytes of a ``saved_model.pb``."""
    if not len(buffer):
        raise malformed("it is empty")
    spans = [(begin, stop) for _, begin, stop in select(buffer, 0, len(buffer), {2: BYTES})]
    if not spans:
        raise malformed("it holds no graph")
    return tuple(_meta_graph(buffer, begin, stop) for begin, stop in spans)


def _graph_file(folder: Path) -> Path:
    if (folder / PB_NAME).is_file():
        return folder / PB_NAME
    if (folder / PBTXT_NAME).is_file():
        return folder / PBTXT_NAME
    if not folder.is_dir():
        raise ModelError("This is not a folder.", "Name the folder that holds saved_model.pb.", str(folder))
    raise ModelError("The folder holds no saved_model.pb.", "Name the folder that holds it.", str(folder))


def _meta_graph(buffer: Buffer, start: int, end: int) -> MetaGraph:
    tags: list[str] = []
    version = ""
    signatures: dict[str, Signature] = {}
    ops: dict[bytes, int] = {}
    assets: list[str] = []
    has_objects = False
    fields = {1: BYTES, 2: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES}
    for number, begin, stop in select(buffer, start, end, fields):
        if number == 1:
            for inner, at, to in select(buffer, begin, stop, {4: BYTES, 5: BYTES}):
                if inner == 4:
                    tags.append(text(buffer, at, to))
                else:
                    version = text(buffer, at, to)
        elif number == 2:
            _count_ops(buffer, begin, stop, ops)
        elif number == 4:
            assets += _collected_assets(buffer, begin, stop)
        elif number == 5:
            key, value = _map_entry(buffer, begin, stop)
            signatures[key] = _signature(buffer, *value)
        elif number == 6:
            assets.append(_asset_name(buffer, begin, stop))
        else:
            has_objects = has_objects or stop > begin
    try:
        named = {name.decode(): count for name, count in sorted(ops.items())}
    except UnicodeDecodeError:
        raise malformed("the name of an operation is not UTF-8") from None
    in_order = {key: signatures[key] for key in sorted(signatures)}
    return MetaGraph(tuple(tags), version, in_order, named, tuple(dict.fromkeys(assets)), has_objects)


def _count_ops(buffer: Buffer, start: int, end: int, ops: dict[bytes, int]) -> None:
    for number, begin, stop in select(buffer, start, end, {1: BYTES, 2: BYTES}):
        if number == 1:
            _count_op(buffer, begin, stop, ops)
            continue
        for _, at, to in select(buffer, begin, stop, {1: BYTES}):
            for _, node, node_end in select(buffer, at, to, {3: BYTES}):
                _count_op(buffer, node, node_end, ops)


def _count_op(buffer: Buffer, start: int, end: int, ops: dict[bytes, int]) -> None:
    begin, stop = last(buffer, start, end, 2)
    op = buffer[begin:stop]
    ops[op] = ops.get(op, 0) + 1


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


def tensor_shape(buffer: Buffer, start: int, end: int) -> tuple[int | None, ...] | None:
    """A ``TensorShapeProto``: ``None`` for an unknown rank, ``None`` in it for an unknown dimension."""
    dimensions: list[int | None] = []
    unknown_rank = False
    for number, begin, stop in select(buffer, start, end, {2: BYTES, 3: VARINT}):
        if number == 3:
            unknown_rank = bool(begin)
            continue
        size = 0
        for _, value, _ in select(buffer, begin, stop, {1: VARINT}):
            size = signed(value)
        if size < -1:
            raise malformed(f"the dimension at byte {begin} is {size}")
        dimensions.append(None if size == -1 else size)
    return None if unknown_rank else tuple(dimensions)


def _asset_name(buffer: Buffer, start: int, end: int) -> str:
    return text(buffer, *last(buffer, start, end, 2))


def _collected_assets(buffer: Buffer, start: int, end: int) -> Iterator[str]:
    """TF1 exporters name their assets in a collection of ``Any`` messages, each an ``AssetFileDef``."""
    key, (begin, stop) = _map_entry(buffer, start, end)
    if key != _ASSET_COLLECTION:
        return
    for _, at, to in select(buffer, begin, stop, {5: BYTES}):
        for _, item, item_end in select(buffer, at, to, {1: BYTES}):
            yield _asset_name(buffer, *last(buffer, item, item_end, 2))
