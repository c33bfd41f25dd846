"""Rows of a request to the tensors of a signature, and a signature's outputs back to rows. NumPy only.

A *row* is one instance: a bare value (number, text, nested list, array) where the signature has one input,
otherwise an object ``{input name: value}``, which a signature with one input takes as well. How values become
tensors is told in :mod:`cpr.interface.columns`.
"""

from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple

import numpy as np

from cpr.errors import ModelError, PredictorError, RequestError
from cpr.interface.b64 import encode_b64, is_b64
from cpr.interface.columns import Misfit, Tensor, column, describe, shorten, spell, whole


def to_tensors(data: Any, inputs: Sequence[Tensor], count: int) -> Dict[str, Any]:
    """The arrays to run, by input name, for ``count`` instances.

    ``data`` is a list of rows, one array for a signature with one input, or a dict of arrays by input name. A row that
    does not fit is the caller's fault (:class:`~cpr.errors.RequestError`, with the row's place); an array that does not,
    or another number of rows, is that of ``preprocess`` (:class:`~cpr.errors.PredictorError`). String arrays have dtype
    object and hold bytes; bfloat16 comes as float32.
    """
    if isinstance(data, Mapping):
        return _from_columns(data, inputs)
    if isinstance(data, (list, tuple)):
        _check_count(len(data), count)
        return {tensor.name: _from_rows(data, tensor, inputs) for tensor in inputs}
    if not hasattr(data, "__array__"):
        raise _bad_columns(describe(data))
    if len(inputs) != 1:
        raise _bad_columns("one array, but the signature has the inputs {}".format(_names(inputs)))
    if np.ndim(data) == 0:
        raise _bad_columns("an array without dimensions")
    arrays = _from_columns({inputs[0].name: data}, inputs)
    _check_count(len(arrays[inputs[0].name]), count)
    return arrays


