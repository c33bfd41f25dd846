"""A Keras model, Keras 2 or 3, from a file or live: one signature in inference mode, saved with what that signature uses.

The optimizer, the metrics and the Python objects stay behind; a server reads none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr.errors import ModelError, UsageError
from cpr.exporting import batching, functions
from cpr.exporting._tensorflow import quiet
from cpr.exporting.saved_models import refuse_tensors
from cpr.exporting.wanted import Made, Wanted
from cpr.interface._failures import cause
from cpr.saved_model.reader import DEFAULT_SIGNATURE


def from_file(path: Path, folder: Path, wanted: Wanted) -> Made:
    """From a ``.keras`` or HDF5 file. ``ModelError`` where Keras cannot load it."""
    refuse_tensors(wanted)
    with quiet() as tf:
        try:
            model = tf.keras.models.load_model(str(path), compile=False)
        except Exception as error:  # ValueError, TypeError, OSError, KeyError, by release and by what is amiss
            raise _unloadable(path, error) from None
    return from_model(model, folder, wanted)


def from_model(model: Any, folder: Path, wanted: Wanted) -> Made:
    """From a model in memory. A subclassed one that never saw data needs ``inputs``: shape and dtype by name."""
    with quiet() as tf:
        if wanted.checkpoint is not None:
            functions.restore(tf, model, wanted.checkpoint)
        specs, structure = _specs(tf, model, wanted.inputs)
        serve = _serving(tf, model, structure)
        traced, notes, rows = functions.traced(tf, serve, specs, wanted.keep_batch)
        functions.save(tf, model, traced, wanted.signature or DEFAULT_SIGNATURE, folder)

    ask = functions.asked(tf, serve, specs)
    chunked = ask if rows is None else batching.in_chunks(ask, rows)
    return Made(tuple(notes), lambda _, arrays: chunked(arrays))


def _unloadable(path: Path, error: Exception) -> ModelError:
    text = cause(error)
    if "No model config" in str(error):
        return ModelError(
            f"{path} has weights alone, not the model.",
            "Build the model in Python, load the weights, and call cpr.export(model, DST).",
            str(path),
        )
    return ModelError(
        f"Keras cannot load {path}: {text}",
        "With classes or functions of your own, load it in Python, custom_objects and all, and call cpr.export(model, DST).",
        str(path),
    )


def _specs(tf: Any, model: Any, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """A spec for each input by name, and the structure in which the model takes them."""
    if wanted:
        specs = {name: functions.spec(tf, name, given) for name, given in wanted.items()}
        return specs, next(iter(specs)) if len(specs) == 1 else {name: name for name in specs}
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise UsageError(
            "The model does not say what it takes.",
            'Say it: cpr.export(model, DST, inputs={"x": ([None, 4], "float32")}).',
            "inputs",
        )
    inner = getattr(model, "_functional", None) or model  # of a Sequential
    structure = getattr(inner, "_inputs_struct", getattr(inner, "_nested_inputs", tensors))  # Keras 3, Keras 2
    if isinstance(structure, Mapping):
        names: Any = {key: key for key in structure}
        flat = [structure[key] for key in names]
    else:
        flat = tf.nest.flatten(structure)
        names = tf.nest.pack_sequence_as(structure, _names(flat))
    order = list(names.values()) if isinstance(structure, Mapping) else tf.nest.flatten(names)
    return {
        name: functions.spec(tf, name, (tuple(tensor.shape), tensor.dtype)) for name, tensor in zip(order, flat, strict=True)
    }, names


def _names(tensors: list[Any]) -> list[str]:
    """Those of the layers, as people see them in ``summary``; a repeated one gets a number."""
    names: list[str] = []
    for tensor in tensors:
        name = str(tensor._keras_history[0].name)
        names.append(name if name not in names else f"{name}_{len(names)}")
    return names


def _serving(tf: Any, model: Any, structure: Any) -> Any:
    """A function of named tensors that gives named tensors."""

    def serve(**given: Any) -> dict[str, Any]:
        if isinstance(structure, Mapping):
            arranged: Any = {key: given[name] for key, name in structure.items()}
        else:
            arranged = tf.nest.map_structure(lambda name: given[name], structure)
            arranged = arranged[0] if isinstance(arranged, (list, tuple)) and len(arranged) == 1 else arranged
        answered = model(arranged, training=False)
        if isinstance(answered, Mapping):
            return dict(answered)
        flat = tf.nest.flatten(answered)
        outputs = list(getattr(model, "outputs", None) or ())
        known = len(outputs) == len(flat) and all(hasattr(each, "_keras_history") for each in outputs)
        return dict(zip(_names(outputs) if known else functions.numbered(flat), flat, strict=True))

    return serve
