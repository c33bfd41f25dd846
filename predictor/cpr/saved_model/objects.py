"""The object graph of what TensorFlow 2 saved: which Keras made it, its variables, its functions.

Field numbers are those of ``saved_object_graph.proto`` and ``trackable_object_graph.proto`` in TensorFlow 2.21, and of
``saved_metadata.proto`` in Keras 2.15.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from cpr.saved_model.checkpoint import VALUE_SUFFIX
from cpr.saved_model.dtypes import dtype_name, tensor_shape
from cpr.saved_model.wire import BYTES, VARINT, Buffer, malformed, select, signed32, text

if TYPE_CHECKING:
    from pathlib import Path

KERAS_METADATA = "keras_metadata.pb"

_PATHS, _PATHS_RATIO = 1 << 20, 16
"""Paths share what they begin with, so a small file can spell out very long ones: 1 MiB and 16 times the size are the most."""

_KERAS_2 = "_tf_keras_"
"""What the identifiers of Keras 2's objects begin with: ``keras/saving/legacy/saved_model/constants.py``."""

_ARCHIVE = frozenset(("variables", "trainable_variables", "non_trainable_variables", "_all_variables", "_misc_assets"))
"""The lists of Keras's ``ExportArchive``, which ``Model.export`` writes, from Keras 2.13 on and in Keras 3."""

_ARCHIVE_OF_KERAS_2 = "_endpoint_names"
"""A list that is saved with it in Keras 2 alone: there the archive itself is the root, in Keras 3 an object that it owns."""

_LAYER_OF_KERAS_3 = frozenset(("_inbound_nodes", "_outbound_nodes", "_losses_override"))
"""Some of the children of a Keras 3 layer; Keras 2's say ``_tf_keras_layer``."""


class ModelVariable(NamedTuple):
    """One variable of the objects. ``path`` is its key in the checkpoint, ``""`` where no child leads to it from the root."""

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None
    trainable: bool
    path: str


class ObjectGraph(NamedTuple):
    """What TensorFlow 2 restores a model from.

    ``maker`` is ``keras`` where the model itself is Keras's, ``module`` for a ``tf.Module`` or another trackable object,
    whatever it holds. ``keras_major`` is 2 or 3 where the model, or a layer in it, proves which; else 0. ``keras_version`` is
    the release (``2.15.0``): only Keras 2 writes it, ``""`` without. ``classes`` counts the user's objects by identifier, and
    ``functions`` is how many objects are functions that can be called. ``variables`` are in the order of the file.
    """

    maker: str
    keras_version: str
    keras_major: int
    classes: Mapping[str, int]
    functions: int
    variables: tuple[ModelVariable, ...]


class _Object:
    """One node while the graph is read. ``slots`` are an optimizer's: original variable, name, node of the slot's variable."""

    __slots__ = ("callable", "children", "identifier", "metadata", "slots", "variable")

    def __init__(self) -> None:
        self.children: list[tuple[int, str]] = []
        self.slots: list[tuple[int, str, int]] = []
        self.identifier: str | None = None
        self.metadata = ""
        self.variable: tuple[int, int] | None = None
        self.callable = False


def parse_objects(buffer: Buffer, spans: Iterable[tuple[int, int]]) -> ObjectGraph:
    """A ``SavedObjectGraph``."""
    spans = tuple(spans)
    objects = [_object(buffer, at, to) for span in spans for _, at, to in select(buffer, *span, {1: BYTES})]
    classes: dict[str, int] = {}
    for item in objects:
        if item.identifier is not None:
            classes[item.identifier] = classes.get(item.identifier, 0) + 1
    root = objects[0] if objects else _Object()
    found = _keras(root)
    paths = _paths(objects, _PATHS + _PATHS_RATIO * sum(stop - begin for begin, stop in spans))
    return ObjectGraph(
        maker="keras" if found else "module",
        keras_version=_version(root.metadata) if found == 2 else "",
        keras_major=found or _keras_within(objects),
        classes=dict(sorted(classes.items())),
        functions=sum(item.callable for item in objects),
        variables=tuple(
            _variable(buffer, *item.variable, paths.get(number, ""))
            for number, item in enumerate(objects)
            if item.variable is not None
        ),
    )


def _object(buffer: Buffer, start: int, end: int) -> _Object:
    item = _Object()
    for number, begin, stop in select(buffer, start, end, {1: BYTES, 3: BYTES, 4: BYTES, 6: BYTES, 7: BYTES}):
        if number == 1:
            item.children.append(_reference(buffer, begin, stop))
        elif number == 3:
            item.slots.append(_slot(buffer, begin, stop))
        elif number == 4:
            item.identifier = ""
            for inner, at, to in select(buffer, begin, stop, {1: BYTES, 3: BYTES}):
                if inner == 1:
                    item.identifier = text(buffer, at, to)
                else:
                    item.metadata = text(buffer, at, to)
        elif number == 6:
            item.callable = any(True for _ in select(buffer, begin, stop, {1: BYTES}))
        else:
            item.variable = (begin, stop)
    return item


