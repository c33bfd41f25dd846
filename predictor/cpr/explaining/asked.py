"""What a request wants explained, beside its instances: by keys of our own, or by Vertex AI's.

``explanation``: an object with any of ``method`` (``integrated-gradients``, the default, or ``sampled-shapley``), ``steps``
(1 to 1000, default 50), ``most_steps`` (where those are not exact enough; default 5000), ``paths`` (1 to 1000, default 50),
``output`` (a name), ``output_index`` (a whole number, or a list of them for an output of more dimensions), ``top_k`` (that many
outputs, the highest first; -1: all) and ``baselines`` (by input: what an instance is compared with, a row's value or one number
for all of it).

``explanationSpecOverride``: Vertex AI's message of that name; its attribution method chooses the method here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cpr.errors import RequestError
from cpr.explaining.values import INTEGRATED_GRADIENTS, SAMPLED_SHAPLEY
from cpr.resources import suggestion

KEY, OVERRIDE = "explanation", "explanationSpecOverride"
_METHODS = (INTEGRATED_GRADIENTS, SAMPLED_SHAPLEY)
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """The choices of a request; ``None`` where it leaves one to the model."""

    method: str = INTEGRATED_GRADIENTS
    steps: int = 50
    most_steps: int = 5000
    paths: int = 50
    output: str | None = None
    output_index: tuple[int, ...] | None = None
    top_k: int = 1
    baselines: Mapping[str, Any] = field(default_factory=dict)


def taken(request: dict[str, Any]) -> Asked:
    """The choices in a request, whose keys are taken out of it. ``RequestError`` names one that is wrong."""
    override = _object(request.pop(OVERRIDE, None), OVERRIDE)
    own = _object(request.pop(KEY, None), KEY)
    return parsed({**_from_vertex(override), **own})


def parsed(choices: Mapping[str, Any]) -> Asked:
    """The same from the keys of ``explanation`` alone."""
    known = Asked.__slots__
    for name in choices:
        if name not in known:
            raise RequestError(
                f"explanation has no key {name!r}.", suggestion(str(name), known, "It has the keys"), f"{KEY}.{name}"
            )
    values = dict(choices)
    if values.setdefault("method", INTEGRATED_GRADIENTS) not in _METHODS:
        raise RequestError(
            f"There is no method {values['method']!r} here.", f"Choose {' or '.join(_METHODS)}.", f"{KEY}.method"
        )
    for name, most in (("steps", _MOST), ("most_steps", 100 * _MOST), ("paths", _MOST)):
        _number(values, name, 1, most)
    _number(values, "top_k", -1, 10**6)
    if values.get("top_k") == 0:
        raise RequestError("top_k is 0.", "Give the number of outputs to explain, or -1 for all.", f"{KEY}.top_k")
    if not isinstance(values.get("output", ""), str):
        raise RequestError("output is not a name.", "Name one of the signature's outputs.", f"{KEY}.output")
    values["baselines"] = _object(values.get("baselines"), f"{KEY}.baselines")
    if values.get("output_index") is not None:
        values["output_index"] = _index(values["output_index"])
    return Asked(**values)


def _from_vertex(override: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    parameters = _object(override.get("parameters"), f"{OVERRIDE}.parameters")
    for key, method, number, name in (
        ("integratedGradientsAttribution", INTEGRATED_GRADIENTS, "stepCount", "steps"),
        ("sampledShapleyAttribution", SAMPLED_SHAPLEY, "pathCount", "paths"),
    ):
        if key in parameters:
            found["method"] = method
            given = _object(parameters[key], f"{OVERRIDE}.parameters.{key}").get(number)
            found |= {} if given is None else {name: given}
    if "xraiAttribution" in parameters:
        raise RequestError("XRAI is not computed here.", f"Choose {' or '.join(_METHODS)}.", f"{OVERRIDE}.parameters")
    if "topK" in parameters:
        found["top_k"] = parameters["topK"]
    indices = parameters.get("outputIndices")
    if indices:
        if not isinstance(indices, list) or len(indices) != 1:
            raise RequestError("outputIndices names several outputs.", "Name one, or take topK.", f"{OVERRIDE}.parameters")
        found["output_index"] = indices[0]
    metadata = _object(override.get("metadata"), f"{OVERRIDE}.metadata")
    for name, each in _object(metadata.get("inputs"), f"{OVERRIDE}.metadata.inputs").items():
        baselines = _object(each, f"{OVERRIDE}.metadata.inputs.{name}").get("inputBaselines")
        if isinstance(baselines, list) and baselines:
            found.setdefault("baselines", {})[name] = baselines[0]
    return found


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RequestError(f"{where} is not an object.", f'Send "{where.rpartition(".")[2]}": {{"key": value}}.', where)
    return value


def _number(values: Mapping[str, Any], name: str, least: int, most: int) -> None:
    value = values.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RequestError(f"{name} is {str(value)[:40]}.", f"Give a whole number from {least} to {most}.", f"{KEY}.{name}")


def _index(value: Any) -> tuple[int, ...]:
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, int) and not isinstance(part, bool) for part in parts):
        raise RequestError(
            "output_index is not a whole number, nor a list of them.",
            "Give the place of one value in the output's row.",
            f"{KEY}.output_index",
        )
    return tuple(parts)
