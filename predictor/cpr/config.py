"""YAML as cpr reads it: bounded, every value with its line, scalars as the text the author wrote.

YAML's own guesses are not used: an unquoted ``3.10`` stays ``3.10``. Anchors, aliases, tags and duplicate keys are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from cpr.errors import ProjectError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 8
"""Levels of nesting. A routine needs three; the parser's own recursion gives out at about a thousand."""


@dataclass(frozen=True, slots=True)
class Value:
    """One YAML value and the line it starts on (from 1): text, a sequence, or a mapping with text keys."""

    line: int
    content: str | tuple[Value, ...] | Mapping[str, Value]
    key_line: int = 0


def read_mapping(path: Path) -> Mapping[str, Value]:
    """Read the file's one document, a mapping. ``ProjectError`` with file and line for everything else."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ProjectError(
            f"There is no {path.name} in {'this folder' if path.parent == Path() else path.parent}.",
            "Name a routine folder, or start one with `cpr new DIR`.",
            str(path),
        ) from None
    except OSError as error:
        raise ProjectError(f"It cannot be read: {error.strerror}.", "Check the path and its permissions.", str(path)) from None
    if len(data) > MAX_BYTES:
        raise ProjectError(f"It has {len(data)} bytes.", f"Keep it under {MAX_BYTES} bytes.", str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProjectError("It is not UTF-8 text.", "Save it as UTF-8.", f"{path}:{line}") from None
    try:
        _check_events(text, path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ProjectError(f"It is not valid YAML: {error.problem}.", "Mend the line.", where) from None
    except yaml.YAMLError as error:
        raise ProjectError(f"It is not valid YAML: {error}.", "Remove the character.", str(path)) from None
    if node is None:
        raise ProjectError("It is empty.", "Write at least name, version and predictor.", str(path))
    value = _value(node, path)
    if not isinstance(value.content, Mapping):
        raise ProjectError("It is not a mapping of keys to values.", "Write `key: value` lines.", f"{path}:{value.line}")
    return value.content


def _check_events(text: str, path: Path) -> None:
    """Refuse what must not be composed: deep nesting, aliases, and more than one document."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        mark = event.start_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ProjectError("Anchors and aliases are not read.", "Write the value out.", where)
        if getattr(event, "tag", None):
            raise ProjectError("Tags, which start with an exclamation mark, are not read.", "Leave it out, or quote it.", where)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ProjectError(f"It is nested more than {MAX_DEPTH} levels deep.", "Close the brackets.", where)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise ProjectError("It holds more than one document.", "Remove the second `---`.", where)


def _value(node: yaml.Node, path: Path, key_line: int = 0) -> Value:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        if not _is_unicode(node.value):
            raise ProjectError("It holds half of a surrogate pair.", "Write the character itself.", f"{path}:{line}")
        return Value(line, str(node.value), key_line)
    if isinstance(node, yaml.SequenceNode):
        return Value(line, tuple(_value(item, path) for item in node.value), key_line)
    members: dict[str, Value] = {}
    for key, item in node.value:
        at = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ProjectError("A key is not text.", "Write `key: value`.", f"{path}:{at}")
        if key.value in members:
            raise ProjectError(f"The key {key.value!r} is there twice.", "Keep one of them.", f"{path}:{at}")
        members[key.value] = _value(item, path, at)
    return Value(line, members, key_line)


def _is_unicode(text: str) -> bool:
    """False where an escape such as ``\\ud800`` made what no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
