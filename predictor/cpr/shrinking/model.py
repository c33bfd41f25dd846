"""A SavedModel as a value: its protobuf, and its tensors by the name in the checkpoint, each read when it is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from cpr.saved_model.checkpoint import INDEX_NAME, read_checkpoint_index
from cpr.saved_model.reader import PB_NAME
from cpr.shrinking import _tensorflow
from cpr.shrinking._tensorflow import OBJECT_GRAPH

_PART_BYTES = 64 << 20
"""Tensors up to this many bytes together are written at once."""

_INDEX_BYTES = 100
"""That a tensor takes in the index, mostly its name."""

_PREFIX = INDEX_NAME.removesuffix(".index")


@dataclass(frozen=True)
class Stored:
    """A tensor of the checkpoint. ``dtype`` is TensorFlow's number of its type; ``load`` reads or computes it, each time anew.

    Two that lie in one checkpoint with the same ``crc32c``, shape and type hold the same; ``None`` where there is no sum.
    """

    dtype: int
    shape: tuple[int, ...]
    load: Callable[[], Any]
    crc32c: int | None = None

    def same_as(self, other: Stored) -> bool:
        """Whether the checkpoint says that both hold the same."""
        one, two = ((each.dtype, each.shape, each.crc32c) for each in (self, other))
        return self.crc32c is not None and one == two

    @property
    def bytes(self) -> int:
        """What it takes in a shard; of texts, the least."""
        return prod(self.shape) * max(1, int(_tensorflow.tensorflow().as_dtype(self.dtype).size))


@dataclass(frozen=True)
class Model:
    """A SavedModel. ``proto`` is its ``SavedModel`` message, and ``folder`` where its assets lie.

    ``objects`` is the ``TrackableObjectGraph`` of its checkpoint, ``None`` for what TensorFlow 1 saved. A transformation gives
    back another value and leaves the one it was given as it is.
    """

    folder: Path
    proto: Any
    tensors: Mapping[str, Stored]
    objects: Any = None

    @property
    def tensor_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors.values())

    @property
    def bytes(self) -> int:
        """About what its files will take together."""
        assets = sum((self.folder / "assets" / name).stat().st_size for name in _assets(self))
        index = _INDEX_BYTES * len(self.tensors) + (0 if self.objects is None else int(self.objects.ByteSize()))
        return int(self.proto.ByteSize()) + self.tensor_bytes + index + assets

    def copied_proto(self) -> Any:
        """A copy of ``proto`` to alter."""
        return type(self.proto).FromString(self.proto.SerializeToString())


def read_model(folder: Path) -> Model:
    """Read the SavedModel in a folder; of its weights, the index alone. ``ModelError`` where TensorFlow cannot."""
    proto = _tensorflow.parsed(folder)
    if not (folder / INDEX_NAME).is_file():
        return Model(folder, proto, {})
    prefix = str(folder / _PREFIX)
    sums = {each.name: None if each.slices else each.crc32c for each in read_checkpoint_index(folder / INDEX_NAME).variables}
    tensors = {}
    objects = None
    for key, (dtype, shape) in sorted(_tensorflow.catalogue(prefix).items()):
        if key == OBJECT_GRAPH:
            objects = _tensorflow.trackable_graph(_tensorflow.restored(prefix, key, dtype).numpy())
        else:
            tensors[key] = Stored(dtype, shape, partial(_tensorflow.restored, prefix, key, dtype), sums[key])
    return Model(folder, proto, tensors, objects)


def write_model(model: Model, folder: Path) -> None:
    """Write it into an empty folder: graph, weights, and of the other files those that serving reads."""
    (folder / PB_NAME).write_bytes(model.proto.SerializeToString(deterministic=True))
    if model.tensors or model.objects is not None:
        _write_tensors(model, folder)
    for name in _assets(model):
        _copied(model.folder / "assets" / name, folder / "assets" / name)
    if (model.folder / "assets.extra").is_dir():  # requests that warm a server up, for one
        shutil.copytree(model.folder / "assets.extra", folder / "assets.extra")


def _write_tensors(model: Model, folder: Path) -> None:
    prefixes = []
    for number, part in enumerate(_parts(model)):
        prefixes.append(str(folder / "parts" / f"part{number}"))
        _tensorflow.save_part(prefixes[-1], {key: tensor.load() for key, tensor in part.items()})
    (folder / "variables").mkdir()
    _tensorflow.merge_parts(prefixes, str(folder / _PREFIX))
    shutil.rmtree(folder / "parts", ignore_errors=True)


def _parts(model: Model) -> Iterator[dict[str, Stored]]:
    """Groups of tensors that fit into memory together."""
    part: dict[str, Stored] = {}
    if model.objects is not None:
        data = model.objects.SerializeToString(deterministic=True)
        text = _tensorflow.tensorflow().string.as_datatype_enum
        part[OBJECT_GRAPH] = Stored(text, (), lambda: data)
    for key, tensor in model.tensors.items():
        if part and sum(each.bytes for each in part.values()) + tensor.bytes > _PART_BYTES:
            yield part
            part = {}
        part[key] = tensor
    if part:
        yield part


def _assets(model: Model) -> list[str]:
    """The files below ``assets/`` that a graph reads."""
    from cpr.saved_model.reader import parse_saved_model

    graphs = parse_saved_model(model.proto.SerializeToString())
    return sorted({name for graph in graphs for name in graph.assets})


def _copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
