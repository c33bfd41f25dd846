"""Golden examples: read by line, compared with their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr.errors import ProjectError
from cpr.examples import ATOL, RTOL, Expectation, compare, read_examples

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text('\n{"instances": [1], "top_k": 2}\n\n{"instances": [], "expect": {"predictions": [], "rtol": 0.1}}\n')
    first, second = read_examples(path)
    assert (first.line, first.request, first.expect) == (2, {"instances": [1], "top_k": 2}, None)
    assert (second.line, second.expect) == (4, Expectation([], 0.1, ATOL))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not an object"),
        ('{"instance": [1]}', 'no list "instances"'),
        ('{"instances": 1}', 'no list "instances"'),
        ('{"instances": [], "expect": [1]}', '"predictions"'),
        ('{"instances": [], "expect": {"predictions": 1}}', '"predictions"'),
        ('{"instances": [], "expect": {"predictions": [], "rtoll": 1}}', "unknown key 'rtoll'"),
        ('{"instances": [], "expect": {"predictions": [], "rtol": -1}}', "rtol"),
        ('{"instances": [], "expect": {"predictions": [], "atol": true}}', "atol"),
        ("[" * 100_000, "nested too deep"),
        ('{"instances": [NaN]}', "holds NaN, which is no JSON"),
        ('{"instances": [], "expect": {"predictions": [-Infinity]}}', "holds -Infinity"),
        ('{"instances": [' + "1" * 5000 + "]}", "thousands of digits"),
        ('{"instances": [], "expect": {"predictions": [], "rtol": 1' + "0" * 400 + "}}", "rtol"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text('{"instances": [1]}\n' + line + "\n")
    with pytest.raises(ProjectError, match=message) as caught:
        read_examples(path)
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        ([{"score": 0.6}], [{"score": 0.5}], "[0].score: 0.5, expected 0.6 (off by 0.1)"),
        ([1], [1.0], None),
        ([1], [True], "[0]: true, expected 1"),
        ([1, 2], [1], "the answer: 1 items, expected 2"),
        ({"a": 1}, {"b": 1}, "the answer: keys ['b'], expected ['a']"),
        (["cat"], ["dog"], '[0]: "dog", expected "cat"'),
        ([2**53], [2**53 + 1], f"[0]: {2**53 + 1}, expected {2**53} (off by 1)"),
        ([1.0], [1.0 + RTOL / 2], None),
        ([0.0], [ATOL * 2], f"[0]: {ATOL * 2}, expected 0.0 (off by 2e-06)"),
        ([1.0], [float("nan")], "[0]: nan, expected 1.0"),
        ([float("inf")], [3.0], "[0]: 3.0, expected inf"),
    ],
)
def test_the_first_difference_with_its_place(expected: object, actual: object, difference: str | None) -> None:
    assert compare(expected, actual) == difference


@given(value=json_values)
def test_a_value_equals_itself_after_a_round_trip(value: object) -> None:
    assert compare(value, json.loads(json.dumps(value)), 0, 0) is None


@given(left=json_values, right=json_values)
def test_a_difference_is_seen_from_both_sides(left: object, right: object) -> None:
    assert (compare(left, right, 0, 0) is None) == (compare(right, left, 0, 0) is None)
