"""Messages as people paste them, and the texts that they are made from.

A pasted message has other names and numbers than the text it came from; it is wrapped, quoted, escaped, put into JSON or HTML
by what carried it, or cut short. So both are compared as words, with gaps for the names: what stands between the words says
nothing. A text fits where all of its words are there in order, or where the message ends in the middle of it.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

MAX_CHARACTERS = 1 << 20
"""Of a longer message its first and its last half of so many are read."""

_GAP = 40  # words, at most, in the place of one name; a command with its arguments has some twenty
_ENOUGH = 8  # words of a text after which a message may be cut short, whatever the text's length

_PLACEHOLDER = re.compile(r"\{([a-z]+(?: [a-z]+)*)\}")
_PART = r"(?:[a-z0-9_]|\{[a-z]+(?: [a-z]+)*\})+"
_WORDS_OF_TEXT = re.compile(rf"{_PART}(?:\.{_PART})*")
_WORDS = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*|\.\.\.|…")
_CUT = ("...", "…")

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\+([nrt])|\\+([\"'/])")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_WRAPPED = re.compile(r"(\.?)[ \t|│>#]*\r?\n[ \t|│>#]*(\.?)")


class Fit(NamedTuple):
    """Where a text fits a message: the places of its words among the message's, and how much of it is there.

    ``score`` is 1 where all of its words are, less where the message is cut short. ``weight`` is the number of its letters that
    are there: the higher, the more it says.
    """

    places: tuple[int, ...]
    score: float
    weight: int

    def within_a_gap_of(self, other: Fit) -> bool:
        """True where ``other`` names nothing of this, and has it between its words."""
        between = other.places[0] < self.places[0] and self.places[-1] < other.places[-1]
        return between and not set(self.places) & set(other.places)

    def says_less_than(self, other: Fit) -> bool:
        """True where ``other`` has all of these words and more, or says the same more precisely."""
        if self.places == other.places:
            return self.weight < other.weight
        return set(self.places) < set(other.places)


class Message:
    """A pasted message as words. Two words with nothing but a line end between them may be one that was wrapped."""

    def __init__(self, text: str) -> None:
        plain = _plain(text)
        wraps = {match.start(): match for match in _WRAPPED.finditer(plain)}
        self.words: list[str] = []
        self.whole: list[str | None] = []
        """For each word, it and the one before it as one, where a line end may have divided them."""
        end = -1
        for match in _WORDS.finditer(plain):
            wrap = wraps.get(end)
            divided = wrap is not None and wrap.end() == match.start()
            self.whole.append(f"{self.words[-1]}{wrap[1] or wrap[2]}{match[0]}" if wrap is not None and divided else None)
            self.words.append(match[0])
            end = match.end()

    @cached_property
    def _index(self) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for place, word in enumerate(self.words):
            for text in _tails(word):
                index.setdefault(text, []).append(place)
            whole = self.whole[place]
            for text in _tails(whole) if whole is not None else ():
                index.setdefault(text, []).append(place - 1)
        return index

    @property
    def is_empty(self) -> bool:
        return all(word in _CUT for word in self.words)

    def places(self, word: Word) -> list[int]:
        """Where a word of a text stands, in order."""
        if word.pattern is None:
            return self._index.get(word.text, [])
        fitting = (places for found, places in self._index.items() if word.pattern.fullmatch(found))
        return sorted({place for places in fitting for place in places})

    def length_at(self, place: int, word: Word) -> int:
        """How many words of the message from ``place`` on are ``word``: 0, 1, or 2 where a line end divides it."""
        if word.is_in(self.words[place]):
            return 1
        whole = self.whole[place + 1] if place + 1 < len(self.words) else None
        return 2 if whole is not None and word.is_in(whole) else 0

    def ends_at(self, place: int) -> bool:
        """Whether nothing of the message is left there, or it was cut short there and says so."""
        return place >= len(self.words) or self.words[place] in _CUT


class Word(NamedTuple):
    """One word of a text; ``pattern`` where a part of it changes."""

    text: str
    pattern: re.Pattern[str] | None = None

    def is_in(self, found: str) -> bool:
        """The word itself, or the last of dotted names: ``json.JSONDecodeError`` is a ``JSONDecodeError``."""
        if self.pattern is None:
            return found == self.text or found.endswith("." + self.text)
        return any(self.pattern.fullmatch(tail) for tail in _tails(found))


class Text:
    """A text that a platform prints, with ``{name}`` for what changes, ``{number}`` and ``{hex}`` for digits alone."""

    def __init__(self, source: str) -> None:
        self.source = source
        runs: list[list[Word]] = [[]]
        for match in _WORDS_OF_TEXT.finditer(source.lower()):
            word = _word(match[0])
            if word is not None:
                runs[-1].append(word)
            elif runs[-1]:
                runs.append([])
        self.runs = [run for run in runs if run]

    @property
    def words(self) -> list[Word]:
        """Without the gaps."""
        return [word for run in self.runs for word in run]

    @cached_property
    def key(self) -> str:
        """The same for two texts that differ in nothing that counts."""
        return " * ".join(" ".join(word.text for word in run) for run in self.runs)

    @cached_property
    def _enough(self) -> int:
        return max(4, min(_ENOUGH, -(-len(self.words) * 3 // 5)))

    def fit(self, message: Message) -> Fit | None:
        """Where this text fits best; ``None`` where it does not."""
        if not self.runs:
            return None
        later = [message.places(run[0]) for run in self.runs[1:]]
        best: Fit | None = None
        for start in message.places(self.runs[0][0]):
            found = self._from(message, start, later)
            if found is not None and (best is None or found.weight > best.weight):
                best = found
                if best.score == 1:
                    break
        return best

    def _from(self, message: Message, start: int, later: Sequence[list[int]]) -> Fit | None:
        places, end, cut = _run_at(message, start, self.runs[0])
        if not places:
            return None
        for run, starts in zip(self.runs[1:], later, strict=True):
            if cut:
                break
            more: list[int] = []
            for start in _between(starts, end, end + _GAP):
                more, end, cut = _run_at(message, start, run)
                if more:
                    break
            if not more:
                break  # a message that ends in a gap has said nothing yet that is this text's own
            places += more
        count = len(places)
        words = self.words
        if count < len(words) and not (cut and count >= self._enough):
            return None
        weight = sum(len(_PLACEHOLDER.sub("", word.text)) for word in words[:count])
        return Fit(tuple(places), count / len(words), weight)


def _tails(word: str) -> Iterator[str]:
    """A dotted word without its first parts: ``a.b.c``, ``b.c``, ``c``."""
    yield word
    for _ in range(word.count(".") if word not in _CUT else 0):
        word = word.partition(".")[2]
        yield word


def _run_at(message: Message, start: int, run: Sequence[Word]) -> tuple[list[int], int, bool]:
    """The places of the words of ``run`` from ``start`` on, where it ends, and whether the message was cut short in it; no
    places where it is not there."""
    places: list[int] = []
    place = start
    for word in run:
        if message.ends_at(place):
            return places, place, True
        length = message.length_at(place, word)
        if not length:
            last = message.ends_at(place + 1)
            half = last and word.pattern is None and word.text.startswith(message.words[place])
            return (places, place, True) if half else ([], place, False)
        places.append(place)
        place += length
    return places, place, False


def _between(places: Sequence[int], first: int, last: int) -> Iterator[int]:
    for index in range(bisect_left(places, first), len(places)):
        if places[index] > last:
            return
        yield places[index]


def _word(text: str) -> Word | None:
    """``None`` for a gap."""
    names = _PLACEHOLDER.findall(text)
    if not names:
        return Word(text)
    if _PLACEHOLDER.fullmatch(text) and names[0] not in ("number", "hex"):
        return None
    parts = _PLACEHOLDER.split(text)
    spelt = (re.escape(part) if index % 2 == 0 else _CLASSES.get(part, "[a-z0-9_.]+") for index, part in enumerate(parts))
    return Word(text, re.compile("".join(spelt)))


_CLASSES = {"number": "[0-9]+", "hex": "[0-9a-f]+"}


def _plain(text: str) -> str:
    """Lower case, without what terminals, HTML and JSON add."""
    if len(text) > MAX_CHARACTERS:
        half = MAX_CHARACTERS // 2
        text = f"{text[:half]}\n{text[-half:]}"
    text = _COLOUR.sub("", text)
    text = html.unescape(html.unescape(text)) if "&" in text else text
    for _ in range(2):  # JSON within JSON
        text = _ESCAPE.sub(_unescaped, text)
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text).lower()


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return "\n" if match[2] else match[3]
