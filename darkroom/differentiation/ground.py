"""What one request has to choose from, and what limits the choice."""

import math
from dataclasses import dataclass

import numpy as np

from darkroom.differentiation.candidates import (
    Candidates,
    Distances,
    Mask,
    Words,
    at_least,
    count_dimensions,
    encode,
    nearest_to,
    smallest_distance,
    weights_of,
)
from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.evenness import unevenness
from darkroom.differentiation.fitting import fit
from darkroom.differentiation.limits import Limits
from darkroom.differentiation.space import map_space
from darkroom.domain.job import DifferenceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What there is to choose from, and what limits the choice."""

    candidates: Candidates
    to_history: Distances
    limits: Limits
    ceiling: int
    request: DifferenceRequest

    def most(self) -> int:
        """Say how many words no selection can exceed."""
        return self.limits.count(self.request.min_difference, ceiling=self.ceiling)

    def fit(self, wanted: int, threshold: float | None = None) -> Indexes:
        """Find up to `wanted` words that are far enough apart."""
        return fit(
            self.candidates,
            threshold=self.request.min_difference if threshold is None else threshold,
            wanted=wanted,
            chance=Chance(self.request.seed),
        )

    def distance(self, chosen: Indexes) -> float:
        """Find the smallest distance of any two chosen words."""
        return smallest_distance(self.candidates.words[:, chosen], self.candidates.weights)

    def unevenness(self, chosen: Indexes) -> int:
        """Say how unevenly the chosen words use the options."""
        return unevenness(self.candidates.words[:, chosen], self.candidates.alphabets)


def survey(request: DifferenceRequest) -> Ground:
    """Find the combinations that are allowed and far enough from the history."""
    chance = Chance(request.seed)
    space = map_space(request.dimensions, request.constraints, count=request.count, chance=chance)
    weights = weights_of(request.dimensions, request.metric)
    history = encode(request.history, request.dimensions)
    to_history = nearest_to(history, space.words, weights)
    is_far = _may_follow(history, space.words, to_history, request.min_difference)
    candidates = Candidates(
        words=space.words[:, is_far],
        weights=weights,
        alphabets=tuple(len(dimension.options) for dimension in request.dimensions),
    )
    return Ground(
        candidates=candidates,
        to_history=to_history[is_far],
        limits=Limits(weights=weights, alphabets=space.alphabets),
        ceiling=candidates.count if space.is_complete else math.prod(space.alphabets),
        request=request,
    )


def _may_follow(history: Words, words: Words, to_history: Distances, min_difference: float) -> Mask:
    """Mark the words that are far enough from the history."""
    every_word = np.ones(words.shape[1], dtype=np.bool_)
    if not history.shape[1]:
        return every_word
    if min_difference <= 0:  # an exact repetition is too near all the same
        return at_least(nearest_to(history, words, count_dimensions(len(words))), 1)
    return at_least(to_history, min_difference)
