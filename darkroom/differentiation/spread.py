"""Farthest-first: always take the word whose nearest chosen word is farthest.

In any metric the smallest distance of the result is at least half the best possible one.
Source: T. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.
"""

import numpy as np

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Indexes
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.evenness import LOOKED_AT_COUNT, Usage
from darkroom.differentiation.measures import pick

CHOSEN = -1  # nearer than any distance, so that no word is taken twice


def spread(candidates: Candidates, count: int, effort: Effort) -> Indexes:
    """Choose up to `count` words; among equally far ones, those with the least used options."""
    words, measure = candidates.words, candidates.measure
    nearest = np.full(candidates.count, measure.weights.sum(), dtype=measure.weights.dtype)
    usage = Usage(candidates.alphabets)
    chosen: list[int] = []
    for _ in range(min(count, candidates.count)):
        if effort.is_late():
            break
        farthest = np.flatnonzero(measure.reaches(nearest, float(nearest.max())))
        farthest = farthest[:LOOKED_AT_COUNT]
        taken = int(farthest[usage.least_used(pick(words, farthest))])
        chosen.append(taken)
        usage.add(words[:, taken])
        np.minimum(nearest, measure.to_word(words[:, taken], words), out=nearest)
        nearest[chosen] = CHOSEN
        effort.spend(candidates.cells)
    return np.array(chosen, dtype=np.intp)
