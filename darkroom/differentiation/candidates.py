"""Combinations as a matrix of option numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.measures import UNKNOWN, Measure, Words, pick
from darkroom.domain.difference import Combination, Dimension

LARGEST_NUMBER = 2**62

WordNumbers = NDArray[np.int64]  # (words,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Words that may be chosen; their order is seeded, so "the first" is a fair tie-break.

    `alphabets` holds the number of options of each dimension, used or not.
    """

    words: Words
    measure: Measure
    alphabets: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of words."""
        return self.words.shape[1]

    @property
    def cells(self) -> int:
        """Option numbers to look at when every word is measured once."""
        return self.words.size

    def among(self, which: NDArray[Any]) -> "Candidates":
        """Keep the words of a mask or of an array of indexes."""
        return replace(self, words=pick(self.words, which))


def encode(combinations: Sequence[Combination], dimensions: Sequence[Dimension]) -> Words:
    """Turn combinations into distinct words; a missing dimension or option is UNKNOWN."""
    numbers = [{option: n for n, option in enumerate(d.options)} for d in dimensions]
    rows = {
        tuple(
            known.get(options.get(dimension.name, ""), UNKNOWN)
            for dimension, known in zip(dimensions, numbers, strict=True)
        )
        for options in map(dict, combinations)
    }
    words = np.array(sorted(rows), dtype=np.int32).reshape(len(rows), len(dimensions))
    return words.T


def decode(words: Words, dimensions: Sequence[Dimension]) -> tuple[Combination, ...]:
    """Turn words back into combinations, in the same order."""
    return tuple(
        tuple((d.name, d.options[int(option)]) for d, option in zip(dimensions, word, strict=True))
        for word in words.T
    )


def number_words(words: Words, alphabets: Sequence[int]) -> WordNumbers:
    """Give equal words equal numbers and different words different ones."""
    numbers, room = np.zeros(words.shape[1], dtype=np.int64), 1
    for options, size in zip(words, alphabets, strict=True):
        if room > LARGEST_NUMBER // max(size, 1):
            numbers, room = np.unique(numbers, return_inverse=True)[1], words.shape[1]
        numbers = numbers * size + options
        room *= max(size, 1)
    return numbers


def distinct(words: Words, alphabets: Sequence[int]) -> Words:
    """Keep the first of equal words, in the order in which they are."""
    _, first = np.unique(number_words(words, alphabets), return_index=True)
    return pick(words, np.sort(first))


def is_among(words: Words, others: Words, alphabets: Sequence[int]) -> NDArray[np.bool_]:
    """Mark the words that are one of the others; one with an unknown option is nobody's equal."""
    known, count = pick(others, (others != UNKNOWN).all(axis=0)), int(words.shape[1])
    if not known.shape[1]:
        return np.zeros(count, dtype=np.bool_)
    numbers = number_words(np.hstack([words, known]), alphabets)
    return np.isin(numbers[:count], numbers[count:])
