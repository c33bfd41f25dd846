"""Expectations written into a file of examples: what they are about changes, and not a byte beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpr.errors import OutputError, ProjectError
from cpr.examples import MAX_LINE_BYTES, parse_examples
from cpr.recording import rewrite, with_expectations


@pytest.mark.parametrize(
    ("line", "kind", "after"),
    [
        ('{"instances": [1]}', "written", '{"instances": [1], "expect": {"predictions": [3.5]}}'),
        ('{"instances":[ 1.50 ] ,"k":"é"}\r', "written", '{"instances":[ 1.50 ] ,"k":"é", "expect": {"predictions": [3.5]}}\r'),
        ('{"expect": null, "instances": [1]}', "written", '{"expect": {"predictions": [3.5]}, "instances": [1]}'),
        (
            ' {"expect" : {"rtol": 1e-3, "predictions" :[ 9 ],"atol":0} , "instances": [1]} ',
            "changed",
            ' {"expect" : {"rtol": 1e-3, "predictions" :[3.5],"atol":0} , "instances": [1]} ',
        ),
        ('{"instances": [1], "expect": {"predictions": [3.6], "rtol": 0.5}}', "kept", None),
        (
            '{"instances": [{"expect": [1]}], "expect": {"predictions": [1]}, "expect": {"predictions": [2]}}',
            "changed",
            '{"instances": [{"expect": [1]}], "expect": {"predictions": [1]}, "expect": {"predictions": [3.5]}}',
        ),
        (
            '{"\\u0065xpect": {"predictions": [0]}, "instances": []}',
            "changed",
            '{"\\u0065xpect": {"predictions": [3.5]}, "instances": []}',
        ),
    ],
)
def test_a_line(line: str, kind: str, after: str | None) -> None:
    found, (change,) = with_expectations(line.encode(), {1: [3.5]}, "examples.jsonl")
    assert (found.decode(), change.kind) == (line if after is None else after, kind)
    assert bool(change.difference) == (kind == "changed")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.dictionaries(st.text(max_size=8).filter(lambda key: key not in ("instances", "expect")), JSON, max_size=3)
EXPECT = st.none() | st.fixed_dictionaries(
    {"predictions": st.lists(JSON, max_size=3)}, optional={"rtol": st.just(0), "atol": st.just(0.5)}
)


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    members = [*draw(KEYS).items(), ("instances", draw(st.lists(JSON, max_size=3)))]
    if draw(st.booleans()):
        members.append(("expect", draw(EXPECT)))
    body = dict(draw(st.permutations(members)))
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\r")]))
    return draw(st.sampled_from(["", " "])) + json.dumps(
        body, ensure_ascii=draw(st.booleans()), separators=(comma, colon)
    ), body


def is_text(line: tuple[str, Any]) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in line[0])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(lines().filter(is_text), st.lists(JSON, max_size=3)), min_size=1, max_size=4))
def test_every_file(rows: list[tuple[tuple[str, dict[str, Any]], list[Any]]]) -> None:
    """The requests, their order and the tolerances stay; the predictions are the answers, to the bit."""
    before = "\n\n".join(line for (line, _), _ in rows).encode()
    answers = {2 * number + 1: answer for number, (_, answer) in enumerate(rows)}
    after, changes = with_expectations(before, answers, "x")
    assert [change.line for change in changes] == list(answers)
    for change, line, ((text, body), answer) in zip(changes, after.decode().split("\n\n"), rows, strict=True):
        found = json.loads(line)
        if change.kind == "kept":
            assert line == text
            continue
        expect = found.pop("expect")
        assert repr(expect.pop("predictions")) == repr(answer)
        old = body.pop("expect", None) or {"predictions": []}
        assert (found, list(found)) == (body, [key for key in json.loads(text) if key != "expect"])
        del old["predictions"]
        assert expect == old
    assert with_expectations(after, answers, "x")[0] == after or any("atol" in line for (line, _), _ in rows)
    assert [example.request for example in parse_examples(after, "x")] == [
        example.request for example in parse_examples(before, "x")
    ]


def test_a_surrogate_is_an_escape() -> None:
    after, _ = with_expectations(b'{"instances": [1]}', {1: ["\ud800"]}, "x")
    assert b'["\\ud800"]' in after


def test_a_line_that_grows_too_long() -> None:
    with pytest.raises(ProjectError, match=r"With its expectation the line would have") as caught:
        with_expectations(b'{"instances": [1]}', {1: ["x" * MAX_LINE_BYTES]}, "examples.jsonl")
    assert caught.value.where == "examples.jsonl:1"


def test_it_is_written_whole_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    rewrite(tmp_path / "link", b"old", b"new")
    assert (tmp_path / "real").read_bytes() == b"new" and (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    with pytest.raises(ProjectError, match="changed while they ran"):
        rewrite(tmp_path / "link", b"old", b"newer")
    assert (tmp_path / "real").read_bytes() == b"new"
    (tmp_path / "real").unlink()
    with pytest.raises(OutputError, match="cannot be written"):
        rewrite(tmp_path / "link", b"new", b"newer")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
