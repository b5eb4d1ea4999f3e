"""Many words at a given distance in a space too large to list: words of a code, written down.

An extended Reed-Solomon code over a field with at least as many elements as the largest
dimension has options: any two of its words differ in as many dimensions as Singleton allows.
The dimensions with the fewest options carry the message, so that those with many options
take the computed symbols; a word counts if each of its symbols stands for an option.

Which symbol stands for which option is drawn by seed, dimension by dimension.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.candidates import distinct
from darkroom.differentiation.chance import Chance
from darkroom.differentiation.fields import FiniteField, Symbols, smallest_field
from darkroom.differentiation.measures import Words
from darkroom.differentiation.space import Space

LISTED_MESSAGES = 1 << 20  # fewer are all written down; of more, some are drawn
CHUNK_MESSAGES = 1 << 16
NO_OPTION = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An extended Reed-Solomon code whose words differ in `differing` dimensions."""

    space: Space
    differing: int

    @property
    def field(self) -> FiniteField:
        """What it computes in: the code is no longer than the field's elements and one more."""
        return smallest_field(max(*self.space.alphabets, len(self.space.alphabets) - 1))

    @property
    def by_size(self) -> list[int]:
        """The dimensions, the one with the fewest options first."""
        sizes = self.space.alphabets
        return sorted(range(len(sizes)), key=lambda dimension: sizes[dimension])

    @property
    def message(self) -> list[int]:
        """The dimensions whose options are free."""
        return self.by_size[: len(self.space.alphabets) - self.differing + 1]

    @property
    def message_count(self) -> int:
        """How many words are computed, before any is dropped."""
        return math.prod(self.space.alphabets[dimension] for dimension in self.message)

    @property
    def expected_count(self) -> float:
        """How many words may be expected to have an option for each symbol."""
        order, computed = self.field.order, self.by_size[len(self.message) :]
        return self.message_count * math.prod(self.space.alphabets[i] / order for i in computed)


def write_words(code: Code, chance: Chance) -> Iterator[Words]:
    """Write down distinct words in seeded order, in chunks; without rules or history."""
    space, field = code.space, code.field
    symbols = [chance.order(field.order)[: len(options)] for options in space.usable]
    factors = _factors(code)
    for digits in _messages(code, chance):
        columns = dict(zip(code.message, digits, strict=True))
        sent = [symbols[i][column] for i, column in columns.items()]
        for dimension, factors_of_dimension in factors.items():
            computed = _combine(field, sent, factors_of_dimension)
            options = np.full(field.order, NO_OPTION, dtype=np.int64)
            options[symbols[dimension]] = np.arange(symbols[dimension].size)
            columns[dimension] = options[computed]
        places = np.vstack([columns[i] for i in range(len(space.usable))])
        places = places.compress((places != NO_OPTION).all(axis=0), axis=1)
        yield np.vstack(
            [
                np.array(options, dtype=space.word_type)[place]
                for options, place in zip(space.usable, places, strict=True)
            ]
        )


def _messages(code: Code, chance: Chance) -> Iterator[list[NDArray[np.intp]]]:
    """Give the option places of the message's dimensions, a chunk at a time, in seeded order."""
    sizes = [code.space.alphabets[dimension] for dimension in code.message]
    if code.message_count > LISTED_MESSAGES:
        drawn = [chance.numbers(LISTED_MESSAGES, below=size) for size in sizes]
        digits = list(distinct(np.vstack(drawn), sizes))
    else:
        digits = list(np.unravel_index(chance.order(code.message_count), sizes))
    for start in range(0, digits[0].size, CHUNK_MESSAGES):
        yield [digit[start : start + CHUNK_MESSAGES] for digit in digits]


def _factors(code: Code) -> dict[int, list[int]]:
    """Say, for each computed dimension, what each symbol of the message is multiplied by.

    The message is a polynomial given by its values at the first points (Lagrange); the others
    are its values at the next points, and beyond the field's last point its leading number.
    """
    field, given = code.field, range(len(code.message))
    shares = [_share(field, given, point) for point in given]
    factors = dict[int, list[int]]()
    for point, dimension in enumerate(code.by_size[len(code.message) :], start=len(given)):
        if point == field.order:
            factors[dimension] = shares
            continue
        factors[dimension] = [
            field.multiply(share, _product(field, given, but=one, at=point))
            for one, share in zip(given, shares, strict=True)
        ]
    return factors


def _share(field: FiniteField, given: Sequence[int], point: int) -> int:
    return field.invert(_product(field, given, but=point, at=point))


def _product(field: FiniteField, given: Sequence[int], *, but: int, at: int) -> int:
    differences = (field.subtract(at, other) for other in given if other != but)
    return reduce(field.multiply, differences, 1)


def _combine(field: FiniteField, sent: Sequence[Symbols], factors: Sequence[int]) -> Symbols:
    total = np.zeros(sent[0].size, dtype=np.int64)
    for symbols, factor in zip(sent, factors, strict=True):
        total = field.add(total, field.scale(symbols, factor))
    return total
