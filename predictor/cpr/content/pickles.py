"""What a pickle names and what it would call, found by walking through its opcodes: nothing of it is loaded."""

from __future__ import annotations

import copyreg

from cpr.content.machine import MARK, MAX_ITEMS, Facts, Machine, Made
from cpr.content.opcodes import PROTOCOL_OF, Budget, Opcode, PickleError, PickleUnread, Stream, opcodes

_MAX_DEPTH = 8


def _extension(machine: Machine, code: object, at: int) -> None:
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

    def nested() -> None:
        if depth >= _MAX_DEPTH:
            raise PickleUnread("it holds arrays of objects, one in another")
        walk(stream, facts, budget, depth + 1)

    machine = Machine(facts, budget, stream, nested)
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
                stack.append(MARK)
            elif name == "EMPTY_DICT":
                stack.append({})
            elif name == "EMPTY_TUPLE":
                stack.append(())
            elif name in _STEPS:
                _STEPS[name](machine, opcode)
            elif name in _TAKES_ALL:
                machine.popped()
            elif name in _TAKES_ONE:
                if name == "POP" and stack and stack[-1] is MARK:
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


def _tuple(machine: Machine, items: list[object]) -> None:
    machine.stack.append(tuple(items) if len(items) <= MAX_ITEMS else None)


def _step_tuple(machine: Machine, opcode: Opcode) -> None:
    _tuple(machine, machine.popped())


def _step_small_tuple(machine: Machine, opcode: Opcode) -> None:
    _tuple(machine, [machine.pop() for _ in range(_SMALL[opcode[0]])][::-1])


def _step_opaque(machine: Machine, opcode: Opcode) -> None:
    machine.popped()
    machine.stack.append(None)


def _step_dict(machine: Machine, opcode: Opcode) -> None:
    items = machine.popped()
    made: dict[str, object] = {}
    machine.items(made, items)
    machine.stack.append(made)


def _step_set_item(machine: Machine, opcode: Opcode) -> None:
    value, key = machine.pop(), machine.pop()
    machine.items(machine.top(), [key, value])


def _step_set_items(machine: Machine, opcode: Opcode) -> None:
    items = machine.popped()
    machine.items(machine.top(), items)


def _step_duplicate(machine: Machine, opcode: Opcode) -> None:
    machine.stack.append(machine.top())


def _step_global(machine: Machine, opcode: Opcode) -> None:
    _, argument, at = opcode
    assert isinstance(argument, tuple)
    machine.name(*argument, at)


def _step_stack_global(machine: Machine, opcode: Opcode) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name, opcode[2])


def _step_instance(machine: Machine, opcode: Opcode) -> None:
    arguments = machine.popped()
    _step_global(machine, opcode)
    machine.call(machine.pop(), tuple(arguments[:MAX_ITEMS]), opcode[2])


def _step_object(machine: Machine, opcode: Opcode) -> None:
    items = machine.popped()
    if not items:
        raise PickleError("it makes an object of nothing")
    machine.call(items[0], tuple(items[1:MAX_ITEMS]), opcode[2])


def _step_reduce(machine: Machine, opcode: Opcode) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.call(function, arguments, opcode[2])


def _step_new(machine: Machine, opcode: Opcode) -> None:
    """``cls.__new__(cls, …)``: the class is made, and not called."""
    if opcode[0] == "NEWOBJ_EX":  # and its keyword arguments
        machine.pop()
    arguments, function = machine.pop(), machine.pop()
    machine.stack.append(Made(function, arguments if isinstance(arguments, tuple) else ()))


def _step_build(machine: Machine, opcode: Opcode) -> None:
    machine.build(machine.pop())


def _step_extension(machine: Machine, opcode: Opcode) -> None:
    _extension(machine, opcode[1], opcode[2])


def _step_persistent(machine: Machine, opcode: Opcode) -> None:
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
