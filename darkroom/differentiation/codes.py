"""Many words at a given distance, by algebra: candidates with the same check symbols.

Words of equal checks form a coset of a code whose distance is known, so any two of them are
far apart, and constraints or history cannot spoil it: they only leave gaps. The coset with
the most candidates is found in one pass, however large the space.

For distance 2 the check is the sum of the option numbers modulo the largest alphabet. For
more, there are distance - 1 checks over a finite field (Reed-Solomon, one point extended).
"""

from functools import reduce

import numpy as np

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Indexes
from darkroom.differentiation.fields import FiniteField, Symbols, smallest_field
from darkroom.differentiation.measures import Measure

SUM_CHECK_DIFFERING = 2  # words of equal sums cannot differ in one dimension only
COSETS_PER_CANDIDATE = 2  # with more cosets than that, even the largest holds next to nothing


def largest_coset(candidates: Candidates, *, threshold: float) -> Indexes:
    """Find many candidates that are `threshold` apart; none if the algebra does not reach."""
    nothing = np.zeros(0, dtype=np.intp)
    differing = dimensions_to_differ(candidates.measure, threshold)
    if differing is None or not candidates.count:
        return nothing
    checks = check_words(candidates, differing)
    if checks is None:
        return nothing
    return np.flatnonzero(checks == np.bincount(checks).argmax())


def dimensions_to_differ(measure: Measure, threshold: float) -> int | None:
    """Count the dimensions in which words must differ to be surely `threshold` apart."""
    enough = np.flatnonzero(measure.reaches(sure_distances(measure), threshold))
    return int(enough[0]) if enough.size else None


def sure_distances(measure: Measure) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Say, for 0, 1, ... differing dimensions, how far apart two words are at least."""
    least = [
        float(weight) if table is None else float(table[0, 1])
        for weight, table in zip(measure.weights, measure.tables, strict=True)
    ]
    return np.concatenate([[0.0], np.sort(least).cumsum()])


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
        total = field.add(total, field.scale(symbols, field.power(point, power)))
    return total


def _last_symbols(candidates: Candidates, field: FiniteField) -> Symbols:
    """Give the dimension beyond the field's points, which only the last check sees."""
    beyond = candidates.words[field.order :]
    return beyond.sum(axis=0, dtype=np.int64)
