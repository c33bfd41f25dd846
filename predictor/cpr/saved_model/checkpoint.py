"""``variables.index``: what a checkpoint holds, and how long its shards must be. The weights themselves are not read.

The file is a table (:mod:`cpr.saved_model.sstable`) whose values are ``BundleHeaderProto`` (under the empty key) and
``BundleEntryProto``. Source: ``tensor_bundle.proto``, and ``tensor_bundle.cc``, whose reader decides what is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

from cpr.errors import ModelError
from cpr.saved_model.dtypes import dtype_name, element_size, tensor_shape
from cpr.saved_model.ordered_code import WHOLE, slice_key
from cpr.saved_model.sstable import entries
from cpr.saved_model.versions import Versions, read_versions
from cpr.saved_model.wire import BYTES, FIXED32, VARINT, Buffer, malformed, opened, select, signed

INDEX_NAME = "variables/variables.index"
"""Where it lies in the folder of a SavedModel."""

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The one entry that is no variable."""

VALUE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
"""What the name of a variable ends with that TensorFlow 2 found by its place in the objects."""

_READER = 1
"""The version of the format that TensorFlow 2.21 reads and writes, as since 1.0 (``kTensorBundleVersion``)."""

_ENTRY = {1: VARINT, 2: BYTES, 3: VARINT, 4: VARINT, 5: VARINT, 6: FIXED32, 7: BYTES}


class Slice(NamedTuple):
    """A part of a partitioned variable: ``shape`` elements from ``start`` on. The rest is as of a whole ``Variable``."""

    start: tuple[int, ...]
    shape: tuple[int, ...]
    bytes: int
    shard: int
    offset: int
    crc32c: int


class Variable(NamedTuple):
    """One tensor of a checkpoint.

    ``bytes`` is what it takes in its shard, from ``offset`` on; ``crc32c`` is the masked checksum of these bytes (of text, of
    its lengths and letters). A partitioned variable lies in ``slices``: then ``bytes`` is what they take together, and
    ``shard``, ``offset`` and ``crc32c`` say nothing. They need not cover it: those of an optimizer's slot do not.
    """

    name: str
    dtype: str | None
    shape: tuple[int, ...]
    bytes: int
    shard: int
    offset: int
    crc32c: int
    slices: tuple[Slice, ...] = ()


class CheckpointIndex(NamedTuple):
    """What ``variables.index`` says.

    ``variables`` are in order of name. ``shard_sizes`` is how many bytes each shard that holds something must have at least, by
    number; ``shards`` is how many shards there were when it was written. ``big_endian`` is the order of the bytes in the
    shards: TensorFlow reads either. ``producer``, ``min_consumer`` and ``bad_consumers`` are versions of the format.
    """

    path: Path
    shards: int
    variables: tuple[Variable, ...]
    shard_sizes: tuple[tuple[int, int], ...]
    big_endian: bool = False
    producer: int = 0
    min_consumer: int = 0
    bad_consumers: tuple[int, ...] = ()

    def shard_name(self, shard: int) -> str:
        """``variables.data-00000-of-00001``"""
        return f"{self.path.name.removesuffix('.index')}.data-{shard:05d}-of-{self.shards:05d}"

    def shard_path(self, shard: int) -> Path:
        """Where the shard lies: beside the index."""
        return self.path.with_name(self.shard_name(shard))


def short_name(name: str) -> str:
    """The name of a variable without the end that all of TensorFlow 2 have."""
    return name.removesuffix(VALUE_SUFFIX)


def read_checkpoint_index(path: Path | str) -> CheckpointIndex:
    """Read a checkpoint's index (``…/variables/variables.index``).

    ``ModelError`` where it is missing, broken, or nothing that TensorFlow would read.
    """
    path = Path(path)
    with opened(path) as buffer:
        return parse_checkpoint_index(buffer, path)


def parse_checkpoint_index(buffer: Buffer, path: Path = Path("variables.index")) -> CheckpointIndex:
    """The index in a file's bytes; ``path`` is what its shards are named after."""
    pairs = entries(buffer)
    key, value = next(pairs, (b"-", b""))
    if key:
        raise malformed("the header of the checkpoint is missing")
    shards, big_endian, versions = _header(value)
    shapes: dict[bytes, tuple[int, ...]] = {}
    parts: dict[bytes, Variable] = {}
    variables: list[Variable] = []
    needed: dict[int, int] = {}
    for key, value in pairs:
        variable, spans = _entry(key, value, shapes)
        # Each slice of a partitioned variable has an entry of its own. Its key starts with a zero byte, so it comes first.
        if key[0] == 0:
            parts[key] = variable
            continue
        if spans:
            variable = _partitioned(key, value, variable, spans, parts)
        variables.append(variable)
        for stored in variable.slices or (variable,):
            needed[stored.shard] = max(needed.get(stored.shard, 0), stored.offset + stored.bytes)
    if any(shard >= shards for shard in needed):
        raise malformed(f"a variable lies in shard {max(needed)} of {shards}")
    return CheckpointIndex(path, shards, tuple(variables), tuple(sorted(needed.items())), big_endian, *versions)


