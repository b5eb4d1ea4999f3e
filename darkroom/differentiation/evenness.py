"""How evenly a selection uses the options of each dimension."""

from collections.abc import Sequence

import numpy as np

from darkroom.differentiation.candidates import Word, Words

LOOKED_AT_COUNT = 4_096  # of more words that are equally good, the first ones are a fair sample


class Usage:
    """Counts how often each option was chosen."""

    def __init__(self, alphabets: Sequence[int]) -> None:
        self._counts = [np.zeros(options, dtype=np.int32) for options in alphabets]

    def add(self, word: Word) -> None:
        """Count a chosen word."""
        for counts, option in zip(self._counts, word, strict=True):
            counts[option] += 1

    def least_used(self, words: Words) -> int:
        """Find the word with the least used options; the first of equals."""
        used = np.zeros(words.shape[1], dtype=np.int32)
        for counts, options in zip(self._counts, words, strict=True):
            used += counts[options]
        return int(used.argmin())


def unevenness(words: Words, alphabets: Sequence[int]) -> int:
    """Add up the squares of the option counts: the smaller, the more even."""
    return sum(
        int((np.bincount(options, minlength=size) ** 2).sum())
        for options, size in zip(words, alphabets, strict=True)
    )
