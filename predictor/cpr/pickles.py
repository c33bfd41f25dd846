"""What a pickle names and what it would call, found by walking through its opcodes: nothing of it is loaded.

A small machine keeps a stack and a memo as the unpickler does, of names and short values alone. That is what it takes to see
through STACK_GLOBAL, whose module and name come from the stack, and to find the end of the arrays that joblib lays, raw,
between the opcodes.
"""

from __future__ import annotations

import copyreg
import math
import re
from dataclasses import dataclass, field

from cpr.opcodes import PROTOCOL_OF, Budget, Opcode, PickleError, PickleUnread, Stream, opcodes

_MAX_ITEMS = 32
_MAX_DEPTH = 8
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
class _Made:
    """What a call made: of which function, with which arguments, and the state it was given."""

    function: object
    arguments: tuple[object, ...] = ()
    state: object = None


_MARK = object()


class _Machine:
    def __init__(self, facts: Facts, budget: Budget, stream: Stream, depth: int) -> None:
        self.facts, self.budget, self.stream, self.depth = facts, budget, stream, depth
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def pop(self) -> object:
        if not self.stack or self.stack[-1] is _MARK:
            raise PickleError("it takes more from its stack than there is")
        return self.stack.pop()

    def popped(self) -> list[object]:
        """What lies above the last mark."""
        stack = self.stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is _MARK:
                items = stack[index + 1 :]
                del stack[index:]
                return items
        raise PickleError("it looks for a mark that is not there")

    def top(self) -> object:
        if not self.stack or self.stack[-1] is _MARK:
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
        elif isinstance(function, _Made) and _is(function.function, "getattr", "builtins", "__builtin__"):
            owner, attribute = (*function.arguments, None, None)[:2]
            pair = (str(owner) if isinstance(owner, Name) else "an object", str(attribute))
            if pair not in self.facts.reached:
                self.budget.name()
                self.facts.reached[pair] = at
        if _is(function, "_reconstructor", "copyreg", "copy_reg") and given and isinstance(given[0], Name):
            function = given[0]
        self.stack.append(_Made(function, given))

    def items(self, target: object, items: list[object]) -> None:
        """Into a dictionary; only the few with short keys matter, and only the first of them are kept."""
        if not isinstance(target, dict):
            return
        for key, value in zip(items[::2], items[1::2], strict=False):
            if key == "_sklearn_version" and isinstance(value, str):
                self.facts.versions.add(value[:20])
            if isinstance(key, str) and len(target) < _MAX_ITEMS:
                target[key] = value

    def build(self, state: object) -> None:
        target = self.top()
        if not isinstance(target, _Made):
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
            if self.depth >= _MAX_DEPTH:
                raise PickleUnread("it holds arrays of objects, one in another")
            walk(self.stream, self.facts, self.budget, self.depth + 1)
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
    code = dtype.arguments[0] if isinstance(dtype, _Made) and dtype.arguments else None
    if not isinstance(dtype, _Made) or not _is(dtype.function, "dtype", "numpy") or not isinstance(code, str):
        raise PickleUnread("it holds an array of a type that is not plain")
    found = re.fullmatch(r"([?bBhHiIlLqQefdgFDGcmMuSUOV])(\d{0,9})", code)
    state = dtype.state if isinstance(dtype.state, tuple) else ()
    if found is not None and found[1] == "V" and len(state) > 7 and isinstance(state[5], int) and isinstance(state[7], int):
        return None if state[7] & 1 else max(state[5], 0)  # a record: NumPy's flag for objects among its fields
    if found is None or found[1] == "V" or (found[1] != "O" and not found[2]):
        raise PickleUnread(f"it holds an array of the type {code!r}")
    return None if found[1] == "O" else int(found[2]) * (4 if found[1] == "U" else 1)


def _extension(machine: _Machine, code: object, at: int) -> None:
    """A global by its number in this interpreter's registry, which is empty unless a package fills it."""
    registry: dict[int, tuple[str, str]] = getattr(copyreg, "_inverted_registry", {})
    module, name = registry.get(code, ("copyreg", f"extension {code}")) if isinstance(code, int) else ("copyreg", "extension")
    machine.name(module, name, at)