def to_rows(outputs: Mapping[str, Any], count: int) -> List[Any]:
    """Outputs by name, each an array whose first dimension is ``count``, as one row for each instance.

    One output gives bare values, several give ``{name: value}``. A string output whose name ends in ``_bytes``
    becomes ``{"b64": …}``, any other text; bytes that are not UTF-8 raise :class:`~cpr.errors.ModelError`. An output without
    dimensions is the row of the only instance, where there is one: so the platform has it, for graphs that squeeze too much.
    """
    columns = {name: _listed(name, array, count) for name, array in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _from_rows(rows: Sequence[Any], tensor: Tensor, inputs: Sequence[Tensor]) -> Any:
    if len(inputs) == 1 and not any(isinstance(row, dict) for row in rows):
        values = list(rows)
    else:
        values = [_value(index, row, tensor, inputs) for index, row in enumerate(rows)]
    _check_batch(tensor, len(rows))
    try:
        return column(values, tensor)
    except Misfit as misfit:
        index, what = _first_misfit(values, tensor, str(misfit))
    place = "instances[{}]".format(index)
    raise RequestError(
        "{}, input {!r}: {}.".format(place, tensor.name, what), "Send {} for each instance.".format(_expected(tensor, 1)), place
    )


def _value(index: int, row: Any, tensor: Tensor, inputs: Sequence[Tensor]) -> Any:
    """What ``row`` has for ``tensor``."""
    if len(inputs) == 1 and (not isinstance(row, dict) or (tensor.dtype == "string" and is_b64(row))):
        return row
    names = {each.name for each in inputs}
    if not isinstance(row, dict):
        what = "is {}, but the signature has {} inputs: {}".format(describe(row), len(inputs), _names(inputs))
    elif not names.issuperset(row):
        extra = min(str(key) for key in row if key not in names)
        what = "has the key {}; the signature's inputs are: {}".format(shorten(extra), _names(inputs))
    elif tensor.name not in row:
        what = "has no value for the input {!r}".format(tensor.name)
    else:
        return row[tensor.name]
    place = "instances[{}]".format(index)
    sketch = ", ".join('"{}": …'.format(each.name) for each in inputs)
    raise RequestError("{} {}.".format(place, what), "Send each instance as an object: {{{}}}.".format(sketch), place)


def _check_batch(tensor: Tensor, count: int) -> None:
    if tensor.shape is None:
        return
    if not tensor.shape:
        raise ModelError(
            "The input {!r} is a scalar: it has no batch dimension, so instances cannot carry it.".format(tensor.name),
            "Return a dict of arrays from preprocess, or export a signature without that input.",
            tensor.name,
        )
    size = tensor.shape[0]
    if size is not None and size != count:
        raise RequestError(
            "The signature takes exactly {} instances at a time (input {!r}); there are {}.".format(size, tensor.name, count),
            "Send {} instances, or export the model with an unknown batch dimension (None).".format(size),
            "instances",
        )


def _first_misfit(values: List[Any], tensor: Tensor, what: str) -> Tuple[int, str]:
    """The first row to blame for a column that did not convert, and what is wrong with it."""
    shapes = []
    free = tensor if tensor.shape is None else tensor._replace(shape=(None, *tensor.shape[1:]))
    for index, value in enumerate(values):
        try:
            shapes.append(list(column([value], free).shape[1:]))
        except Misfit as misfit:
            return index, str(misfit)
        if shapes[index] != shapes[0]:
            return index, "its shape is {}, that of instances[0] is {}".format(shapes[index], shapes[0])
    return 0, what


def _from_columns(columns: Mapping[Any, Any], inputs: Sequence[Tensor]) -> Dict[str, Any]:
    if set(columns) != {tensor.name for tensor in inputs}:
        raise _bad_columns("arrays for {}; the signature's inputs are: {}".format(sorted(map(str, columns)), _names(inputs)))
    return {tensor.name: _whole(columns[tensor.name], tensor) for tensor in inputs}


def _check_count(found: int, count: int) -> None:
    if found != count:
        raise _bad_columns("{} rows for {} instances".format(found, count))


def _whole(value: Any, tensor: Tensor) -> Any:
    try:
        return whole(value, tensor)
    except Misfit as misfit:
        raise PredictorError(
            "preprocess returned a wrong array for the input {!r}: {}.".format(tensor.name, misfit),
            "Return {}.".format(_expected(tensor, 0)),
            "preprocess",
        ) from None


def _bad_columns(what: str) -> PredictorError:
    return PredictorError(
        "preprocess returned {}.".format(what),
        "Return a list with one row for each instance, or a dict of arrays by input name.",
        "preprocess",
    )


def _listed(name: str, array: Any, count: int) -> List[Any]:
    if array.ndim == 0 and count == 1:
        array = array.reshape(1)
    if array.ndim == 0 or len(array) != count:
        raise ModelError(
            "The output {!r} has the shape {} for {} instances. (AI Platform answers: Bad output from running tensorflow "
            "session: outputs had differing sizes in the batch (outer) dimension.)".format(name, list(array.shape), count),
            "Export a signature whose outputs all have one row for each instance; arrays from preprocess need the same.",
            name,
        )
    if array.dtype.kind == "O":
        array = _texts(name, array)
    elif array.dtype.kind == "V":  # bfloat16 and other types that NumPy itself does not know
        array = array.astype(np.float32)
    rows: List[Any] = array.tolist()
    return rows


def _texts(name: str, array: Any) -> Any:
    show: Callable[[bytes], Any] = encode_b64 if name.endswith("_bytes") else bytes.decode
    texts = np.empty(array.size, object)
    for index, value in enumerate(array.ravel().tolist()):
        try:
            texts[index] = show(value)
        except UnicodeDecodeError:
            raise ModelError(
                "The output {!r} holds bytes that are not UTF-8 text: {}.".format(name, shorten(value)),
                "Name the output so that it ends in _bytes (it is then sent as base64), or encode it in the graph.",
                name,
            ) from None
    return texts.reshape(array.shape)


def _names(inputs: Iterable[Tensor]) -> str:
    return ", ".join(repr(tensor.name) for tensor in inputs)


def _expected(tensor: Tensor, skip: int) -> str:
    what = "text or bytes" if tensor.dtype == "string" else tensor.dtype
    if tensor.shape is None:
        return what
    shape = tensor.shape[skip:]
    return "{} of shape {}".format(what, spell(shape)) if shape else "one {} value".format(what)
