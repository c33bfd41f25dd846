"""``saved_model.pbtxt``: the text form, turned into the bytes that :mod:`cpr.saved_model.reader` walks.

Only the fields that the reader wants are kept; everything else is checked for its brackets and dropped. The language:
https://protobuf.dev/reference/protobuf/textformat-spec/. No recursion: nesting costs a list
entry, and stops at 100 as in protobuf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cpr.errors import ModelError
from cpr.saved_model.dtypes import numbers_by_enum_name

_DEEPEST = 100

_TEXT, _INT, _BOOL, _DTYPE, _CLASS = "text", "int", "bool", "dtype", "class"

_SCHEMA: dict[str, dict[str, tuple[int, str]]] = {
    "SavedModel": {"meta_graphs": (2, "MetaGraphDef")},
    "MetaGraphDef": {
        "meta_info_def": (1, "MetaInfoDef"),
        "graph_def": (2, "GraphDef"),
        "collection_def": (4, "CollectionEntry"),
        "signature_def": (5, "SignatureEntry"),
        "asset_file_def": (6, "AssetFileDef"),
        "object_graph_def": (7, "SavedObjectGraph"),
    },
    "MetaInfoDef": {"tags": (4, _TEXT), "tensorflow_version": (5, _TEXT)},
    "GraphDef": {"node": (1, "NodeDef"), "library": (2, "Library")},
    "NodeDef": {"op": (2, _TEXT)},
    "Library": {"function": (1, "FunctionDef")},
    "FunctionDef": {"node_def": (3, "NodeDef")},
    "CollectionEntry": {"key": (1, _TEXT), "value": (2, "CollectionDef")},
    "CollectionDef": {"any_list": (5, "AnyList")},
    "AnyList": {"value": (1, "Any")},
    "Any": {"value": (2, _TEXT), "[type.googleapis.com/tensorflow.AssetFileDef]": (2, "AssetFileDef")},
    "SignatureEntry": {"key": (1, _TEXT), "value": (2, "SignatureDef")},
    "SignatureDef": {"inputs": (1, "TensorEntry"), "outputs": (2, "TensorEntry"), "method_name": (3, _TEXT)},
    "TensorEntry": {"key": (1, _TEXT), "value": (2, "TensorInfo")},
    "TensorInfo": {
        "name": (1, _TEXT),
        "dtype": (2, _DTYPE),
        "tensor_shape": (3, "TensorShape"),
        "coo_sparse": (4, "CooSparse"),
        "composite_tensor": (5, "Composite"),
    },
    "CooSparse": {
        "values_tensor_name": (1, _TEXT),
        "indices_tensor_name": (2, _TEXT),
        "dense_shape_tensor_name": (3, _TEXT),
    },
    "Composite": {"type_spec": (1, "TypeSpec"), "components": (2, "TensorInfo")},
    "TypeSpec": {"type_spec_class": (1, _CLASS), "type_spec_class_name": (3, _TEXT)},
    "TensorShape": {"dim": (2, "Dim"), "unknown_rank": (3, _BOOL)},
    "Dim": {"size": (1, _INT)},
    "AssetFileDef": {"filename": (2, _TEXT)},
    "SavedObjectGraph": {"nodes": (1, "SavedObject")},
    "SavedObject": {},
}

_CLASSES = {
    "UNKNOWN": 0,
    "SPARSE_TENSOR_SPEC": 1,
    "INDEXED_SLICES_SPEC": 2,
    "RAGGED_TENSOR_SPEC": 3,
    "TENSOR_ARRAY_SPEC": 4,
    "DATA_DATASET_SPEC": 5,
    "DATA_ITERATOR_SPEC": 6,
    "OPTIONAL_SPEC": 7,
    "PER_REPLICA_SPEC": 8,
    "VARIABLE_SPEC": 9,
    "ROW_PARTITION_SPEC": 10,
    "REGISTERED_TYPE_SPEC": 12,
    "EXTENSION_TYPE_SPEC": 13,
}

_ENUMS = {
    "dtype": numbers_by_enum_name(),
    "class": _CLASSES,
    "bool": {"true": 1, "True": 1, "t": 1, "false": 0, "False": 0, "f": 0},
}

_BLANK = re.compile(rb"(?:[ \t\r\n\f\v]+|#[^\n]*)+")
_WORD = re.compile(rb"\[\s*[A-Za-z_][\w\-%\s]*[./][\w.\-/%\s]*\]|[-+A-Za-z0-9_.]+|[{}<>:;,\[\]]")
_PLAIN = {34: re.compile(rb'[^"\\\n]*'), 39: re.compile(rb"[^'\\\n]*")}
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,21}|[1-9][0-9]{0,19})")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_CLOSING = {b"{": b"}", b"<": b">", b"[": b"]"}


@dataclass(slots=True)
class _Open:
    """A message, or a list of messages, whose closing bracket has not come yet. No ``kind``: the reader does not want it."""

    kind: str | None
    number: int
    closing: bytes
    content: bytearray = field(default_factory=bytearray)


def to_wire(source: bytes) -> bytes:
    """The bytes of a ``saved_model.pb`` with the same model, as far as the reader wants it. ``ModelError`` where it is none."""
    return bytes(_Parser(source).run())


class _Parser:
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.tokens = _tokens(source)
        self.place = 0
        self.token = b""
        self.stack = [_Open("SavedModel", 0, b"")]

    def run(self) -> bytearray:
        self.advance()
        while self.token or len(self.stack) > 1:
            top = self.stack[-1]
            if self.token and self.token == top.closing:
                self.close()
            elif self.token in (b",", b";"):
                self.advance()
            elif top.closing != b"]":
                self.field()
            elif self.token in (b"{", b"<"):
                self.open(top.number, top.kind)
            else:
                raise self.wrong("an opening bracket")
        return self.stack[0].content

    def advance(self) -> None:
        self.place, self.token = next(self.tokens, (len(self.source), b""))

    def wrong(self, expected: str) -> ModelError:
        line = self.source.count(b"\n", 0, self.place) + 1
        found = repr(self.token[:40].decode(errors="replace")) if self.token else "the end"
        return ModelError(
            f"Not a readable SavedModel text file: line {line} has {found} where {expected} should be.",
            "Export the model again; a binary file must be named saved_model.pb.",
        )

    def field(self) -> None:
        name = self.token
        if not (name[:1].isalpha() or (name[:1] in b"_[" and len(name) > 2)):
            raise self.wrong("the name of a field")
        self.advance()
        number, kind = self.meaning(name)
        colon = self.token == b":"
        if colon:
            self.advance()
        if self.token in (b"{", b"<"):
            self.open(number, kind)
        elif self.token == b"[":
            self.listed(number, kind)
        elif not colon:
            raise self.wrong("a colon or an opening bracket")
        else:
            self.scalar(number, kind)

    def meaning(self, name: bytes) -> tuple[int, str | None]:
        kind = self.stack[-1].kind
        key = re.sub(rb"\s", b"", name).decode(errors="replace")
        return _SCHEMA.get(kind or "", {}).get(key, (0, None))

    def open(self, number: int, kind: str | None) -> None:
        if kind is not None and kind not in _SCHEMA:
            raise self.wrong("a value")
        if len(self.stack) > _DEEPEST:
            raise self.wrong(f"nesting of at most {_DEEPEST}")
        self.stack.append(_Open(kind, number, _CLOSING[self.token]))
        self.advance()

    def close(self) -> None:
        done = self.stack.pop()
        self.advance()
        if done.closing == b"]":
            self.stack[-1].content += done.content
        elif done.kind is not None:
            header = _varint(done.number << 3 | 2) + _varint(len(done.content))
            self.stack[-1].content += header + done.content

    def listed(self, number: int, kind: str | None) -> None:
        """``[1, 2]`` or ``[{…}, {…}]``, from the opening bracket on."""
        if kind in _SCHEMA:
            self.open(number, kind)
            return
        self.advance()
        if self.token in (b"{", b"<"):
            self.stack.append(_Open(None, 0, b"]"))
            return
        while self.token != b"]":
            self.scalar(number, kind)
            if self.token == b",":
                self.advance()
            elif self.token != b"]":
                raise self.wrong("a comma or the end of the list")
        self.advance()

    def scalar(self, number: int, kind: str | None) -> None:
        token = self.token
        if token[:1] in (b'"', b"'"):
            parts = []
            while self.token[:1] in (b'"', b"'"):
                parts.append(self.token)
                self.advance()
            if kind == _TEXT:
                value = b"".join(_unescaped(part[1:-1]) for part in parts)
                self.stack[-1].content += _varint(number << 3 | 2) + _varint(len(value)) + value
            elif kind is not None:
                raise self.wrong("something other than text")
            return
        if not token or token in b"{}<>:;,[]":
            raise self.wrong("a value")
        if kind is not None:
            self.stack[-1].content += _varint(number << 3) + _varint(self.number(kind, token.decode(errors="replace")))
        self.advance()

    def number(self, kind: str, word: str) -> int:
        if word in _ENUMS.get(kind, {}):
            return _ENUMS[kind][word]
        if kind in _SCHEMA or kind == _TEXT or not _INTEGER.fullmatch(word):
            raise self.wrong(f"a {'message' if kind in _SCHEMA else kind}")
        digits = word.lstrip("+-").lower()
        value = int(digits, 16 if "x" in digits else 8 if digits.startswith("0") else 10)
        if value >> 63:
            raise self.wrong("a number of 64 bits")
        return (-value if word.startswith("-") else value) & ((1 << 64) - 1)


def _tokens(source: bytes) -> Iterator[tuple[int, bytes]]:
    position, size = 0, len(source)
    while position < size:
        blank = _BLANK.match(source, position)
        if blank is not None:
            position = blank.end()
            continue
        if source[position] in _PLAIN:
            end = _string_end(source, position)
        else:
            word = _WORD.match(source, position)
            if word is None:
                raise _unreadable(source, position)
            end = word.end()
        yield position, source[position:end]
        position = end


def _string_end(source: bytes, start: int) -> int:
    quote = source[start]
    plain, position, size = _PLAIN[quote], start + 1, len(source)
    while position < size:
        found = plain.match(source, position)
        position = found.end() if found is not None else position
        if position < size and source[position] == quote:
            return position + 1
        if position + 1 >= size or source[position] != 92:
            break
        position += 2
    raise _unreadable(source, start)


def _unreadable(source: bytes, position: int) -> ModelError:
    line = source.count(b"\n", 0, position) + 1
    return ModelError(
        f"Not a readable SavedModel text file: line {line} is not protobuf text.",
        "Export the model again; a binary file must be named saved_model.pb.",
    )


def _unescaped(content: bytes) -> bytes:
    return _ESCAPE.sub(_character, content) if b"\\" in content else content


def _character(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, letter = match.groups()
    if octal is not None:
        return bytes([int(octal, 8) & 255])
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    if letter is not None:
        return _LETTERS.get(letter, letter)
    return chr(min(int(short or long, 16), 0x10FFFF)).encode(errors="replace")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
