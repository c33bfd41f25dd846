"""Signatures to classify and to regress beside one that predicts: they parse ``tf.Example`` messages into its inputs.

Servers answer the Classify and Regress requests of TensorFlow Serving's API by such signatures alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cpr.errors import ModelError
from cpr.exporting._tensorflow import copied, quiet, saved_model_message
from cpr.exporting.editing import chosen_key
from cpr.exporting.methods import CHOSEN, INPUT
from cpr.exporting.wanted import METHODS, Run, listed
from cpr.interface._failures import cause
from cpr.saved_model.dtypes import dtype_name
from cpr.saved_model.reader import PB_NAME

_PARSED = {
    **dict.fromkeys(("float32", "float16", "bfloat16", "float64"), "float32"),
    **dict.fromkeys(("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "bool"), "int64"),
    "string": "string",
}
"""What a feature of ``tf.Example`` is read as, for the type of the input that it becomes."""

_ROWS = 3
_SHAPES = {"classify": "a value for each class", "regress": "one value"}


class Added(NamedTuple):
    """The new signature ``key``, the one that it calls, and by output of the new one the name that the other has for it."""

    key: str
    base: str
    outputs: Mapping[str, str]
    features: Mapping[str, tuple[str, tuple[int, ...]]]

    @property
    def note(self) -> str:
        """What was added, in words."""
        features = listed(f"{name} ({dtype} {list(shape)})" for name, (dtype, shape) in self.features.items())
        return f"signature {self.key} was added: tf.Example with {features} to {self.base}"

    def request(self) -> dict[str, Any]:
        """Rows that differ, as messages."""
        import numpy as np

        rows = _rows(self.features)
        messages = np.array([_message(rows, number) for number in range(_ROWS)], object)
        return {INPUT: messages}

    def asked(self, run: Run) -> Run:
        """``run`` of the source, which has the new signature as well for the rows of ``request``."""

        def both(signature: str, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
            if signature != self.key:
                return run(signature, arrays)
            answered = run(self.base, _rows(self.features))
            return {new: answered[old] for new, old in self.outputs.items()}

        return both


def add(folder: Path, method: str, wanted: str | None) -> Added:
    """Add a signature called ``method`` to the SavedModel in ``folder``, around the signature ``wanted``.

    A graph of TensorFlow 1 gets more nodes; what TensorFlow 2 wrote is loaded and saved anew. ``ModelError`` for inputs that no
    feature of a fixed length gives, and outputs that the method does not answer with.
    """
    model = saved_model_message()
    model.ParseFromString((folder / PB_NAME).read_bytes())
    if len(model.meta_graphs) != 1:
        raise ModelError("The model has several graphs.", "Choose one with --from-tags.", "--add")
    (graph,) = model.meta_graphs
    base = chosen_key(graph, wanted)
    if method in graph.signature_def:
        raise ModelError(f"There is a signature {method!r} already.", "Rename it with --rename-signature.", "--add")
    definition = graph.signature_def[base]
    added = Added(method, base, _outputs(definition, base, method), _features(definition, base))
    with quiet() as tf:
        try:
            if graph.object_graph_def.nodes:
                _save_anew(tf, folder, added, list(graph.meta_info_def.tags))
            else:
                _graft(tf, graph, added)
                (folder / PB_NAME).write_bytes(model.SerializeToString(deterministic=True))
        except Exception as error:  # of TensorFlow's, by what cannot be loaded, copied or saved
            raise ModelError(
                f"The signature {method} cannot be added: {cause(error)}", "Add it where the model is exported.", "--add"
            ) from error
    return added


def _features(definition: Any, base: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of a row, by input."""
    features = {}
    for name, info in sorted(definition.inputs.items()):
        dtype = (dtype_name(info.dtype) or "").removesuffix("_ref")
        sizes = [dim.size for dim in info.tensor_shape.dim]
        if info.WhichOneof("encoding") != "name" or dtype not in _PARSED or not sizes or sizes[0] != -1 or -1 in sizes[1:]:
            raise ModelError(
                f"The input {name!r} of {base!r} cannot be read from tf.Example: its rows must have a known shape, and a type "
                "that a feature can hold.",
                "Export a signature that parses in its own way, and set its method with --method.",
                base,
            )
        features[name] = (dtype, tuple(sizes[1:]))
    return features


def _outputs(definition: Any, base: str, method: str) -> dict[str, str]:
    """New name to old, of those that the method answers with."""
    found: dict[str, str] = {}
    for new, (dtype, ranks) in CHOSEN[METHODS[method]].items():
        fit = [
            name
            for name, info in definition.outputs.items()
            if dtype_name(info.dtype) == dtype
            and (name == new if info.tensor_shape.unknown_rank else _fits(info.tensor_shape.dim, ranks))
        ]
        named = [name for name in fit if name == new] or fit
        if len(named) == 1:
            found[new] = named[0]
    if not found:
        there = listed(f"{name} ({_spelt(info)})" for name, info in sorted(definition.outputs.items()))
        needs = " or ".join(f"{new} ({dtype})" for new, (dtype, _) in CHOSEN[METHODS[method]].items())
        raise ModelError(
            f"{method} answers with {needs} of {_SHAPES[method]} for each instance; {base!r} gives {there}.",
            f"Say which it is: `--rename-output NAME={next(iter(CHOSEN[METHODS[method]]))}`.",
            base,
        )
    return found


