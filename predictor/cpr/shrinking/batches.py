"""The rows that two models are compared on: golden examples, arrays of a file, or made up where there is nothing better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr.errors import RequestError, UsageError

if TYPE_CHECKING:
    from cpr.interface._signature import Signature

_AT_ONCE = 64
"""Rows of a file of arrays that are run together, where the signature takes any number."""

_MADE = 4


class Batch(NamedTuple):
    """Input arrays by name. ``made_up``: they are no data of the user's, so what a model answers them says little."""

    inputs: dict[str, Any]
    made_up: bool = False


def batches_for(signature: Signature, examples: Path | None, data: Path | None, default: str) -> list[Batch]:
    """What to run a signature on. ``default`` is the signature that examples mean which name none.

    Examples and data are for every signature with the inputs that they have; another one gets rows that are made up.
    ``RequestError`` for data that does not fit the signature which it is for.
    """
    if examples is not None:
        found = list(_of_examples(signature, examples, default))
        if found:
            return found
    if data is not None:
        arrays = _arrays(data, signature)
        if arrays.keys() == {tensor.name for tensor in signature.inputs}:
            return list(_split(signature, arrays))
    return list(_made_up(signature))


def _of_examples(signature: Signature, path: Path, default: str) -> Iterator[Batch]:
    from cpr.examples import read_examples
    from cpr.interface import rows

    for example in read_examples(path):
        meant = example.request.get("signature_name") or default
        instances = example.request["instances"]
        try:
            yield Batch(rows.to_tensors(list(instances), signature.inputs, len(instances)))
        except RequestError as error:
            if meant != signature.name:
                return
            raise RequestError(
                f"The example does not fit the signature {meant!r} of the SavedModel: {error.message}",
                "Examples of a routine are what its Python takes. Take --data with what the SavedModel itself takes.",
                f"{path}:{example.line}",
            ) from None


def _arrays(path: Path, signature: Signature) -> dict[str, Any]:
    """The arrays of a ``.npz`` by name; that of a ``.npy`` for the only input."""
    from cpr.arrays import array_names, read_array

    names = array_names(path)
    if names is None:
        if len(signature.inputs) != 1:
            return {}
        return {signature.inputs[0].name: read_array(path)}
    return {name: read_array(path, name) for name in names}


def _split(signature: Signature, arrays: Mapping[str, Any]) -> Iterator[Batch]:
    from cpr.interface.columns import Misfit, whole

    fitted = {}
    for tensor in signature.inputs:
        try:
            fitted[tensor.name] = whole(arrays[tensor.name], tensor)
        except Misfit as misfit:
            raise RequestError(f"The input {tensor.name!r}: {misfit}.", "Save arrays that the signature takes.") from None
    sizes = {array.shape[:1] for array in fitted.values()}
    free = all(tensor.shape is not None and tensor.shape[:1] == (None,) for tensor in signature.inputs)
    if not free or len(sizes) != 1 or sizes == {(0,)}:
        if sizes == {(0,)}:
            raise RequestError("The data has no row.", "Save the rows to compare the answers on.")
        yield Batch(fitted)
        return
    for start in range(0, sizes.pop()[0], _AT_ONCE):
        yield Batch({name: array[start : start + _AT_ONCE] for name, array in fitted.items()})


def _made_up(signature: Signature) -> Iterator[Batch]:
    """Zeros and ones for integers, which are within every vocabulary; normal numbers; short texts. Always the same."""
    import numpy as np

    random = np.random.default_rng(0)
    inputs: dict[str, Any] = {}
    for tensor in signature.inputs:
        if tensor.dtype[:1].isupper():
            return
        sizes: Sequence[int | None] = (None,) if tensor.shape is None else tensor.shape
        shape = [size if size is not None else _MADE if axis == 0 else 3 for axis, size in enumerate(sizes)]
        if tensor.dtype == "string":
            inputs[tensor.name] = np.array(random.choice([b"", b"a", b"the"], shape), object)
        elif tensor.dtype.startswith(("float", "bfloat", "complex")):
            dtype = "float32" if tensor.dtype == "bfloat16" else tensor.dtype
            inputs[tensor.name] = random.normal(size=shape).astype(dtype)
        else:
            try:
                inputs[tensor.name] = random.integers(0, 2, shape).astype(tensor.dtype)
            except TypeError:
                return
    yield Batch(inputs, made_up=True)


def check_source(examples: Path | None, data: Path | None) -> None:
    """``UsageError`` where both are given, or one is not there."""
    if examples is not None and data is not None:
        raise UsageError("Examples and data are given.", "Name one of them.", "--data")
    for option, path in (("--examples", examples), ("--data", data)):
        if path is not None and not path.is_file():
            raise UsageError(f"{option} names no file.", "Check the path.", str(path))
