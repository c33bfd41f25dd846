"""Texts inside the graph: base64 as clients really send it, and words as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cpr.embedding._tensorflow import refusing, tensorflow
from cpr.errors import UsageError

_WEB_SAFE = "(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}(?:==)?|[A-Za-z0-9_-]{3}=?)?"
"""RFC 4648, section 5; the padding is whole or not there."""


def decode_b64(texts: Any) -> Any:
    """The bytes that base64 texts stand for: a string tensor of the same shape, its outer dimension the rows.

    Each row may use the standard or the web-safe alphabet, with or without ``=`` padding, with spaces and line breaks:
    what :func:`cpr.decode_b64` takes. (``tf.io.decode_base64`` alone takes the web-safe alphabet, and no spaces.) Anything
    else fails the request with the row's name.
    """
    return decoded(texts, "is not base64, or was cut short.")


def decoded(texts: Any, otherwise: str) -> Any:
    """The same; ``otherwise`` is what the error says of a row that is not base64."""
    tf = tensorflow()
    compact = tf.strings.regex_replace(texts, r"[ \t\n\v\f\r]+", "")
    web_safe = tf.strings.regex_replace(tf.strings.regex_replace(compact, r"\+", "-"), "/", "_")
    right = tf.strings.regex_full_match(web_safe, _WEB_SAFE)
    return tf.io.decode_base64(refusing(tf, right, web_safe, otherwise))


def lookup(vocabulary: Sequence[str] | Path | str, unknown: int = -1) -> Lookup:
    """A part that turns words into their places in ``vocabulary``, from 0; ``unknown`` is the number of all other words.

    ``vocabulary`` is a list of words, or the path of a text file with one a line, which becomes an asset of the SavedModel.
    The part takes a string tensor of any shape and gives int64 of the same. ``UsageError`` where a word is there twice.
    """
    return Lookup(vocabulary, unknown)


class Lookup:
    """See :func:`lookup`. ``table`` is the ``tf.lookup.StaticHashTable``."""

    def __init__(self, vocabulary: Sequence[str] | Path | str, unknown: int) -> None:
        tf = tensorflow()
        if isinstance(vocabulary, (str, Path)):
            _check_words(_lines(Path(vocabulary)))
            line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
            initializer = tf.lookup.TextFileInitializer(str(vocabulary), tf.string, line, tf.int64, number)
        else:
            _check_words(vocabulary)
            numbers = tf.range(len(vocabulary), dtype=tf.int64)
            initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(list(vocabulary), tf.string), numbers)
        self.table = tf.lookup.StaticHashTable(initializer, unknown)

    def __call__(self, words: Any) -> Any:
        return self.table.lookup(words)


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise UsageError(f"The vocabulary cannot be read: {error.strerror}.", "Check the path.", str(path)) from None


def _check_words(words: Sequence[str | bytes]) -> None:
    if not words:
        raise UsageError("The vocabulary is empty.", "Give at least one word.", "vocabulary")
    seen: set[str | bytes] = set()
    for number, word in enumerate(words):
        if word in seen:
            raise UsageError(f"The vocabulary has {word!r} twice; again at {number}.", "Leave one of them out.", "vocabulary")
        seen.add(word)
