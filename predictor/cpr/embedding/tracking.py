"""What a graph uses beside its operations: variables and tables, found where Python holds them, to be saved with it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from cpr.errors import ModelError

_ENDS = (str, bytes, int, float, complex, type(None), type, ModuleType)


def holder(tf: Any, concrete: Any, owners: Iterable[Any]) -> Any:
    """A ``tf.Module`` for ``tf.saved_model.save``, with what the concrete function ``concrete`` uses, each once, and no more.

    ``owners`` are where to look: a restored model, and functions, whose closures, globals and objects are followed.
    ``ModelError`` for a resource that none of them holds.
    """
    used = {id(handle): handle for handle in concrete.captured_inputs if handle.dtype == tf.resource}
    variables: dict[str, Any] = {}
    tables: list[Any] = []
    for each in _trackables(tf, owners):
        handle = getattr(each, "handle", None) if isinstance(each, tf.Variable) else getattr(each, "resource_handle", None)
        if handle is None or used.pop(id(handle), None) is None:
            continue
        if isinstance(each, tf.Variable):
            variables[_free(each.name.partition(":")[0], variables)] = each
        else:
            tables.append(each)
    if used:
        raise ModelError(
            "preprocess or postprocess uses a table or variable that nothing reachable from it holds.",
            "Keep it in a variable of the function's module or closure, or in an attribute of an object whose method it is.",
        )
    module = tf.Module()
    module.weights, module.tables = variables, tables
    return module


def _free(name: str, taken: Mapping[str, Any]) -> str:
    number = sum(other.partition("#")[0] == name for other in taken)
    return f"{name}#{number}" if number else name


def _trackables(tf: Any, owners: Iterable[Any]) -> Iterator[Any]:
    """Every object below ``owners`` that TensorFlow can save, each once."""
    base = tf.__internal__.tracking.Trackable
    seen: dict[int, Any] = {}
    waiting = list(owners)
    while waiting:
        each = waiting.pop()
        if isinstance(each, _ENDS) or id(each) in seen:
            continue
        seen[id(each)] = each
        if hasattr(each, "python_function"):  # a tf.function
            waiting.append(each.python_function)
        elif isinstance(each, base):
            yield from (part for part in tf.train.TrackableView(each).descendants() if part is each or id(part) not in seen)
        else:
            waiting += _referred(each)


def _referred(value: Any) -> list[Any]:
    """What a function, a container or an object refers to."""
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if not _is_empty(cell)]
        names = {name for code in _codes(value.__code__) for name in code.co_names}
        return [*cells, *(value.__defaults__ or ()), *(value.__globals__[name] for name in names if name in value.__globals__)]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    call = inspect.getattr_static(type(value), "__call__", None)
    return [*getattr(value, "__dict__", {}).values(), *([call] if isinstance(call, FunctionType) else [])]


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # a name that is not bound yet
        return True
    return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those written inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