def _header(value: bytes) -> tuple[int, bool, Versions]:
    """Number of shards, byte order and versions of a ``BundleHeaderProto``."""
    shards = 0
    big_endian = False
    spans = []
    for number, begin, stop in select(value, 0, len(value), {1: VARINT, 2: VARINT, 3: BYTES}):
        if number == 1:
            shards = begin
        elif number == 2:
            big_endian = begin == 1
        else:
            spans.append((begin, stop))
    versions = read_versions(value, spans)
    if versions.producer < 0:
        raise malformed(f"its format has version {versions.producer}")
    if versions.min_consumer > _READER or _READER in versions.bad_consumers:
        raise ModelError(
            f"The checkpoint is written for readers newer than version {_READER}, which TensorFlow 2.21 has.",
            "Export the model again with a released TensorFlow.",
        )
    return shards, big_endian, versions


def _entry(key: bytes, value: bytes, shapes: dict[bytes, tuple[int, ...]]) -> tuple[Variable, list[tuple[int, int]]]:
    """A ``BundleEntryProto``, and where in it the slices of a partitioned variable are named.

    ``shapes`` holds the shapes that were read already, by their bytes: a model has few different ones.
    """
    numbers = {1: 0, 3: 0, 4: 0, 5: 0}
    crc32c = 0
    shape: tuple[int, ...] = ()
    slices: list[tuple[int, int]] = []
    for number, begin, stop in select(value, 0, len(value), _ENTRY):
        if number == 2:
            written = value[begin:stop]
            known = shapes.get(written)
            shape = shapes[written] = _shape(key, written) if known is None else known
        elif number == 6:
            crc32c = int.from_bytes(value[begin:stop], "little")
        elif number == 7:
            slices.append((begin, stop))
        else:
            numbers[number] = begin
    dtype, shard, offset, size = numbers.values()
    if not 0 < dtype < 1 << 31 or (shard | offset | size) >> 63:
        raise malformed(f"the entry of {_name(key)!r} has no type, or a negative number")
    each = element_size(dtype)
    if each is not None and not slices and size != prod(shape) * each:
        raise malformed(f"{_name(key)!r} of shape {list(shape)} takes {prod(shape) * each} bytes, and not {size}")
    return Variable(_name(key), dtype_name(dtype), shape, size, shard, offset, crc32c), slices


def _shape(key: bytes, written: bytes) -> tuple[int, ...]:
    shape = tensor_shape(written, 0, len(written))
    known = () if shape is None else tuple(size for size in shape if size is not None)
    if shape is None or len(known) < len(shape):
        raise malformed(f"the entry of {_name(key)!r} has no definite shape")
    return known


def _partitioned(
    key: bytes, value: bytes, whole: Variable, spans: list[tuple[int, int]], parts: Mapping[bytes, Variable]
) -> Variable:
    slices = tuple(_slice(key, value, whole, span, parts) for span in spans)
    size = sum(part.bytes for part in slices)
    return Variable(whole.name, whole.dtype, whole.shape, size, whole.shard, whole.offset, whole.crc32c, slices)


def _slice(key: bytes, value: bytes, whole: Variable, span: tuple[int, int], parts: Mapping[bytes, Variable]) -> Slice:
    """The stored slice that a ``TensorSliceProto`` in the entry of the whole names."""
    extents = []
    for _, begin, stop in select(value, *span, {1: BYTES}):
        numbers = [0, WHOLE]
        for number, content, _ in select(value, begin, stop, {1: VARINT, 2: VARINT}):
            numbers[number - 1] = signed(content)
        extents.append((numbers[0], numbers[1]))
    part = parts.get(slice_key(key, extents))
    if part is None or part.dtype != whole.dtype or len(part.shape) != len(whole.shape):
        raise malformed(f"a slice of {whole.name!r} is missing, or of another kind")
    return Slice(tuple(start for start, _ in extents), part.shape, part.bytes, part.shard, part.offset, part.crc32c)


def _name(key: bytes) -> str:
    return key.decode(errors="backslashreplace")