def _reference(buffer: Buffer, start: int, end: int) -> tuple[int, str]:
    node, name = 0, ""
    for number, begin, stop in select(buffer, start, end, {1: VARINT, 2: BYTES}):
        if number == 1:
            node = signed32(begin)
        else:
            name = text(buffer, begin, stop)
    return node, name


def _slot(buffer: Buffer, start: int, end: int) -> tuple[int, str, int]:
    nodes, name = {1: 0, 3: 0}, ""
    for number, begin, stop in select(buffer, start, end, {1: VARINT, 2: BYTES, 3: VARINT}):
        if number == 2:
            name = text(buffer, begin, stop)
        else:
            nodes[number] = signed32(begin)
    return nodes[1], name, nodes[3]


def _variable(buffer: Buffer, start: int, end: int, path: str) -> ModelVariable:
    dtype, trainable, name = 0, False, ""
    shape: tuple[int | None, ...] | None = ()
    for number, begin, stop in select(buffer, start, end, {1: VARINT, 2: BYTES, 3: VARINT, 6: BYTES}):
        if number == 1:
            dtype = begin
        elif number == 2:
            shape = tensor_shape(buffer, begin, stop)
        elif number == 3:
            trainable = bool(begin)
        else:
            name = text(buffer, begin, stop)
    return ModelVariable(name, dtype_name(dtype), shape, trainable, path)


def _paths(objects: list[_Object], budget: int) -> dict[int, str]:
    """The checkpoint key of each variable: the shortest way from the root, of equals the first.

    Source: ``_breadth_first_traversal`` and ``_serialize_slot_variables`` in ``tensorflow/python/checkpoint``.
    """
    ways: dict[int, tuple[int, str]] = {0: (-1, "")}
    queue = [0]
    for number in queue:
        for child, name in objects[number].children if number < len(objects) else ():
            if child not in ways and 0 <= child < len(objects):
                ways[child] = (number, name)
                queue.append(child)
    paths = {}

    def path(number: int) -> str:
        nonlocal budget
        names = []
        while number:
            number, name = ways[number]
            names.append(_escaped(name))
            budget -= 1 + len(name)
            if budget < 0:
                raise malformed("the names in its object graph are longer than those of any model")
        return "/".join(reversed(names))

    for number, item in enumerate(objects):
        if item.variable is not None and number in ways:
            paths[number] = path(number) + VALUE_SUFFIX
    for number in queue:
        for original, name, slot in objects[number].slots if number < len(objects) else ():
            if original in ways and slot not in ways:
                paths[slot] = f"{path(original)}/.OPTIMIZER_SLOT/{path(number)}/{_escaped(name)}{VALUE_SUFFIX}"
    return paths


def _escaped(name: str) -> str:
    return name.replace(".", "..").replace("/", ".S") if "." in name or "/" in name else name


def _keras(item: _Object) -> int:
    """2 or 3 for an object of Keras's, 0 for any other."""
    if item.identifier is not None and item.identifier.startswith(_KERAS_2):
        return 2
    names = {name for _, name in item.children}
    if names >= _ARCHIVE:
        return 2 if _ARCHIVE_OF_KERAS_2 in names else 3
    return 3 if names >= _LAYER_OF_KERAS_3 else 0


def _keras_within(objects: Iterable[_Object]) -> int:
    found = {_keras(item) for item in objects} - {0}
    return found.pop() if len(found) == 1 else 0


def read_keras_version(path: Path) -> str:
    """The release that ``keras_metadata.pb`` names for its root, ``""`` where it does not, or cannot be read.

    TensorFlow loads a model without this file, so damage to it is no error here.
    """
    from cpr.errors import ModelError
    from cpr.saved_model.wire import opened

    try:
        with opened(path) as buffer:
            for _, begin, stop in select(buffer, 0, len(buffer), {1: BYTES}):
                node, metadata = 0, (0, 0)
                for number, at, to in select(buffer, begin, stop, {2: VARINT, 5: BYTES}):
                    if number == 2:
                        node = at
                    else:
                        metadata = (at, to)
                if node == 0:
                    return _version(text(buffer, *metadata))
    except ModelError:
        pass
    return ""


def _version(metadata: str) -> str:
    """``keras_version`` of the JSON that Keras 2 writes for a model."""
    if '"keras_version"' not in metadata:
        return ""
    import json

    try:
        version = json.loads(metadata).get("keras_version")
    except (ValueError, RecursionError, AttributeError):
        return ""
    return version if isinstance(version, str) else ""