def _spelt(info: Any) -> str:
    """Type and shape of an output, for a message."""
    shape = info.tensor_shape
    sizes = "" if shape.unknown_rank else f" {[None if each.size < 0 else each.size for each in shape.dim]}"
    return f"{dtype_name(info.dtype)}{sizes}"


def _fits(sizes: Any, ranks: tuple[int, ...]) -> bool:
    """Where one number is asked for, a second dimension has one."""
    return len(sizes) in ranks and (1 not in ranks or all(each.size in (1, -1) for each in sizes[1:]))


def _parsed(tf: Any, messages: Any, features: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    specs = {name: tf.io.FixedLenFeature(shape, _PARSED[dtype]) for name, (dtype, shape) in features.items()}
    found = tf.io.parse_example(messages, specs)
    return {name: tf.cast(found[name], dtype) if dtype != "string" else found[name] for name, (dtype, _) in features.items()}


def _save_anew(tf: Any, folder: Path, added: Added, tags: list[str]) -> None:
    loaded = tf.saved_model.load(str(folder), tags=tags)
    base = loaded.signatures[added.base]

    def serve(inputs: Any) -> dict[str, Any]:
        answered = base(**_parsed(tf, inputs, added.features))
        return {new: answered[old] for new, old in added.outputs.items()}

    traced = tf.function(serve).get_concrete_function(inputs=tf.TensorSpec([None], tf.string, INPUT))
    fresh = folder / "anew"
    tf.saved_model.save(loaded, str(fresh), signatures={**loaded.signatures, added.key: traced})
    model = saved_model_message()
    model.ParseFromString((fresh / PB_NAME).read_bytes())
    model.meta_graphs[0].meta_info_def.tags[:] = tags
    model.meta_graphs[0].signature_def[added.key].method_name = METHODS[added.key]
    (fresh / PB_NAME).write_bytes(model.SerializeToString(deterministic=True))
    (fresh / "fingerprint.pb").unlink(missing_ok=True)
    for path in list(folder.iterdir()):
        if path != fresh:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in list(fresh.iterdir()):
        path.rename(folder / path.name)
    fresh.rmdir()


def _graft(tf: Any, graph: Any, added: Added) -> None:
    """Copy the nodes between inputs and outputs, and let the copy read what was parsed; variables and tables are shared."""
    definition = graph.signature_def[added.base]
    nodes = {node.name: node for node in graph.graph_def.node}
    with tf.Graph().as_default() as whole:
        tf.import_graph_def(graph.graph_def, name="")
        messages = tf.compat.v1.placeholder(tf.string, [None], name=f"{added.key}/{INPUT}")
        parsed = _parsed(tf, messages, added.features)
        fed = {definition.inputs[name].name: tensor for name, tensor in parsed.items()}
        between = _between(nodes, {name.partition(":")[0] for name in fed})
        part = type(graph.graph_def)()
        part.versions.CopyFrom(graph.graph_def.versions)
        part.library.CopyFrom(graph.graph_def.library)
        part.node.extend(copied(nodes[name]) for name in nodes if name in between)
        edges = {written for name in between for written in nodes[name].input if not written.startswith("^")}
        outside = [written for written in edges if written.partition(":")[0] not in between]
        full = {written: written if ":" in written else f"{written}:0" for written in outside}
        for node in part.node:
            node.input[:] = [written for written in node.input if not written.startswith("^") or written[1:] in between]
            node.attr.pop("_class", None)
        mapped = {written: fed.get(full[written], whole.get_tensor_by_name(full[written])) for written in outside}
        wanted = [definition.outputs[old].name for old in added.outputs.values()]
        results = tf.import_graph_def(part, input_map=mapped, return_elements=wanted, name=f"{added.key}/copy")
        info = tf.compat.v1.saved_model.build_tensor_info
        signature = tf.compat.v1.saved_model.build_signature_def(
            {INPUT: info(messages)},
            {new: info(tensor) for new, tensor in zip(added.outputs, results, strict=True)},
            METHODS[added.key],
        )
        graph.graph_def.CopyFrom(whole.as_graph_def())
    graph.signature_def[added.key].CopyFrom(signature)


def _between(nodes: Mapping[str, Any], fed: set[str]) -> set[str]:
    """The nodes that depend on those that are fed."""
    readers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for written in node.input:
            readers.setdefault(written.lstrip("^").partition(":")[0], []).append(name)
    found: set[str] = set()
    stack = [reader for name in fed for reader in readers.get(name, ())]
    while stack:
        name = stack.pop()
        if name not in found and name not in fed:
            found.add(name)
            stack += readers.get(name, ())
    return found


def _rows(features: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    from cpr.exporting.values import varied

    return {name: varied(dtype, (None, *shape), _ROWS) for name, (dtype, shape) in features.items()}


def _message(rows: Mapping[str, Any], number: int) -> bytes:
    from cpr.exporting._tensorflow import tensorflow

    tf = tensorflow()
    features = {}
    for name, array in rows.items():
        values = array[number].reshape(-1) if array.ndim > 1 else array[number : number + 1]
        if array.dtype.kind == "O":
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=list(values)))
        elif array.dtype.kind == "f":
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[int(each) for each in values]))
    content: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return content
