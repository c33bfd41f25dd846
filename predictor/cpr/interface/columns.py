"""One input over all rows: nested lists or arrays to an array of the input's dtype. NumPy only.

Nothing is guessed: a value becomes a tensor only where no information is lost. The rules by dtype of the input:

========  ==================================================================================================
float*    int or float within range, NaN and infinities included; rounded to the input's precision
int*      int within range, or a float that is a whole number (some JSON writers add ``.0``)
bool      true or false
string    str (as UTF-8), bytes, or ``{"b64": …}``
complex*  int, float or complex, as for float*
========  ==================================================================================================
"""

import itertools
from typing import Any, Callable, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np

from cpr.errors import ModelError, RequestError
from cpr.interface.b64 import decode_b64, is_b64

Shape = Tuple[Optional[int], ...]


class Tensor(NamedTuple):
    """One input of a signature.

    ``dtype`` as TensorFlow spells it (``float32``, ``string``); ``shape`` with the batch dimension first, ``None``
    in it where a dimension is unknown, ``None`` for it where even the rank is.
    """

    name: str
    dtype: str
    shape: Optional[Shape]


class Misfit(Exception):
    """A value that does not fit its input; the text says how, without a full stop."""


def column(values: List[Any], tensor: Tensor) -> Any:
    """``values``, one for each row, as an array of shape ``(rows, …)``; a :class:`Misfit` where that cannot be."""
    return _array(values, tensor, skip=1)


def whole(value: Any, tensor: Tensor) -> Any:
    """``value``, an array or nested lists with the batch dimension included, as an array of the input's dtype."""
    return _array(value, tensor, skip=0)


