"""What no selection can beat: upper limits on distance and on count.

Two arguments, both for mixed numbers of options, weights and scales. Singleton: more words than
a set of dimensions has option tuples means that two words agree on all of that set. Plotkin:
the smallest distance is at most the average, which is largest when names are used evenly and
scales at their ends only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from darkroom.differentiation.measures import Measure
from darkroom.domain.difference import Proof

PAIR_COUNT = 2  # a distance takes two
EVERY_SUBSET_DIMENSIONS = 10  # 2**10 sets of dimensions are looked at; beyond, only the best few


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """An upper limit, and why it holds."""

    limit: float
    by: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class CountBound:
    """An upper limit on a number of words, and why it holds; None if none was proved."""

    limit: int
    by: Proof | None


class Limits:
    """Upper limits for words over given options, whatever the constraints."""

    def __init__(self, *, measure: Measure, usable: Sequence[Sequence[int]]) -> None:
        self._measure = measure
        self._alphabets = [len(options) for options in usable]
        self._most = [_most(measure, i, options) for i, options in enumerate(usable)]
        self._agreements = list(self._weigh_agreements())

    def distance(self, count: int) -> Bound:
        """Say how far apart `count` words can be at most; of fewer than two, the farthest."""
        if count < PAIR_COUNT:
            return Bound(limit=self._measure.farthest, by=Proof.SINGLETON)
        singleton = min(left for tuples, left in self._agreements if tuples < count)
        plotkin = self._average_distance(count)
        if singleton <= plotkin + self._measure.tolerance:
            return Bound(limit=singleton, by=Proof.SINGLETON)
        return Bound(limit=plotkin, by=Proof.PLOTKIN)

    def count(self, distance: float, *, ceiling: int) -> CountBound:
        """Say how many words can be this far apart at most, given that `ceiling` exist."""
        low, high = min(1, ceiling), ceiling
        while low < high:
            middle = (low + high + 1) // 2
            if self._measure.is_reached(self.distance(middle).limit, distance):
                low = middle
            else:
                high = middle - 1
        return CountBound(limit=low, by=None if low == ceiling else self.distance(low + 1).by)

    def _weigh_agreements(self) -> list[tuple[int, float]]:
        """List (option tuples of a set, most distance of words that agree on the set)."""
        total = sum(self._most)
        return [
            (
                math.prod(self._alphabets[i] for i in agreed),
                total - sum(self._most[i] for i in agreed),
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
        most = self._most[dimension]
        return math.log(max(self._alphabets[dimension], 1)) / most if most else math.inf

    def _average_distance(self, count: int) -> float:
        return sum(
            most * _differing_share(count, options if table is None else min(options, PAIR_COUNT))
            for most, options, table in zip(
                self._most, self._alphabets, self._measure.tables, strict=True
            )
        )


def _most(measure: Measure, dimension: int, options: Sequence[int]) -> float:
    """Say how much a dimension can add to a distance."""
    table = measure.tables[dimension]
    if len(options) < PAIR_COUNT:
        return 0.0
    return float(measure.weights[dimension] if table is None else table[min(options), max(options)])


def _differing_share(count: int, options: int) -> float:
    """Share of the pairs of `count` words that differ where options are used evenly."""
    each, more = divmod(count, max(options, 1))
    squares = more * (each + 1) ** 2 + (options - more) * each**2
    return (count * count - squares) / (count * (count - 1))
