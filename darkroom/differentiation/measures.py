"""How far words are apart: every metric as a sum over the dimensions.

Inside this room distances are those sums. Only `inward` and `outward` know that one metric
shows the root of its sum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from darkroom.domain.difference import Dimension, Metric

# An option of a history that the request does not know: it differs from every option.
UNKNOWN = -1

# Distances are sums of a few numbers; this share of the largest is far above their rounding error.
TOLERANCE = 1e-9

NEAREST_BLOCK_WORDS = 32_768  # what is added up for a block stays in the cache
PAIRED_BLOCK_CELLS = 262_144

Words = NDArray[np.signedinteger[Any]]  # (dimensions, words): option numbers, one column a word
Word = NDArray[np.signedinteger[Any]]  # (dimensions,)
Weights = NDArray[Any]  # (dimensions,): small integers if all are one, else float64
Table = NDArray[np.float64]  # (options + 1, options): what two options add; the last row is UNKNOWN
Distances = NDArray[Any]  # (words,): same type as the weights
Mask = NDArray[np.bool_]  # (words,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measure:
    """A metric over given dimensions.

    Attributes:
        weights: what two different options of a dimension add; on a scale, the most they can.
        tables: what two options add, for each dimension that is a scale; else None.
        shows_root: the metric is the root of the sum.
    """

    weights: Weights
    tables: tuple[Table | None, ...]
    shows_root: bool = False

    @property
    def farthest(self) -> float:
        """The largest distance there can be."""
        return float(self.weights.sum())

    @property
    def tolerance(self) -> float:
        """Distances closer than that are equal."""
        return TOLERANCE * max(1.0, self.farthest)

    def inward(self, difference: float) -> float:
        """Turn a difference as a caller writes it into a sum."""
        return difference * abs(difference) if self.shows_root else difference

    def outward(self, distance: float) -> float:
        """Turn a sum into a difference as a caller reads it."""
        return math.sqrt(max(distance, 0.0)) if self.shows_root else float(distance)

    def reaches(self, distances: Distances, threshold: float) -> Mask:
        """Mark the distances that are at least the threshold."""
        enough = threshold - self.tolerance
        is_whole = distances.dtype.kind == "i" and math.isfinite(enough)
        return distances >= (math.ceil(enough) if is_whole else enough)

    def is_reached(self, distance: float, threshold: float) -> bool:
        """Say whether one distance is at least the threshold."""
        return distance >= threshold - self.tolerance

    def to_word(self, word: Word, words: Words) -> Distances:
        """Measure every word against one."""
        total = np.zeros(words.shape[1], dtype=self.weights.dtype)
        rows = zip(words, word, self.weights, self.tables, strict=True)
        for options, option, weight, table in rows:
            total += weight * (options != option) if table is None else table[option][options]
        return total

    def to_nearest(self, others: Words, words: Words) -> Distances:
        """Find for every word its distance to the nearest of the others.

        Returns:
            The largest distance where there are no others: nothing is farther.
        """
        nearest = np.full(words.shape[1], self.weights.sum(), dtype=self.weights.dtype)
        for start in range(0, words.shape[1], NEAREST_BLOCK_WORDS):
            block = slice(start, start + NEAREST_BLOCK_WORDS)
            some, near = words[:, block], nearest[block]
            for other in others.T:
                np.minimum(near, self.to_word(other, some), out=near)
        return nearest

    def smallest(self, words: Words) -> float:
        """Find the distance of the two nearest words; the largest possible for fewer than two."""
        count = words.shape[1]
        block_words = max(1, PAIRED_BLOCK_CELLS // max(1, count))
        closest = [
            self._closest(words[:, start : start + block_words], words[:, : start + block_words])
            for start in range(0, count, block_words)
        ]
        return float(min(closest, default=self.weights.sum()))

    def _closest(self, block: Words, until: Words) -> float:
        """Find the smallest distance of a word of the block, `until`'s tail, to an earlier one."""
        total = np.zeros((block.shape[1], until.shape[1]), dtype=self.weights.dtype)
        rows = zip(block, until, self.weights, self.tables, strict=True)
        for few, many, weight, table in rows:
            if table is None:
                total += weight * (few[:, None] != many)
            else:
                total += table[few][:, many]
        places = np.arange(until.shape[1], dtype=np.intp)
        itself = places[until.shape[1] - block.shape[1] :]
        total[places >= itself[:, None]] = self.weights.sum()
        return float(total.min())


def pick(words: Words, which: NDArray[Any]) -> Words:
    """Keep the words of a mask or of an array of indexes, each dimension in one stretch of memory.

    `words[:, which]` would lay each word out in one stretch, and every later step would crawl.
    """
    is_mask = which.dtype == np.bool_
    return words.compress(which, axis=1) if is_mask else words.take(which, axis=1)


def measure_by(metric: Metric, dimensions: Sequence[Dimension]) -> Measure:
    """Express a metric over some dimensions."""
    weights = np.array([dimension.weight for dimension in dimensions], dtype=np.float64)
    match metric:
        case Metric.HAMMING:
            return count_dimensions(len(dimensions))
        case Metric.WEIGHTED_HAMMING:
            return Measure(weights=weights, tables=(None,) * len(dimensions))
        case Metric.GOWER:
            shares = weights / (weights.sum() or 1.0)
            tables = (_gower_table(d, share) for d, share in zip(dimensions, shares, strict=True))
            return Measure(weights=shares, tables=tuple(tables))
        case Metric.EUCLIDEAN:
            return _euclidean(dimensions)
        case _:
            assert_never(metric)


def count_dimensions(dimension_count: int) -> Measure:
    """Weigh every dimension as one, in the smallest type that can count them all."""
    ones = np.ones(dimension_count, dtype=np.min_scalar_type(-1 - dimension_count))
    return Measure(weights=ones, tables=(None,) * dimension_count)


def _gower_table(dimension: Dimension, share: float) -> Table | None:
    steps = len(dimension.options) - 1
    if not dimension.ordinal or steps < 1:
        return None
    return share * _apart(steps + 1) / steps


def _euclidean(dimensions: Sequence[Dimension]) -> Measure:
    tables = tuple(_euclidean_table(dimension) for dimension in dimensions)
    weights = [
        dimension.weight if table is None else float(table.max())
        for dimension, table in zip(dimensions, tables, strict=True)
    ]
    return Measure(weights=np.array(weights, dtype=np.float64), tables=tables, shows_root=True)


def _euclidean_table(dimension: Dimension) -> Table | None:
    is_scale = dimension.ordinal is not False and len(dimension.options) > 1
    return dimension.weight * _apart(len(dimension.options)) ** 2 if is_scale else None


def _apart(options: int) -> Table:
    """Count the steps between any two options; an unknown one is a single step from all."""
    places = np.arange(options, dtype=np.float64)
    known = np.abs(places[:, None] - places)
    return np.vstack([known, np.ones((1, options))])
