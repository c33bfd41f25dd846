"""The opcodes of a pickle: as pickletools tells them, and no crash, hang or hunger on any bytes."""

from __future__ import annotations

import io
import pickle
import pickletools
import tracemalloc
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr.content.machine import Facts, Name
from cpr.content.opcodes import Budget, PickleCut, PickleError, PickleUnread, Stream, opcodes
from cpr.content.pickles import walk

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=700) | st.binary(max_size=700),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=9), inner) | st.frozensets(st.integers())
    ),
    max_leaves=20,
)


def stream(data: bytes) -> Stream:
    return Stream(io.BufferedReader(io.BytesIO(data)), len(data))  # type: ignore[arg-type]


def walked(data: bytes) -> Facts:
    facts = Facts()
    walk(stream(data), facts, Budget())
    return facts


@given(VALUES, st.integers(0, 5))
def test_the_opcodes_are_those_of_pickletools(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    ours = list(opcodes(stream(data), Budget()))
    theirs = [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(data)]
    assert [name for name, _, _ in ours] == [name for name, _ in theirs]
    for (name, told, _), (_, argument) in zip(ours, theirs, strict=True):
        if told is not None:
            assert (" ".join(told) if isinstance(told, tuple) else told) == argument, name


@given(VALUES, st.integers(0, 5))
def test_plain_values_name_nothing_that_is_no_part_of_python(value: Any, protocol: int) -> None:
    facts = walked(pickle.dumps(value, protocol))
    assert {name.module for name in facts.names} <= {"builtins", "__builtin__", "_codecs", "codecs"}
    assert facts.protocol <= protocol and facts.pickles == 1


@given(VALUES, st.integers(0, 5), st.data())
def test_every_cut_is_told(value: Any, protocol: int, data: st.DataObject) -> None:
    whole = pickle.dumps(value, protocol)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(PickleCut):
        walked(part)


@given(st.binary(max_size=300) | st.lists(st.sampled_from([bytes([code]) for code in range(256)]), max_size=60).map(b"".join))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for head in (b"", b"\x80\x04", b"\x80\x02(]}"):
        try:
            facts = walked(head + data)
        except (PickleError, PickleUnread):
            continue
        assert facts.pickles == 1


@given(VALUES, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_altered_pickles_are_read_or_refused(value: Any, changes: list[tuple[int, int]]) -> None:
    data = bytearray(pickle.dumps([value, OrderedDict(a=1)], 4))
    for place, byte in changes:
        data[place % len(data)] = byte
    try:
        walked(bytes(data))
    except (PickleError, PickleUnread):
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f",
        b"\x80\x05\x96" + b"\xff" * 8,
        b"\x80\x02B\xff\xff\xff\x7f",
        b"T\xff\xff\xff\x7f",
    ],
)
def test_a_length_that_cannot_be_takes_no_memory(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PickleError):
            walked(data + b"x" * 100)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("part", [b"(", b"N", b"N2", b"I1\n", b"]q\x00", b"c" + b"a\nb\n"])
def test_what_has_no_end_is_left(part: bytes) -> None:
    budget = Budget(opcodes=20_000)
    with pytest.raises(PickleUnread):
        walk(stream(part * 200_000), Facts(), budget)
    assert budget.opcodes == 0


def test_many_names_are_left() -> None:
    data = b"".join(b"cmodule%d\nname\n" % number for number in range(2000))
    with pytest.raises(PickleUnread, match="many"):
        walk(stream(data), Facts(), Budget(names=1000))


GLOBALS = {
    "by GLOBAL": b"cos\nsystem\n.",
    "by INST": b"(S'true'\nios\nsystem\n.",
    "by STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "through the memo": b"\x80\x04\x8c\x06system\x94\x8c\x02os\x94h\x01h\x00\x93.",
    "through a long memo": b"\x80\x04X\x06\x00\x00\x00systemr\x10\x27\x00\x00X\x02\x00\x00\x00osj\x10\x27\x00\x00\x93.",
    "through the text memo": b"V os\np5\n0Vos\nVsystem\n\x93.",
    "below a duplicate": b"\x80\x04\x8c\x02os\x8c\x06system20\x93.",
    "by escapes": b"V\\u006fs\nS'\\x73ystem'\n\x93.",
    "by old strings": b"U\x02osU\x06system\x93.",
}


@pytest.mark.parametrize("how", GLOBALS)
def test_globals(how: str) -> None:
    assert Name("os", "system") in walked(GLOBALS[how]).names


def test_globals_by_the_registry() -> None:
    import copyreg

    assert Name("copyreg", "extension 77") in walked(b"\x82M.").names
    copyreg.add_extension("collections", "OrderedDict", 0x7A01)  # type: ignore[arg-type]
    try:
        assert Name("collections", "OrderedDict") in walked(pickle.dumps(OrderedDict(), 2)).names
        assert Name("collections", "OrderedDict") in walked(b"\x83\x01\x7a.").names
    finally:
        copyreg.remove_extension("collections", "OrderedDict", 0x7A01)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "called"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", True),
        (b"(S'true'\nios\nsystem\n.", True),
        (b"(cos\nsystem\nS'true'\no.", True),
        (b"cos\nsystem\n.", False),
        (b"cos\nsystem\n)\x81.", False),
    ],
)
def test_what_is_called(data: bytes, called: bool) -> None:
    assert (Name("os", "system") in walked(data).called) is called


def test_what_getattr_reaches() -> None:
    facts = walked(b"cbuiltins\ngetattr\ncos\npath\nS'join'\n\x86RS'a'\n\x85R.")
    assert list(facts.reached) == [("os.path", "join")]
