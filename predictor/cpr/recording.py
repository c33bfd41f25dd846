"""Expectations written into a file of examples. Only the predictions of a line change; every other byte stays as it is."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpr.errors import OutputError, ProjectError
from cpr.examples import MAX_LINE_BYTES, Example, compare, parse_examples

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the expectation on ``line``: ``written`` where there was none, ``changed`` with the first difference, or
    ``kept`` where the answer is still as expected."""

    line: int
    kind: str
    difference: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"line": self.line, "kind": self.kind, "difference": self.difference or None}


def with_expectations(data: bytes, answers: Mapping[int, list[Any]], name: str) -> tuple[bytes, tuple[Change, ...]]:
    """The content of a file of examples with these answers, by line, as expectations; an expectation that holds within its
    tolerance stays. ``ProjectError`` for a bad line, of which ``name`` tells the file."""
    lines = data.split(b"\n")
    changes = []
    for example in parse_examples(data, name):
        change = _change(example, answers[example.line])
        if change.kind != "kept":
            text = _edited(lines[example.line - 1].decode("utf-8"), answers[example.line]).encode("utf-8")
            if len(text) > MAX_LINE_BYTES:
                raise ProjectError(
                    f"With its expectation the line would have {len(text):,} bytes, and the most is {MAX_LINE_BYTES:,}.",
                    "Send fewer instances in one example.",
                    f"{name}:{example.line}",
                )
            lines[example.line - 1] = text
        changes.append(change)
    return b"\n".join(lines), tuple(changes)


def _change(example: Example, answer: list[Any]) -> Change:
    expect = example.expect
    if expect is None:
        return Change(example.line, "written")
    difference = compare(expect.predictions, answer, expect.rtol, expect.atol)
    return Change(example.line, "kept" if difference is None else "changed", difference or "")


def _edited(line: str, answer: list[Any]) -> str:
    """The line with the answer as its expectation. The text of the request is not touched."""
    predictions = _text(answer)
    expect = None
    end = last = line.index("{") + 1
    for key, start, end in _members(line):
        last = end
        if key == "expect":
            expect = (start, end)  # of a key that stands there twice the last counts
    if expect is None:
        return f'{line[:last]}, "expect": {{"predictions": {predictions}}}{line[last:]}'
    start, end = expect
    inner = line[start:end]
    if inner == "null":
        return f'{line[:start]}{{"predictions": {predictions}}}{line[end:]}'
    place = [span for key, *span in _members(inner) if key == "predictions"][-1]
    return line[: start + place[0]] + predictions + line[start + place[1] :]


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Key, and start and end of the value, of each member of the JSON object that ``text`` begins with."""
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield key, start, end
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match is not None else at


def _text(answer: list[Any]) -> str:
    text = json.dumps(answer, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a pair: only as an escape
        return json.dumps(answer)
    return text


def rewrite(path: Path, before: bytes, after: bytes) -> None:
    """Put ``after`` in the place of ``before``, whole: written beside, then renamed. A link goes on leading where it leads.

    ``ProjectError`` where the file is no longer what it was, ``OutputError`` where it cannot be written.
    """
    place = path.resolve()
    beside = place.parent / f".{place.name}.{secrets.token_hex(4)}"
    try:
        try:
            beside.write_bytes(after)
            shutil.copymode(place, beside)
            if place.read_bytes() != before:
                raise ProjectError("The examples were changed while they ran.", "Record once more.", str(path))
            beside.replace(place)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The expectations cannot be written: {error.strerror}.", "Make the folder writable.", str(path)
        ) from None
