"""The inputs of a signature as features: what they are, what they are compared with, and what they range over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cpr.errors import ModelError, UsageError
from cpr.resources import suggestion
from cpr.saved_model import Signature, TensorInfo

NUMERIC, IMAGE, TEXT, CATEGORICAL = "numeric", "image", "text", "categorical"
MODALITIES = (NUMERIC, IMAGE, TEXT, CATEGORICAL)
RULES = ("median", "mean", "zeros")

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_CHANNELS = (1, 3, 4)
_MAPPED = ("bag_of_features", "bag_of_features_sparse", "indicator")
ENCODINGS = ("identity", *_MAPPED)
"""Those that need no further tensor of the graph: an embedding's cannot be told from a signature."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user decides: the baseline's rule; by input modality, encoding, names of a vector's values; groups by name."""

    baseline: str = "median"
    modalities: Mapping[str, str] = field(default_factory=dict)
    encodings: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Feature:
    """One input. ``baseline`` is a row's value, or one number for all of it; ``rule`` says where it comes from."""

    name: str
    tensor: TensorInfo
    modality: str
    encoding: str
    names: tuple[str, ...]
    baseline: Any
    rule: str
    domain: tuple[float, float] | None = None
    group: str | None = None

    @property
    def differentiable(self) -> bool:
        return self.tensor.dtype in _FLOATS


def describe(signature: Signature, samples: Mapping[str, Any], wishes: Wishes) -> tuple[Feature, ...]:
    """The features of a signature's inputs; ``samples`` are arrays by input, none where there is no data.

    ``ModelError`` for an input that is made of several tensors, ``UsageError`` for a wish that fits no input.
    """
    for name, tensor in signature.inputs.items():
        if tensor.kind is not None:
            raise ModelError(
                f"The input {name!r} is a {tensor.kind} tensor, made of several.",
                "Explain a signature whose inputs are dense.",
                name,
            )
    groups = _groups(signature, wishes)
    for option, wished in (("--modality", wishes.modalities), ("--encoding", wishes.encodings), ("--features", wishes.names)):
        for name in wished:
            _known(name, signature, option)
    return tuple(
        _feature(name, tensor, samples.get(name), wishes, groups.get(name)) for name, tensor in signature.inputs.items()
    )


def _feature(name: str, tensor: TensorInfo, rows: Any, wishes: Wishes, group: str | None) -> Feature:
    modality = wishes.modalities.get(name) or _modality(tensor, rows)
    names = wishes.names.get(name, ())
    encoding = wishes.encodings.get(name, "bag_of_features" if names else "identity")
    _check_names(name, tensor, encoding, names)
    baseline, rule = _baseline(tensor, rows, modality, wishes.baseline)
    return Feature(name, tensor, modality, encoding, names, baseline, rule, _domain(tensor, rows), group)


def _modality(tensor: TensorInfo, rows: Any) -> str:
    if tensor.dtype == "string":
        return TEXT if rows is None or _all_different(rows) else CATEGORICAL
    shape = tensor.shape
    if shape is not None and len(shape) == 4 and shape[3] in _CHANNELS:
        return IMAGE
    return NUMERIC if tensor.dtype in _FLOATS else CATEGORICAL


def _all_different(rows: Any) -> bool:
    values = rows.ravel().tolist()
    return len(set(values)) > len(values) / 2


def _check_names(name: str, tensor: TensorInfo, encoding: str, names: tuple[str, ...]) -> None:
    if encoding in _MAPPED and not names:
        raise UsageError(
            f"The encoding {encoding} of {name!r} needs names.", f"Give them: --features {name}=a,b,c.", "--encoding"
        )
    width = tensor.shape[-1] if tensor.shape is not None and len(tensor.shape) == 2 else None
    if names and (tensor.shape is None or len(tensor.shape) != 2 or (width is not None and width != len(names))):
        shape = "of unknown rank" if tensor.shape is None else f"of shape {list(tensor.shape)}"
        raise UsageError(
            f"There are {len(names)} names for the input {name!r} {shape}.",
            "Give one for each value of a vector.",
            "--features",
        )


def _baseline(tensor: TensorInfo, rows: Any, modality: str, rule: str) -> tuple[Any, str]:
    if modality == IMAGE and tensor.dtype != "string":
        return (0.0 if tensor.dtype in _FLOATS else 0), "black: zeros"
    if tensor.dtype == "string":
        if rows is None or modality == TEXT:
            return "", "the empty text"
        return _most_frequent(rows), "the most frequent in the data"
    if tensor.dtype == "bool":
        return (False, "false, for want of data") if rows is None else (_most_frequent(rows), "the most frequent in the data")
    if rows is None or rule == "zeros":
        return (0.0 if tensor.dtype in _FLOATS else 0), "zeros" if rule == "zeros" else "zeros, for want of data"
    if modality == CATEGORICAL:
        return _most_frequent(rows), "the most frequent in the data"
    return _middle(rows, rule, tensor), f"the {rule} of the data"


def _middle(rows: Any, rule: str, tensor: TensorInfo) -> Any:
    """By place in a row; one number where rows may have other shapes."""
    free = tensor.shape is None or any(size is None for size in tensor.shape[1:])
    values = np.asarray(rows, np.float64)
    middle = (np.median if rule == "median" else np.mean)(values, axis=None if free else 0)
    if tensor.dtype not in _FLOATS:
        return np.rint(middle).astype(int).tolist()
    return _rounded(middle)


def _rounded(values: Any) -> Any:
    """As many digits as 32 bits have, and no more for their own sake."""
    listed = np.asarray(values, np.float64).tolist()
    return [_rounded(item) for item in listed] if isinstance(listed, list) else float(f"{listed:.7g}")


def _most_frequent(rows: Any) -> Any:
    """By place in a row; the first of several in order of value, so that it is the same on every run."""
    if rows.ndim > 1:
        return [_most_frequent(rows[:, index]) for index in range(rows.shape[1])]
    values = rows.tolist()
    best = max(sorted(set(values)), key=values.count)
    return best.decode("utf-8", "replace") if isinstance(best, bytes) else best


def _domain(tensor: TensorInfo, rows: Any) -> tuple[float, float] | None:
    if rows is None or tensor.dtype in ("string", "bool") or not rows.size or not np.isfinite(rows).all():
        return None
    return _rounded(rows.min()), _rounded(rows.max())


def _groups(signature: Signature, wishes: Wishes) -> dict[str, str]:
    found: dict[str, str] = {}
    for group, members in wishes.groups.items():
        for name in members:
            _known(name, signature, "--group")
            if name in found:
                raise UsageError(f"The input {name!r} is in two groups.", "Put it into one.", "--group")
            found[name] = group
    return found


def _known(name: str, signature: Signature, option: str) -> None:
    if name not in signature.inputs:
        raise UsageError(f"The signature has no input {name!r}.", suggestion(name, signature.inputs, "Its inputs are"), option)
