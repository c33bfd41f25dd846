"""A live ``tf.Module``, or another object that TensorFlow tracks, with a function that is to be served."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cpr.errors import UsageError
from cpr.exporting import batching, functions
from cpr.exporting._tensorflow import quiet
from cpr.exporting.wanted import Made, Wanted, listed
from cpr.saved_model.reader import DEFAULT_SIGNATURE

_USUAL = ("serve", "__call__", "call", "predict")


def from_module(module: Any, folder: Path, wanted: Wanted) -> Made:
    """Save the module with its function as the signature; the other functions and all variables stay with it."""
    with quiet() as tf:
        if wanted.checkpoint is not None:
            functions.restore(tf, module, wanted.checkpoint)
        function, called = _function(tf, module, wanted.function)
        specs, positional = _specs(tf, function, called, wanted.inputs)
        serve = _serving(tf, function, list(specs), positional)
        traced, notes, rows = functions.traced(tf, serve, specs, wanted.keep_batch)
        tf.saved_model.save(module, str(folder), signatures={wanted.signature or DEFAULT_SIGNATURE: traced})

    ask = functions.asked(tf, serve, specs)
    chunked = ask if rows is None else batching.in_chunks(ask, rows)
    return Made((f"function: {called}", *notes), lambda _, arrays: chunked(arrays))


def _function(tf: Any, module: Any, wanted: Any) -> tuple[Any, str]:
    """The function and its name: the one asked for, else the only one with an input signature, else the usual one."""
    if callable(wanted):
        return wanted, getattr(wanted, "__name__", "function")
    there = _functions(module)
    if wanted is not None:
        if wanted not in there:
            raise UsageError(f"There is no function {wanted!r}; there are: {listed(there)}.", "Name one.", "function")
        return there[wanted], wanted
    signed = {name: each for name, each in there.items() if getattr(each, "input_signature", None) is not None}
    usual = [name for name in _USUAL if name in (signed or there)]
    names = list(signed) if len(signed) == 1 else usual[:1]
    if not names:
        raise UsageError(
            f"The object does not say which function to serve; it has {listed(there)}.",
            'Name it: cpr.export(module, DST, function="serve").',
            "function",
        )
    return there[names[0]], names[0]


def _functions(module: Any) -> dict[str, Any]:
    """What was decorated with ``tf.function``, by name."""
    found = {}
    for name in dir(type(module)) + list(vars(module)):
        if name.startswith("__") and name != "__call__":
            continue
        each = inspect.getattr_static(module, name, None)
        if hasattr(each, "get_concrete_function"):
            found[name] = getattr(module, name)
    return found


def _specs(tf: Any, function: Any, called: str, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """A spec for each tensor, by name: those ``wanted``, else those that it was decorated with or traced for.

    Gives also the structure of the positional arguments, whose tensors come first.
    """
    if wanted:
        return {name: functions.spec(tf, name, given) for name, given in wanted.items()}, ()
    restored = list(getattr(function, "concrete_functions", None) or [])  # of a SavedModel that was loaded
    known = restored[0] if len(restored) == 1 else function
    positional, named = getattr(known, "structured_input_signature", (getattr(known, "input_signature", None) or (), {}))
    flat = [*tf.nest.flatten(positional), *named.values()]
    if not flat:
        raise UsageError(
            f"The function {called} does not say what it takes.",
            'Decorate it with tf.function(input_signature=…), or say it: inputs={"x": ([None, 4], "float32")}.',
            "inputs",
        )
    for each in flat:
        if not isinstance(each, tf.TensorSpec):
            raise UsageError(
                f"The function {called} takes a {type(each).__name__}, which no request can hold.",
                "Serve a function of plain tensors that makes it.",
                "function",
            )
    names = _names(tf, function, positional, named, flat)
    return {name: tf.TensorSpec(each.shape, each.dtype, name) for name, each in zip(names, flat, strict=True)}, positional


def _names(tf: Any, function: Any, positional: Any, named: Mapping[str, Any], flat: list[Any]) -> list[str]:
    """Of the arguments; of a mapping among them its keys; else as TensorFlow gives them."""
    arguments = _arguments(function)
    names: list[str] = []
    for number, each in enumerate(positional):
        known = arguments[number] if number < len(arguments) else getattr(each, "name", None) or f"input_{number}"
        parts = sorted(each) if isinstance(each, Mapping) else [known]
        count = len(tf.nest.flatten(each))
        names += parts if len(parts) == count else [f"{known}_{part}" for part in range(count)]
    names += list(named)
    return names if len(set(names)) == len(flat) else [f"input_{number}" for number in range(len(flat))]


def _arguments(function: Any) -> list[str]:
    try:
        found = inspect.signature(getattr(function, "python_function", function)).parameters
    except (TypeError, ValueError):
        return []
    return [name for name, each in found.items() if name != "self" and each.kind is each.POSITIONAL_OR_KEYWORD]


def _serving(tf: Any, function: Any, names: list[str], positional: Any) -> Callable[..., dict[str, Any]]:
    """A function of named tensors that gives named tensors, and may be traced for other shapes."""
    plain = getattr(function, "python_function", function)
    first = names[: len(tf.nest.flatten(positional))]

    def serve(**given: Any) -> dict[str, Any]:
        arguments = tf.nest.pack_sequence_as(positional, [given[name] for name in first])
        answered = plain(*arguments, **{name: each for name, each in given.items() if name not in first})
        if isinstance(answered, Mapping):
            return dict(answered)
        flat = tf.nest.flatten(answered)
        return dict(zip(functions.numbered(flat), flat, strict=True))

    return serve
