"""Text to words. Used in training and in serving, so that both see the same words."""

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # FooBar and foo_bar are two words each, HTTPError is HTTP and Error
LONGEST = 300  # words looked at: a docstring has said by then what it is about


def words(text):
    """The first words of ``text`` in lower case: ``"Return the EventLoop"`` gives ``["return", "the", "event", "loop"]``."""
    return [match.group().lower() for _, match in zip(range(LONGEST), _WORD.finditer(text))]


class Vocabulary:
    """Numbers for words: 1 for the first line of the vocabulary file, 2 for the second… 0 is left for padding."""

    def __init__(self, lines):
        self._numbers = {word: number for number, word in enumerate(lines, start=1)}

    def __len__(self):
        return len(self._numbers)

    def numbers(self, text):
        """The numbers of the words in ``text``; a word that is not in the vocabulary is left out."""
        return [self._numbers[word] for word in words(text) if word in self._numbers]

    def rows(self, texts):
        """One row of numbers for each text, all as long as the longest, padded with 0. A row has at least one number."""
        rows = [self.numbers(text) for text in texts]
        length = max(1, max(map(len, rows)))
        return [row + [0] * (length - len(row)) for row in rows]
