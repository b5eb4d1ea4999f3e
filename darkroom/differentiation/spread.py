"""Farthest-first: always take the word whose nearest chosen word is farthest.

In any metric the smallest distance of the result is at least half the best possible one.
Source: T. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.
"""

import numpy as np

from darkroom.differentiation.candidates import Candidates, at_least, distances_to
from darkroom.differentiation.chance import Indexes
from darkroom.differentiation.evenness import LOOKED_AT_COUNT, Usage

CHOSEN = -1  # nearer than any distance, so that no word is taken twice


def spread(candidates: Candidates, count: int) -> Indexes:
    """Choose up to `count` words; among equally far ones, those with the least used options."""
    words, weights = candidates.words, candidates.weights
    nearest = np.full(candidates.count, weights.sum(), dtype=weights.dtype)
    usage = Usage(candidates.alphabets)
    chosen: list[int] = []
    for _ in range(min(count, candidates.count)):
        farthest = np.flatnonzero(at_least(nearest, nearest.max()))[:LOOKED_AT_COUNT]
        pick = int(farthest[usage.least_used(words[:, farthest])])
        chosen.append(pick)
        usage.add(words[:, pick])
        np.minimum(nearest, distances_to(words[:, pick], words, weights), out=nearest)
        nearest[chosen] = CHOSEN
    return np.array(chosen, dtype=np.intp)
