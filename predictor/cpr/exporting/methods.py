"""What servers ask of a signature by its method name: predict takes any, classify and regress take ``tf.Example`` messages.

Sources: ``tensorflow_serving/servables/tensorflow/classifier.cc`` and ``regressor.cc``, ``signature_constants.py``.
"""

from __future__ import annotations

from typing import Any

from cpr.errors import ModelError, UsageError
from cpr.exporting.wanted import CLASSIFY, METHODS, REGRESS, listed
from cpr.saved_model.dtypes import dtype_name

INPUT = "inputs"
CHOSEN: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {
    CLASSIFY: {"scores": ("float32", (2,)), "classes": ("string", (2,))},
    REGRESS: {"outputs": ("float32", (1, 2))},
}
"""The outputs of each, with their type and the ranks that they may have."""

_OUTPUTS = {method: tuple(outputs) for method, outputs in CHOSEN.items()}
_TYPES = {name: (dtype,) for outputs in CHOSEN.values() for name, (dtype, _) in outputs.items()}


def set_method(signature: Any, key: str, method: str) -> tuple[dict[str, str], dict[str, str]]:
    """Set the method name of a ``SignatureDef``, and give the new names that its inputs and outputs need for it, by old name.

    ``ModelError`` for a signature that does not take what the method's requests hold, or answers with something else.
    """
    full = METHODS.get(method, method)
    if full not in METHODS.values():
        raise UsageError(f"There is no method {method!r}.", f"Name one of {listed(METHODS)}.", "--method")
    signature.method_name = full
    if full not in _OUTPUTS:
        return {}, {}
    return _inputs(signature, key, method), _outputs(signature, key, full, method)


def _inputs(signature: Any, key: str, method: str) -> dict[str, str]:
    infos = dict(signature.inputs)
    if len(infos) != 1 or dtype_name(next(iter(infos.values())).dtype) != "string":
        taken = listed(f"{name} ({dtype_name(info.dtype)})" for name, info in infos.items())
        raise ModelError(
            f"Requests to {method} hold tf.Example messages, and the signature {key!r} takes {taken}.",
            f"Add a signature that parses them: `--add {method}`.",
            key,
        )
    (name,) = infos
    return {} if name == INPUT else {name: INPUT}


def _outputs(signature: Any, key: str, full: str, method: str) -> dict[str, str]:
    left = {name: dtype_name(info.dtype) or "" for name, info in signature.outputs.items()}
    wanted = _OUTPUTS[full]
    renamed: dict[str, str] = {}
    for name in wanted:
        if name in left:
            fits = left.pop(name) in _TYPES[name]
            if not fits:
                raise _misfit(signature, key, method, wanted)
    for name in wanted:
        if name in signature.outputs:
            continue
        fit = [other for other, dtype in left.items() if dtype in _TYPES[name]]
        if len(fit) == 1:
            renamed[fit[0]] = name
            del left[fit[0]]
    if left or not ({*signature.outputs} & {*wanted} or renamed):
        raise _misfit(signature, key, method, wanted)
    return renamed


def _misfit(signature: Any, key: str, method: str, wanted: tuple[str, ...]) -> ModelError:
    there = listed(f"{name} ({dtype_name(info.dtype)})" for name, info in sorted(signature.outputs.items()))
    needs = " and ".join(f"{name} ({_TYPES[name][0]})" for name in wanted)
    return ModelError(
        f"{method} answers with {needs}, and the signature {key!r} gives {there}.",
        f"Say which is which: `--rename-output NAME={wanted[0]}`; a signature with other outputs is one to predict.",
        key,
    )