_TAKES_ONE = frozenset(("APPEND", "POP"))
_TAKES_ALL = frozenset(("APPENDS", "ADDITEMS", "POP_MARK"))
_SILENT = frozenset(("FRAME", "READONLY_BUFFER"))
_KEEPS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_RECALLS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_SMALL = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def walk(stream: Stream, facts: Facts, budget: Budget, depth: int = 0) -> None:
    """Walk through the one pickle at the place of ``stream``, and add what it says to ``facts``."""
    machine = _Machine(facts, budget, stream, depth)
    stack, memo, used = machine.stack, machine.memo, set()
    try:
        for opcode in opcodes(stream, budget):
            name, argument, _ = opcode
            used.add(name)
            if name == "MEMOIZE":
                memo[len(memo)] = machine.top()
            elif name in _KEEPS:
                machine.keep(argument)
            elif name in _RECALLS:
                machine.recall(argument)
            elif name == "MARK":
                stack.append(_MARK)
            elif name == "EMPTY_DICT":
                stack.append({})
            elif name == "EMPTY_TUPLE":
                stack.append(())
            elif name in _STEPS:
                _STEPS[name](machine, opcode)
            elif name in _TAKES_ALL:
                machine.popped()
            elif name in _TAKES_ONE:
                if name == "POP" and stack and stack[-1] is _MARK:
                    stack.pop()
                else:
                    machine.pop()
            elif name == "PROTO":
                if not isinstance(argument, int) or argument > 5:
                    raise PickleError(f"it says protocol {argument}, which there is not")
                facts.protocol = max(facts.protocol, argument)
            elif name == "STOP":
                machine.pop()
            elif name not in _SILENT:
                stack.append(argument)
        facts.pickles += 1
    finally:
        facts.protocol = max(facts.protocol, max((PROTOCOL_OF[name] for name in used), default=0))


def _tuple(machine: _Machine, items: list[object]) -> None:
    machine.stack.append(tuple(items) if len(items) <= _MAX_ITEMS else None)


def _step_tuple(machine: _Machine, opcode: Opcode) -> None:
    _tuple(machine, machine.popped())


def _step_small_tuple(machine: _Machine, opcode: Opcode) -> None:
    _tuple(machine, [machine.pop() for _ in range(_SMALL[opcode[0]])][::-1])


def _step_opaque(machine: _Machine, opcode: Opcode) -> None:
    machine.popped()
    machine.stack.append(None)


def _step_dict(machine: _Machine, opcode: Opcode) -> None:
    items = machine.popped()
    made: dict[str, object] = {}
    machine.items(made, items)
    machine.stack.append(made)


def _step_set_item(machine: _Machine, opcode: Opcode) -> None:
    value, key = machine.pop(), machine.pop()
    machine.items(machine.top(), [key, value])


def _step_set_items(machine: _Machine, opcode: Opcode) -> None:
    items = machine.popped()
    machine.items(machine.top(), items)


def _step_duplicate(machine: _Machine, opcode: Opcode) -> None:
    machine.stack.append(machine.top())


def _step_global(machine: _Machine, opcode: Opcode) -> None:
    _, argument, at = opcode
    assert isinstance(argument, tuple)
    machine.name(*argument, at)


def _step_stack_global(machine: _Machine, opcode: Opcode) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name, opcode[2])


def _step_instance(machine: _Machine, opcode: Opcode) -> None:
    arguments = machine.popped()
    _step_global(machine, opcode)
    machine.call(machine.pop(), tuple(arguments[:_MAX_ITEMS]), opcode[2])


def _step_object(machine: _Machine, opcode: Opcode) -> None:
    items = machine.popped()
    if not items:
        raise PickleError("it makes an object of nothing")
    machine.call(items[0], tuple(items[1:_MAX_ITEMS]), opcode[2])


def _step_reduce(machine: _Machine, opcode: Opcode) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.call(function, arguments, opcode[2])


def _step_new(machine: _Machine, opcode: Opcode) -> None:
    """``cls.__new__(cls, …)``: the class is made, and not called."""
    if opcode[0] == "NEWOBJ_EX":  # and its keyword arguments
        machine.pop()
    arguments, function = machine.pop(), machine.pop()
    machine.stack.append(_Made(function, arguments if isinstance(arguments, tuple) else ()))


def _step_build(machine: _Machine, opcode: Opcode) -> None:
    machine.build(machine.pop())


def _step_extension(machine: _Machine, opcode: Opcode) -> None:
    _extension(machine, opcode[1], opcode[2])


def _step_persistent(machine: _Machine, opcode: Opcode) -> None:
    machine.pop()
    machine.stack.append(None)


_STEPS = {
    "TUPLE": _step_tuple,
    **dict.fromkeys(_SMALL, _step_small_tuple),
    **dict.fromkeys(("LIST", "FROZENSET"), _step_opaque),
    "DICT": _step_dict,
    "SETITEM": _step_set_item,
    "SETITEMS": _step_set_items,
    "DUP": _step_duplicate,
    "GLOBAL": _step_global,
    "STACK_GLOBAL": _step_stack_global,
    "INST": _step_instance,
    "OBJ": _step_object,
    "REDUCE": _step_reduce,
    "NEWOBJ": _step_new,
    "NEWOBJ_EX": _step_new,
    "BUILD": _step_build,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _step_extension),
    "BINPERSID": _step_persistent,
}
