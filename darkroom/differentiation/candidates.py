"""Combinations as a matrix of option numbers, and how far they are apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from darkroom.domain.job import Combination, Dimension, Metric

# Distances are sums of a few weights; this is far above their rounding error.
TOLERANCE = 1e-9

# An option of a history that the request does not know: it differs from every option.
UNKNOWN = -1

Words = NDArray[np.signedinteger[Any]]  # (dimensions, words): option numbers, one column a word
Word = NDArray[np.signedinteger[Any]]  # (dimensions,)
Weights = NDArray[Any]  # (dimensions,): small integers if all are one, else float64
Distances = NDArray[Any]  # (words,): same type as the weights
Mask = NDArray[np.bool_]  # (words,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Words that may be chosen; their order is seeded, so "the first" is a fair tie-break.

    `alphabets` holds the number of options of each dimension, used or not.
    """

    words: Words
    weights: Weights
    alphabets: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of words."""
        return self.words.shape[1]

    def among(self, which: NDArray[Any]) -> "Candidates":
        """Keep the words of a mask or of an array of indexes."""
        return replace(self, words=self.words[:, which])


def weights_of(dimensions: Sequence[Dimension], metric: Metric) -> Weights:
    """Express the metric as one weight per dimension."""
    match metric:
        case Metric.HAMMING:
            return count_dimensions(len(dimensions))
        case Metric.WEIGHTED_HAMMING:
            return np.array([dimension.weight for dimension in dimensions], dtype=np.float64)
        case _:
            assert_never(metric)


def count_dimensions(dimension_count: int) -> Weights:
    """Weigh every dimension as one, in the smallest type that can count them all."""
    return np.ones(dimension_count, dtype=np.min_scalar_type(-1 - dimension_count))


def distances_to(word: Word, words: Words, weights: Weights) -> Distances:
    """Measure every word against one."""
    total = np.zeros(words.shape[1], dtype=weights.dtype)
    for options, option, weight in zip(words, word, weights, strict=True):
        total += weight * (options != option)
    return total


def at_least(distances: Distances, threshold: float) -> Mask:
    """Compare with the tolerance that sums of weights need."""
    return distances >= threshold - TOLERANCE


def nearest_to(others: Words, words: Words, weights: Weights) -> Distances:
    """Find for every word its distance to the nearest of the others.

    Returns:
        The sum of all weights where there are no others: nothing is farther.
    """
    nearest = np.full(words.shape[1], weights.sum(), dtype=weights.dtype)
    for other in others.T:
        np.minimum(nearest, distances_to(other, words, weights), out=nearest)
    return nearest


def smallest_distance(words: Words, weights: Weights) -> float:
    """Find the distance of the two nearest words; the largest possible for fewer than two."""
    closest = [
        distances_to(words[:, place], words[:, :place], weights).min()
        for place in range(1, words.shape[1])
    ]
    return float(min(closest, default=weights.sum()))


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
