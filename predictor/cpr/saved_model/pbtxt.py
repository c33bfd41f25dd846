"""``saved_model.pbtxt``: the text form, turned into the bytes that :mod:`cpr.saved_model.reader` walks.

Only the fields that the reader wants are kept; everything else is checked for its brackets and dropped. The language:
https://protobuf.dev/reference/protobuf/textformat-spec/. No recursion: nesting costs a list
entry, and stops at 100 as in protobuf.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from cpr.errors import ModelError
from cpr.saved_model.dtypes import numbers_by_enum_name
from cpr.saved_model.wire import Buffer

_DEEPEST = 100

_TEXT, _SHORT, _INT, _BOOL, _DTYPE, _CLASS = "text", "short", "int", "bool", "dtype", "class"
_FLOAT, _DOUBLE = "float", "double"

_SHORTEST = 64
"""Bytes of text that a field of kind ``_SHORT`` holds at most: what is longer is no single number, and is left out."""

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
    "MetaInfoDef": {
        "tags": (4, _TEXT),
        "tensorflow_version": (5, _TEXT),
        "tensorflow_git_version": (6, _TEXT),
        "stripped_default_attrs": (7, _BOOL),
    },
    "GraphDef": {"node": (1, "NodeDef"), "library": (2, "Library"), "versions": (4, "VersionDef")},
    "VersionDef": {"producer": (1, _INT), "min_consumer": (2, _INT), "bad_consumers": (3, _INT)},
    "NodeDef": {"name": (1, _TEXT), "op": (2, _TEXT), "input": (3, _TEXT), "attr": (5, "AttrEntry")},
    "AttrEntry": {"key": (1, _TEXT), "value": (2, "AttrValue")},
    "AttrValue": {"list": (1, "ListValue"), "b": (5, _BOOL), "tensor": (8, "Tensor"), "func": (10, "Function")},
    "ListValue": {"func": (9, "Function")},
    "Function": {"name": (1, _TEXT)},
    "Tensor": {
        "dtype": (1, _DTYPE),
        "tensor_content": (4, _SHORT),
        "float_val": (5, _FLOAT),
        "double_val": (6, _DOUBLE),
        "int_val": (7, _INT),
        "int64_val": (10, _INT),
        "half_val": (13, _INT),
    },
    "Library": {"function": (1, "FunctionDef")},
    "FunctionDef": {
        "signature": (1, "OpDef"),
        "node_def": (3, "NodeDef"),
        "ret": (4, "TextEntry"),
        "control_ret": (6, "TextEntry"),
    },
    "OpDef": {"name": (1, _TEXT), "input_arg": (2, "ArgDef"), "output_arg": (3, "ArgDef")},
    "ArgDef": {"name": (1, _TEXT)},
    "TextEntry": {"key": (1, _TEXT), "value": (2, _TEXT)},
    "CollectionEntry": {"key": (1, _TEXT), "value": (2, "CollectionDef")},
    "CollectionDef": {"node_list": (1, "NodeList"), "any_list": (5, "AnyList")},
    "NodeList": {"value": (1, _TEXT)},
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
    "SavedObject": {
        "children": (1, "ObjectReference"),
        "slot_variables": (3, "SlotVariableReference"),
        "user_object": (4, "SavedUserObject"),
        "function": (6, "SavedFunction"),
        "variable": (7, "SavedVariable"),
    },
    "ObjectReference": {"node_id": (1, _INT), "local_name": (2, _TEXT)},
    "SlotVariableReference": {
        "original_variable_node_id": (1, _INT),
        "slot_name": (2, _TEXT),
        "slot_variable_node_id": (3, _INT),
    },
    "SavedUserObject": {"identifier": (1, _TEXT), "metadata": (3, _TEXT)},
    "SavedFunction": {"concrete_functions": (1, _TEXT)},
    "SavedVariable": {"dtype": (1, _DTYPE), "shape": (2, "TensorShape"), "trainable": (3, _BOOL), "name": (6, _TEXT)},
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
_QUOTES = {34: b'"', 39: b"'"}
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,21}|[1-9][0-9]{0,19})")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_FRACTION = re.compile(
    rb"[-+]?(?:[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?)[fF]?|[-+]?(?i:nan|inf|infinity)"
)
_FRACTIONS = {_FLOAT: (5, "<f"), _DOUBLE: (1, "<d")}
_BACKSLASH, _CHUNK = 92, 1 << 20
_CLOSING = {b"{": b"}", b"<": b">", b"[": b"]"}


@dataclass(slots=True)
class _Open:
    """A message, or a list of messages, whose closing bracket has not come yet. No ``kind``: the reader does not want it."""

    kind: str | None
    number: int
    closing: bytes
    content: bytearray = field(default_factory=bytearray)


def to_wire(source: Buffer) -> bytes:
    """The bytes of a ``saved_model.pb`` with the same model, as far as the reader wants it. ``ModelError`` where it is none."""
    return bytes(_Parser(source).run())


class _Parser:
    def __init__(self, source: Buffer) -> None:
        self.source = source
        self.tokens = _tokens(source)
        self.place = self.end = 0
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
        size = len(self.source)
        self.place, self.end, self.token = next(self.tokens, (size, size, b""))

    def wrong(self, expected: str) -> ModelError:
        line = _line(self.source, self.place)
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
        if token in _QUOTES.values():
            self.text(number, kind)
            return
        if not token or token in b"{}<>:;,[]":
            raise self.wrong("a value")
        if kind in _FRACTIONS:
            self.stack[-1].content += self.fraction(number, kind)
        elif kind is not None:
            self.stack[-1].content += _varint(number << 3) + _varint(self.number(kind, token.decode(errors="replace")))
        self.advance()

    def text(self, number: int, kind: str | None) -> None:
        """One or several strings: together they are one. What is not wanted is not copied."""
        if kind not in (_TEXT, _SHORT, None):
            raise self.wrong("something other than text")
        parts = []
        while self.token in _QUOTES.values():
            if kind == _TEXT or (kind == _SHORT and self.end - self.place < 8 * _SHORTEST):
                parts.append(_unescaped(self.source[self.place + 1 : self.end - 1]))
            elif kind == _SHORT:
                parts.append(bytes(_SHORTEST + 1))
            self.advance()
        value = b"".join(parts)
        if kind == _TEXT or (kind == _SHORT and len(value) <= _SHORTEST):
            self.stack[-1].content += _varint(number << 3 | 2) + _varint(len(value)) + value

    def fraction(self, number: int, kind: str) -> bytes:
        if not _FRACTION.fullmatch(self.token):
            raise self.wrong("a number")
        wire, layout = _FRACTIONS[kind]
        digits = self.token[:-1] if self.token[-1:] in b"fF" and self.token[-2:-1] not in b"nN" else self.token
        value = float(digits)
        try:
            packed = struct.pack(layout, value)
        except OverflowError:
            packed = struct.pack(layout, math.copysign(math.inf, value))
        return _varint(number << 3 | wire) + packed

    def number(self, kind: str, word: str) -> int:
        if word in _ENUMS.get(kind, {}):
            return _ENUMS[kind][word]
        if kind in _SCHEMA or kind in (_TEXT, _SHORT) or not _INTEGER.fullmatch(word):
            raise self.wrong(
                "a message" if kind in _SCHEMA else "text" if kind in (_TEXT, _SHORT) else f"a value of type {kind}"
            )
        digits = word.lstrip("+-").lower()
        value = int(digits, 16 if "x" in digits else 8 if digits.startswith("0") else 10)
        if value >> 63:
            raise self.wrong("a number of 64 bits")
        return (-value if word.startswith("-") else value) & ((1 << 64) - 1)


def _tokens(source: Buffer) -> Iterator[tuple[int, int, bytes]]:
    """Where each token begins and ends, and the token; of a string only its quote, for it may be as long as the file."""
    position, size = 0, len(source)
    while position < size:
        blank = _BLANK.match(source, position)
        if blank is not None:
            position = blank.end()
            continue
        quote = _QUOTES.get(source[position])
        if quote is not None:
            end = _string_end(source, position, quote)
            yield position, end, quote
        else:
            word = _WORD.match(source, position)
            if word is None:
                raise _unreadable(source, position)
            end = word.end()
            yield position, end, word.group()
        position = end


def _string_end(source: Buffer, start: int, quote: bytes) -> int:
    end = start
    while True:
        end = source.find(quote, end + 1)
        before = end - 1
        while before > start and source[before] == _BACKSLASH:
            before -= 1
        if end < 0 or (end - before) % 2:
            break
    if end < 0 or source.find(b"\n", start, end) >= 0:
        raise _unreadable(source, start)
    return end + 1


def _line(source: Buffer, position: int) -> int:
    return 1 + sum(source[at : min(position, at + _CHUNK)].count(b"\n") for at in range(0, position, _CHUNK))


def _unreadable(source: Buffer, position: int) -> ModelError:
    return ModelError(
        f"Not a readable SavedModel text file: line {_line(source, position)} is not protobuf text.",
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