def describe(value: Any) -> str:
    """What ``value`` is, in a word or two, for an error."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, complex)):
        return "the number " + shorten(value)
    if isinstance(value, str):
        return "the text " + shorten(value)
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "a value of type " + type(value).__name__


def shorten(value: Any) -> str:
    """``repr(value)``, cut to a length that fits a line."""
    if isinstance(value, int) and value.bit_length() > 128:  # printing it in full is slow, and refused beyond 4300 digits
        return "of {} bits".format(value.bit_length())
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "…"


def spell(shape: Iterable[Optional[int]]) -> str:
    """A shape for people: ``[?, 4]``."""
    return "[{}]".format(", ".join("?" if size is None else str(size) for size in shape))


Leaves = Union[List[Any], "np.ndarray[Any, Any]"]
"""All values of a column in order: Python values, or a one-dimensional array of numbers or booleans."""


def _array(value: Any, tensor: Tensor, skip: int) -> Any:
    convert, dtype = _converter(tensor)
    leaves, shape = _flatten(value)
    if tensor.shape is not None:
        shape = _fill_empty(shape, tensor.shape)
        _check_shape(shape[skip:], tensor.shape[skip:])
    if len(shape) > 32:  # NumPy's limit up to 1.26
        raise Misfit("it is nested {} deep, and 32 is the most".format(len(shape)))
    return convert(leaves, dtype).reshape(shape)


def _flatten(value: Any) -> Tuple[Leaves, Tuple[int, ...]]:
    """The leaves of nested lists or arrays in order, and the shape they had."""
    if hasattr(value, "__array__"):
        return _unravel(np.asarray(value))
    if isinstance(value, (list, tuple)) and value and all(hasattr(item, "__array__") for item in value):
        items = [np.asarray(item) for item in value]
        if len({item.shape for item in items}) == 1 and len({item.dtype.kind for item in items}) == 1:
            return _unravel(np.stack(items))
    return _flatten_lists(value)


def _unravel(array: Any) -> Tuple[Leaves, Tuple[int, ...]]:
    flat = array.ravel()
    return (flat if array.dtype.kind in "biufc" else flat.tolist()), array.shape


def _flatten_lists(value: Any) -> Tuple[List[Any], Tuple[int, ...]]:
    level = [value]
    shape: List[int] = []
    while True:
        types = set(map(type, level))  # types and not values are looked at, so that a large input costs little
        if any(hasattr(cls, "__array__") for cls in types):
            level = [np.asarray(item).tolist() if hasattr(item, "__array__") else item for item in level]
            types = set(map(type, level))
        lists = {cls for cls in types if issubclass(cls, (list, tuple))}
        if not lists:
            return level, tuple(shape)
        if lists != types:
            raise Misfit("lists and single values are mixed at one depth")
        lengths = set(map(len, level))
        if len(lengths) > 1:
            raise Misfit("its lists have different lengths: {}".format(", ".join(map(str, sorted(lengths)))))
        shape.append(lengths.pop())
        level = list(itertools.chain.from_iterable(level))


def _fill_empty(shape: Tuple[int, ...], wanted: Shape) -> Tuple[int, ...]:
    """An empty list does not say how deep it would have been: take the missing dimensions from the signature."""
    if 0 in shape and len(shape) < len(wanted):
        return shape + tuple(size or 0 for size in wanted[len(shape) :])
    return shape


def _check_shape(shape: Sequence[int], wanted: Shape) -> None:
    if len(shape) != len(wanted) or any(want is not None and size != want for size, want in zip(shape, wanted)):
        raise Misfit("its shape is {} where {} is expected".format(list(shape), spell(wanted)))


def _converter(tensor: Tensor) -> Tuple[Callable[[Leaves, Any], Any], Any]:
    if tensor.dtype == "string":
        return _strings, np.dtype(object)
    if tensor.dtype == "bool":
        return _bools, np.dtype(bool)
    if tensor.dtype == "bfloat16":
        return _bfloats, np.dtype("float32")  # which NumPy itself knows
    if tensor.dtype in ("float16", "float32", "float64"):
        return _floats, np.dtype(tensor.dtype)
    if tensor.dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        return _ints, np.dtype(tensor.dtype)
    if tensor.dtype in ("complex64", "complex128"):
        return _complexes, np.dtype(tensor.dtype)
    raise ModelError(
        "The input {!r} is of type {}, which JSON cannot carry.".format(tensor.name, tensor.dtype),
        "Export a signature whose inputs are dense numbers, booleans or strings.",
        tensor.name,
    )


def _floats(leaves: Leaves, dtype: Any) -> Any:
    _only(leaves, dtype.name, {"int", "float"})
    if isinstance(leaves, np.ndarray) and leaves.dtype == dtype:
        return leaves
    try:
        wide = np.array(leaves, np.float64)
    except OverflowError:
        raise Misfit("an integer is out of range for {}".format(dtype.name)) from None
    return _narrowed(wide, dtype)


def _narrowed(wide: Any, dtype: Any) -> Any:
    with np.errstate(over="ignore", under="ignore"):
        narrow = wide.astype(dtype)
    _refuse_overflow(np.isinf(narrow) & ~np.isinf(wide), wide, dtype.name)
    return narrow


def _refuse_overflow(overflowed: Any, values: Any, dtype: str) -> None:
    if overflowed.any():
        raise Misfit("{} is out of range for {}".format(values[int(overflowed.argmax())], dtype))


_BFLOAT16_END = 2.0**128 - 2.0**119  # from here on a number is rounded to infinity


def _bfloats(leaves: Leaves, dtype: Any) -> Any:
    array = _floats(leaves, dtype)
    _refuse_overflow(np.isfinite(array) & (np.abs(array) >= _BFLOAT16_END), array, "bfloat16")
    return array


def _ints(leaves: Leaves, dtype: Any) -> Any:
    if "float" in _only(leaves, dtype.name, {"int", "float"}):
        leaves = _whole_numbers(leaves, dtype)
    limits = np.iinfo(dtype)
    for extreme in _extremes(leaves):
        if not limits.min <= extreme <= limits.max:
            raise Misfit("{} is out of range for {}".format(describe(extreme), dtype.name))
    return np.array(leaves, dtype)


def _whole_numbers(leaves: Leaves, dtype: Any) -> List[int]:
    values = leaves.tolist() if isinstance(leaves, np.ndarray) else leaves
    for value in values:
        if isinstance(value, float) and not value.is_integer():
            raise Misfit("{} is not a whole number, as {} needs".format(value, dtype.name))
    return [int(value) for value in values]


def _extremes(leaves: Leaves) -> Tuple[int, ...]:
    if not len(leaves):
        return ()
    if isinstance(leaves, np.ndarray):
        return int(leaves.min()), int(leaves.max())
    return min(leaves), max(leaves)


def _bools(leaves: Leaves, dtype: Any) -> Any:
    _only(leaves, "bool", {"bool"})
    return np.array(leaves, dtype)


def _complexes(leaves: Leaves, dtype: Any) -> Any:
    _only(leaves, dtype.name, {"int", "float", "complex"})
    try:
        wide = np.array(leaves, np.complex128)
    except OverflowError:
        raise Misfit("an integer is out of range for {}".format(dtype.name)) from None
    return _narrowed(wide, dtype)


def _strings(leaves: Leaves, dtype: Any) -> Any:
    _only(leaves, "string", {"str", "bytes", "dict"})
    array = np.empty(len(leaves), dtype)
    for index, value in enumerate(leaves):
        array[index] = _string(value)
    return array


def _string(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:
            raise Misfit(
                "the text {} holds half of a surrogate pair, which UTF-8 cannot spell".format(shorten(value))
            ) from None
    try:
        return decode_b64(value)
    except RequestError as error:
        raise Misfit(error.message.rstrip(".")) from None


# bool stands before int, whose subclass it is
_KINDS = ((bool, "bool"), (int, "int"), (float, "float"), (complex, "complex"), (str, "str"), (bytes, "bytes"), (dict, "dict"))
_NUMPY_KINDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex"}


def _only(leaves: Leaves, dtype: str, allowed: Set[str]) -> Set[str]:
    """The kinds of leaf there are, all of them in ``allowed``."""
    if isinstance(leaves, np.ndarray):
        kind = _NUMPY_KINDS[leaves.dtype.kind]
        if kind not in allowed:
            raise Misfit("an array of {} where {} is expected".format(leaves.dtype.name, dtype))
        return {kind}
    kinds = {cls: _kind(cls) for cls in set(map(type, leaves))}
    wrong = {cls for cls, kind in kinds.items() if kind not in allowed}
    for value in leaves if wrong or "dict" in kinds.values() else ():
        if type(value) in wrong or (isinstance(value, dict) and not is_b64(value)):
            raise Misfit("{} where {} is expected".format(describe(value), dtype))
    return set(kinds.values())


def _kind(cls: type) -> str:
    return next((kind for base, kind in _KINDS if issubclass(cls, base)), "other")
