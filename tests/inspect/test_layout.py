"""Bars, trees and lines, whatever the names and sizes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr.cli.layout import Row, bar, file_tree, kept, shortened, table, wrapped
from cpr.cli.names import printable
from cpr.cli.signatures import signature_lines, type_text

PART = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=8)
PATHS = st.lists(
    st.lists(PART, min_size=1, max_size=4).map(lambda parts: "/".join(["d" + part for part in parts[:-1]] + ["f" + parts[-1]]))
)
FILES = st.builds(lambda paths, size: {path: size * len(path) for path in paths}, PATHS, st.integers(0, 10**12))


@given(size=st.integers(0, 10**15), largest=st.integers(1, 10**15), width=st.integers(1, 40))
def test_a_bar_is_as_wide_as_its_share(size: int, largest: int, width: int) -> None:
    size = min(size, largest)
    drawn = bar(size, largest, width)
    assert len(drawn) == width
    assert drawn.strip() if size else not drawn.strip()
    assert abs(drawn.count("█") - width * size / largest) <= 1
    assert bar(largest, largest, width) == "█" * width


@given(files=FILES, most=st.integers(1, 20))
def test_every_file_is_in_the_tree_or_folded(files: dict[str, int], most: int) -> None:
    rows = list(file_tree(files.items(), "top/", most))
    assert rows[0] == Row(sum(files.values()), "top/", bar=False)
    leaves = [row for row in rows if row.bar]
    assert sum(row.size for row in leaves) == sum(files.values())
    folded = [re.search(r"… (\d+) smaller file", row.text) for row in leaves]
    assert sum(int(found[1]) if found else 1 for found in folded) == len(files)
    assert all(row.text.isprintable() for row in rows)
    largest = sorted(files.values(), reverse=True)[:most]
    assert sorted((row.size for row, found in zip(leaves, folded, strict=True) if not found), reverse=True)[:1] >= largest[:1]


@given(words=st.lists(st.text("abc", min_size=1, max_size=12), min_size=1), width=st.integers(15, 60))
def test_lines_hold_all_words_and_fit(words: list[str], width: int) -> None:
    lines = list(wrapped(" ".join(words), width, "  "))
    assert " ".join(line[2:] for line in lines).split() == words
    assert all(len(line) <= width for line in lines)
    assert list(wrapped(" ".join(words), None)) == [" ".join(words)]


def test_what_belongs_together_stays_together() -> None:
    assert list(wrapped(f"one {kept('two 2')} three", 9)) == ["one two 2", "three"]
    assert list(wrapped(f"one {kept('two 2')} three", 8)) == ["one", "two 2", "three"]


@given(text=st.text(max_size=60), width=st.integers(3, 50))
def test_a_cut_name_keeps_its_ends(text: str, width: int) -> None:
    found = shortened(text, width)
    assert found == text if len(text) <= width else len(found) == width
    assert text.startswith(found.partition("…")[0]) or "…" in text


def test_a_table_is_cut_in_a_terminal_alone() -> None:
    rows = [Row(1000, "x" * 200), Row(10, "y")]
    assert max(map(len, table(rows, 80))) == 80
    assert any("x" * 200 in line for line in table(rows, None))


@given(text=st.text(max_size=30))
def test_printable_is_printable_and_tells_characters_apart(text: str) -> None:
    assert printable(text).isprintable()
    assert (printable(text) == text) == text.isprintable()


@pytest.mark.parametrize(
    ("info", "spelt"),
    [
        ({"tensor": "x:0", "dtype": "float32", "shape": [None, 4]}, "float32[?, 4]"),
        ({"tensor": "x:0", "dtype": "string", "shape": []}, "string[]"),
        ({"tensor": "x:0", "dtype": "int64", "shape": None}, "int64[…]"),
        ({"tensor": "x:0", "dtype": None, "shape": None}, "untyped[…]"),
        (
            {
                "kind": "my.\x1b[2JMasked",
                "dtype": None,
                "shape": None,
                "components": [{"tensor": "a:0", "dtype": "bool", "shape": [2]}],
            },
            "my.\\x1b[2JMasked(bool[2])",
        ),
    ],
)
def test_types_are_spelt(info: dict[str, object], spelt: str) -> None:
    assert type_text(info) == spelt


def test_a_signature_takes_one_line_or_one_for_each_tensor() -> None:
    info = {"tensor": "x:0", "dtype": "float32", "shape": [None]}
    signature = {"method_name": "tensorflow/serving/predict", "inputs": {"a": info, "b": info}, "outputs": {"y": info}}
    assert list(signature_lines("call", signature, 80)) == ["  call(a: float32[?], b: float32[?]) → y: float32[?]"]
    assert list(signature_lines("call", signature, 40)) == [
        "  call(",
        "      a: float32[?],",
        "      b: float32[?]",
        "  ) →",
        "      y: float32[?]",
    ]
    nothing = {"method_name": "", "inputs": {}, "outputs": {}}
    assert list(signature_lines("call", nothing, 80)) == ["  call() → nothing  [no method name]"]
