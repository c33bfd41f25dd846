"""What servers ask of a signature by its method name: predict takes any, classify and regress take ``tf.Example`` messages.

Sources: ``tensorflow_serving/servables/tensorflow/classifier.cc`` and ``regressor.cc``, ``signature_constants.py``.
"""

from __future__ import annotations

from typing import Any

from cpr.errors import ModelError, UsageError
from cpr.exporting.wanted import CLASSIFY, METHODS, REGRESS, listed
from cpr.saved_model.dtypes import dtype_name

_INPUT = "inputs"
_OUTPUTS = {CLASSIFY: ("scores", "classes"), REGRESS: ("outputs",)}
_TYPES = {"scores": ("float32",), "classes": ("string",), "outputs": ("float32",)}


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
            "Name a signature that parses them with --signature.",
            key,
        )
    (name,) = infos
    return {} if name == _INPUT else {name: _INPUT}


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
