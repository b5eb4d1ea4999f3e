"""What no selection can beat: upper limits on distance and on count.

Two arguments, both for mixed numbers of options and for weights. Singleton: more words than a
set of dimensions has option tuples means that two words agree on all of that set. Plotkin:
the smallest distance is at most the average, which is largest when options are used evenly.
"""

import math
from collections.abc import Sequence
from itertools import combinations

from darkroom.differentiation.candidates import TOLERANCE, Weights

PAIR_COUNT = 2  # a distance takes two
EVERY_SUBSET_DIMENSIONS = 10  # 2**10 sets of dimensions are looked at; beyond, only the best few


class Limits:
    """Upper limits for words over given alphabets and weights, whatever the constraints."""

    def __init__(self, *, weights: Weights, alphabets: Sequence[int]) -> None:
        self._weights = [float(weight) for weight in weights]
        self._alphabets = tuple(alphabets)
        self._agreements = list(self._weigh_agreements())

    def distance(self, count: int) -> float:
        """Say how far apart `count` words can be at most; nothing limits fewer than two."""
        if count < PAIR_COUNT:
            return math.inf
        singleton = min(left for tuples, left in self._agreements if tuples < count)
        return min(singleton, self._average_distance(count))

    def count(self, distance: float, *, ceiling: int) -> int:
        """Say how many words can be this far apart at most, given that `ceiling` exist."""
        low, high = 0, ceiling
        while low < high:
            middle = (low + high + 1) // 2
            if self.distance(middle) >= distance - TOLERANCE:
                low = middle
            else:
                high = middle - 1
        return low

    def _weigh_agreements(self) -> list[tuple[int, float]]:
        """List (option tuples of a set, most distance of words that agree on the set)."""
        total = sum(self._weights)
        return [
            (
                math.prod(self._alphabets[i] for i in agreed),
                total - sum(self._weights[i] for i in agreed),
            )
            for agreed in self._sets_of_dimensions()
        ]

    def _sets_of_dimensions(self) -> list[tuple[int, ...]]:
        dimensions = range(len(self._alphabets))
        sizes = range(len(self._alphabets) + 1)
        if len(self._alphabets) <= EVERY_SUBSET_DIMENSIONS:
            return [chosen for size in sizes for chosen in combinations(dimensions, size)]
        # Few tuples for much weight first; with equal weights this prefix is the best set.
        cheapest = sorted(dimensions, key=self._price)
        return [tuple(cheapest[:size]) for size in sizes]

    def _price(self, dimension: int) -> float:
        weight = self._weights[dimension]
        return math.log(max(self._alphabets[dimension], 1)) / weight if weight else math.inf

    def _average_distance(self, count: int) -> float:
        differing = [
            weight * _differing_share(count, options)
            for weight, options in zip(self._weights, self._alphabets, strict=True)
        ]
        return sum(differing)


def _differing_share(count: int, options: int) -> float:
    """Share of the pairs of `count` words that differ where options are used evenly."""
    each, more = divmod(count, max(options, 1))
    squares = more * (each + 1) ** 2 + (options - more) * each**2
    return (count * count - squares) / (count * (count - 1))
