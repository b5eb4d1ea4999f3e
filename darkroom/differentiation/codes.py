"""Many words at a given distance, by algebra: words with the same check symbols.

Words of equal checks form a coset of a code whose distance is known, so any two of them are
far apart, and constraints or history cannot spoil it: they only leave gaps. The coset with
the most candidates is found in one pass, however large the space.

For distance 2 the check is the sum of the option numbers modulo the largest alphabet. For
more, there are distance - 1 checks over a finite field (Reed-Solomon, one point extended).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.candidates import TOLERANCE, Candidates, Weights
from darkroom.differentiation.chance import Indexes

# Irreducible polynomials over GF(2), as bits, for the fields with 2, 4, ... 256 elements.
IRREDUCIBLE = {
    2: 0b11,
    4: 0b111,
    8: 0b1011,
    16: 0b10011,
    32: 0b100101,
    64: 0b1000011,
    128: 0b10000011,
    256: 0b100011011,
}

SUM_CHECK_DIFFERING = 2  # words of equal sums cannot differ in one dimension only
COSETS_PER_CANDIDATE = 2  # with more cosets than that, even the largest holds next to nothing

Symbols = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiniteField:
    """The field with `order` elements: a prime, or a power of two in IRREDUCIBLE."""

    order: int

    def add(self, left: Symbols, right: Symbols) -> Symbols:
        """Add element by element."""
        return left ^ right if self.order in IRREDUCIBLE else (left + right) % self.order

    def multiply(self, left: int, right: int) -> int:
        """Multiply two elements."""
        if self.order not in IRREDUCIBLE:
            return left * right % self.order
        product = 0
        while right:
            product ^= left if right & 1 else 0
            left <<= 1
            left ^= IRREDUCIBLE[self.order] if left & self.order else 0
            right >>= 1
        return product

    def scale(self, symbols: NDArray[np.signedinteger], factor: int) -> Symbols:
        """Multiply every symbol by one element."""
        products = [self.multiply(symbol, factor) for symbol in range(self.order)]
        return np.array(products, dtype=np.int64)[symbols]


def largest_coset(candidates: Candidates, *, threshold: float) -> Indexes:
    """Find many candidates that are `threshold` apart; none if the algebra does not reach."""
    nothing = np.zeros(0, dtype=np.intp)
    differing = dimensions_to_differ(candidates.weights, threshold)
    if differing is None or not candidates.count:
        return nothing
    checks = check_words(candidates, differing)
    if checks is None:
        return nothing
    return np.flatnonzero(checks == np.bincount(checks).argmax())


def dimensions_to_differ(weights: Weights, threshold: float) -> int | None:
    """Count the dimensions in which words must differ to be surely `threshold` apart."""
    reached = np.concatenate([[0], np.sort(weights).cumsum()])
    enough = np.flatnonzero(reached >= threshold - TOLERANCE)
    return int(enough[0]) if enough.size else None


def check_words(candidates: Candidates, differing: int) -> Symbols | None:
    """Number the coset of each word, for a code whose words differ in `differing` dimensions."""
    if differing <= 1:
        return np.zeros(candidates.count, dtype=np.int64)
    if differing == SUM_CHECK_DIFFERING:
        return candidates.words.sum(axis=0, dtype=np.int64) % max(candidates.alphabets)
    field = smallest_field(max(*candidates.alphabets, len(candidates.alphabets) - 1))
    if field.order ** (differing - 1) > COSETS_PER_CANDIDATE * candidates.count:
        return None
    digits = [_check(candidates, field, power) for power in range(differing - 1)]
    digits[-1] = field.add(digits[-1], _last_symbols(candidates, field))
    return reduce(lambda number, digit: number * field.order + digit, digits)


def _check(candidates: Candidates, field: FiniteField, power: int) -> Symbols:
    """Add up symbol times point**power, with the field's elements as points in order."""
    total = np.zeros(candidates.count, dtype=np.int64)
    for point, symbols in zip(range(field.order), candidates.words, strict=False):
        factor = reduce(field.multiply, [point] * power, 1)
        total = field.add(total, field.scale(symbols, factor))
    return total


def _last_symbols(candidates: Candidates, field: FiniteField) -> Symbols:
    """Give the dimension beyond the field's points, which only the last check sees."""
    beyond = candidates.words[field.order :]
    return beyond.sum(axis=0, dtype=np.int64)


def smallest_field(at_least: int) -> FiniteField:
    """Find the smallest field with that many elements."""
    return FiniteField(order=next(_orders(at_least)))


def _orders(at_least: int) -> Iterator[int]:
    order = max(at_least, 2)
    while True:
        if order in IRREDUCIBLE or _is_prime(order):
            yield order
        order += 1


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in _divisors(number))


def _divisors(number: int) -> Sequence[int]:
    return range(2, int(number**0.5) + 1)
