"""What a graph uses beside its operations: variables and tables, found where Python holds them, to be saved with it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from cpr.errors import ModelError

_ENDS = (str, bytes, int, float, complex, type(None), type, ModuleType)
_FOREIGN = ("tensorflow", "keras", "numpy")
"""Libraries whose functions hold nothing of the user's, and much else."""


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
        return [] if _is_foreign(value) else _of_function(value)
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    classes = [each for each in type(value).__mro__ if each is not object and not _is_foreign(each)]
    return [each for owner in (value, *classes) for each in getattr(owner, "__dict__", {}).values()]


def _of_function(function: FunctionType) -> list[Any]:
    """Its closure, defaults and globals, and what it may name of modules and classes among these."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    found = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
    found += [
        *(function.__defaults__ or ()),
        *(function.__globals__[name] for name in sorted(names & function.__globals__.keys())),
    ]
    looked: set[int] = set()
    for owner in found:  # and those that are added meanwhile
        if isinstance(owner, (ModuleType, type)) and id(owner) not in looked and not _is_foreign(owner):
            looked.add(id(owner))
            found += [vars(owner)[name] for name in sorted(names & vars(owner).keys())]
    return found


def _is_foreign(value: Any) -> bool:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return str(name).partition(".")[0] in _FOREIGN


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
