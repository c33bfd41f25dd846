"""Example prediction requests for a signature, for people to copy: valid for its dtypes and shapes, and mostly zeros."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from cpr.saved_model.reader import DEFAULT_SIGNATURE, Signature, TensorInfo

SPELT_OUT = 64
"""The most values that anybody would paste."""
_MOST = 2_000_000
"""The most values that an example has: about 10 MB of JSON."""

_NUMBERS = {
    **dict.fromkeys(("float16", "float32", "float64", "bfloat16", "complex64", "complex128"), 0.0),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), 0),
    "bool": False,
}

_COMPLEX = frozenset(("complex64", "complex128"))

_IMAGE_DECODERS = frozenset(("DecodeImage", "DecodeJpeg", "DecodePng"))
"""TensorFlow's readers of images; each of them takes the others' formats, too."""

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg=="
"""A black pixel."""


class Example(NamedTuple):
    """A request for a signature: ``rows`` times ``row``.

    The leaves of ``row`` stand once for all their places: ``cells`` is by input the value and the shape that repeats it.
    ``signature`` is named where the platform's rule would pick another one, and ``bare`` where a row is a single input's value.
    """

    rows: int
    cells: Mapping[str, tuple[Any, tuple[int, ...]]]
    bare: bool
    signature: str | None

    @property
    def size(self) -> int:
        """How many values it has."""
        return self.rows * sum(prod(shape) for _, shape in self.cells.values())

    def to_json(self) -> str:
        """The body of the request."""
        row = {name: _nested(shape, value) for name, (value, shape) in self.cells.items()}
        body: dict[str, Any] = {} if self.signature is None else {"signature_name": self.signature}
        body["instances"] = [next(iter(row.values())) if self.bare else row] * self.rows
        return json.dumps(body)

    def to_python(self) -> str:
        """An expression in Python that makes the body, short whatever its size."""
        cells = {name: _repeated(shape, _literal(value)) for name, (value, shape) in self.cells.items()}
        named = ", ".join(f"{json.dumps(name)}: {cell}" for name, cell in cells.items())
        row = next(iter(cells.values())) if self.bare else f"{{{named}}}"
        signature = "" if self.signature is None else f'"signature_name": {json.dumps(self.signature)}, '
        return f'{{{signature}"instances": [{row}]{f" * {self.rows}" if self.rows > 1 else ""}}}'


def example_request(signatures: Mapping[str, Signature], key: str, decodes: Mapping[str, str] | None = None) -> Example | None:
    """A request for ``signatures[key]``; ``None`` where JSON rows cannot carry its inputs, or no value is known to fit them.

    Zeros, as many rows as the signature takes, unknown dimensions 1. A single input is a bare value, several are an object.
    ``decodes`` names the operation that reads the bytes of an input.
    """
    inputs = signatures[key].inputs
    if any(info.dtype in _COMPLEX for info in signatures[key].outputs.values()):
        return None  # the model runs, and JSON has no way to write what it says
    rows = {size for info in inputs.values() for size in (info.shape or ())[:1] if size is not None}
    if not inputs or len(rows) > 1 or any(info.shape == () for info in inputs.values()):
        return None  # no rows at all, different numbers of them, or an input that has none
    values = {name: _value(name, info, (decodes or {}).get(name)) for name, info in inputs.items()}
    if None in values.values():
        return None
    cells = {name: (value, _inner(inputs[name], 1)) for name, value in values.items()}
    named = key if key != DEFAULT_SIGNATURE and len(signatures) > 1 else None
    example = Example(rows.pop() if rows else 1, cells, len(cells) == 1, named)
    return example if 0 < example.size <= _MOST else None


def example_inputs(signature: Signature, decodes: Mapping[str, str] | None = None) -> dict[str, str] | None:
    """Whole inputs by name, each as JSON text, where rows cannot carry them: scalars. ``None`` where they are too large."""
    values = {name: _value(name, info, (decodes or {}).get(name)) for name, info in signature.inputs.items()}
    size = sum(prod(_inner(info, 0)) for info in signature.inputs.values())
    if not values or None in values.values() or not 0 < size <= SPELT_OUT:
        return None
    return {name: json.dumps(_nested(_inner(signature.inputs[name], 0), value)) for name, value in values.items()}


def _inner(info: TensorInfo, skip: int) -> tuple[int, ...]:
    return tuple(1 if size is None else size for size in (info.shape or ())[skip:])


def _nested(shape: tuple[int, ...], value: Any) -> Any:
    for size in reversed(shape):
        value = [value] * size
    return value


def _repeated(shape: tuple[int, ...], text: str) -> str:
    for size in reversed(shape):
        text = f"[{text}]" if size == 1 else f"[{text}] * {size}"
    return text


def _literal(value: Any) -> str:
    """In Python; JSON's spelling is the same but for false."""
    return repr(value) if isinstance(value, bool) else json.dumps(value)


def _value(name: str, info: TensorInfo, decoder: str | None) -> Any:
    """A value that an input takes; ``None`` where there is none in JSON, or none that is known."""
    dtype = (info.dtype or "").removesuffix("_ref")
    if info.kind is not None:
        return None
    if dtype != "string":
        return _NUMBERS.get(dtype)
    if decoder in _IMAGE_DECODERS:
        return {"b64": _PNG}
    if decoder is not None:
        return None
    return {"b64": "AA=="} if name.endswith("_bytes") else "text"
