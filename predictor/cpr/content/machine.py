"""A machine that keeps a stack and a memo as the unpickler does, of names and short values alone.

That is what it takes to see through STACK_GLOBAL, whose module and name come from the stack, and to find the end of the arrays
that joblib lays, raw, between the opcodes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cpr.content.opcodes import Budget, PickleError, PickleUnread, Stream

MAX_ITEMS = 32
_WRAPPER = "NumpyArrayWrapper"
_OLD_WRAPPERS = ("NDArrayWrapper", "ZNDArrayWrapper")


@dataclass(frozen=True, slots=True)
class Name:
    """A global: what ``from module import name`` would give. ``name`` may be dotted."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class Facts:
    """What was found so far. ``called`` are the names among ``names`` that unpickling calls, ``reached`` the (owner, attribute)
    pairs of getattr whose result it calls; both with the number of the first opcode that does. ``versions`` are those of
    scikit-learn that estimators were pickled with; ``arrays`` counts the raw arrays of joblib."""

    protocol: int = 0
    names: dict[Name, int] = field(default_factory=dict)
    called: dict[Name, int] = field(default_factory=dict)
    reached: dict[tuple[str, str], int] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    arrays: int = 0
    pickles: int = 0


@dataclass(slots=True, eq=False)
class Made:
    """What a call made: of which function, with which arguments, and the state it was given."""

    function: object
    arguments: tuple[object, ...] = ()
    state: object = None


MARK = object()


class Machine:
    """``nested`` walks through the pickle that begins where the stream is."""

    def __init__(self, facts: Facts, budget: Budget, stream: Stream, nested: Callable[[], None]) -> None:
        self.facts, self.budget, self.stream, self.nested = facts, budget, stream, nested
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def pop(self) -> object:
        if not self.stack or self.stack[-1] is MARK:
            raise PickleError("it takes more from its stack than there is")
        return self.stack.pop()

    def popped(self) -> list[object]:
        """What lies above the last mark."""
        stack = self.stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is MARK:
                items = stack[index + 1 :]
                del stack[index:]
                return items
        raise PickleError("it looks for a mark that is not there")

    def top(self) -> object:
        if not self.stack or self.stack[-1] is MARK:
            raise PickleError("it takes more from its stack than there is")
        return self.stack[-1]

    def keep(self, key: object) -> None:
        if isinstance(key, int):
            self.memo[key] = self.top()

    def recall(self, key: object) -> None:
        if not isinstance(key, int) or key not in self.memo:
            raise PickleError("it recalls what it never kept")
        self.stack.append(self.memo[key])

    def name(self, module: object, name: object, at: int) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            if module is None or name is None:
                raise PickleUnread("it has a name that is too long, or made as it is loaded")
            raise PickleError("it names a global by what is no text")
        found = Name(module, name)
        if found not in self.facts.names:
            self.budget.name()
            self.facts.names[found] = at
        self.stack.append(found)

    def call(self, function: object, arguments: object, at: int) -> None:
        given = arguments if isinstance(arguments, tuple) else ()
        if isinstance(function, Name):
            self.facts.called.setdefault(function, at)
        elif isinstance(function, Made) and _is(function.function, "getattr", "builtins", "__builtin__"):
            owner, attribute = (*function.arguments, None, None)[:2]
            pair = (str(owner) if isinstance(owner, Name) else "an object", str(attribute))
            if pair not in self.facts.reached:
                self.budget.name()
                self.facts.reached[pair] = at
        if _is(function, "_reconstructor", "copyreg", "copy_reg") and given and isinstance(given[0], Name):
            function = given[0]
        self.stack.append(Made(function, given))

    def items(self, target: object, items: list[object]) -> None:
        """Into a dictionary; only the few with short keys matter, and only the first of them are kept."""
        if not isinstance(target, dict):
            return
        for key, value in zip(items[::2], items[1::2], strict=False):
            if key == "_sklearn_version" and isinstance(value, str):
                self.facts.versions.add(value[:20])
            if isinstance(key, str) and len(target) < MAX_ITEMS:
                target[key] = value

    def build(self, state: object) -> None:
        target = self.top()
        if not isinstance(target, Made):
            return
        target.state, made = state, target.function
        if isinstance(made, Name) and made.module.endswith(("numpy_pickle", "numpy_pickle_compat")):
            if made.name == _WRAPPER:
                self.facts.arrays += 1
                self._array(state)
            elif made.name in _OLD_WRAPPERS:
                self.facts.arrays += 1

    def _array(self, state: object) -> None:
        """Step over the array that lies behind the wrapper."""
        if not isinstance(state, dict) or not isinstance(state.get("shape"), tuple):
            raise PickleUnread("it holds an array whose size is not plain")
        width = _item_size(state.get("dtype"))
        if width is None:
            self.nested()
            return
        shape = state["shape"]
        if not all(isinstance(count, int) and count >= 0 for count in shape):
            raise PickleUnread("it holds an array whose size is not plain")
        if state.get("numpy_array_alignment_bytes") is not None:
            self.stream.skip(self.stream.read(1)[0])
        self.stream.skip(math.prod(shape) * width)


def _is(value: object, name: str, *modules: str) -> bool:
    return isinstance(value, Name) and value.name == name and value.module in modules


def _item_size(dtype: object) -> int | None:
    """Bytes of one item; ``None`` where the items are objects. :class:`PickleUnread` for a type that is not plain."""
    code = dtype.arguments[0] if isinstance(dtype, Made) and dtype.arguments else None
    if not isinstance(dtype, Made) or not _is(dtype.function, "dtype", "numpy") or not isinstance(code, str):
        raise PickleUnread("it holds an array of a type that is not plain")
    found = re.fullmatch(r"([?bBhHiIlLqQefdgFDGcmMuSUOV])(\d{0,9})", code)
    state = dtype.state if isinstance(dtype.state, tuple) else ()
    if found is not None and found[1] == "V" and len(state) > 7 and isinstance(state[5], int) and isinstance(state[7], int):
        return None if state[7] & 1 else max(state[5], 0)  # a record: NumPy's flag for objects among its fields
    if found is None or found[1] == "V" or (found[1] != "O" and not found[2]):
        raise PickleUnread(f"it holds an array of the type {code!r}")
    return None if found[1] == "O" else int(found[2]) * (4 if found[1] == "U" else 1)
