"""Choose combinations that differ: the story, in the order of the wishes.

1. Constraints, no repetition, and `min_difference` to each other and to the history: always.
2. The smallest distance of any two is as large as can be found, up to a proved limit; then,
   where that is possible, the history is as far away.
3. Options are used evenly.
4. Ties fall by the seed.

Left out on purpose: certificates, coverage of option pairs, and ordinal distances.
"""

import numpy as np

from darkroom.differentiation.candidates import TOLERANCE, Distances, Weights, at_least, decode
from darkroom.differentiation.chance import Indexes
from darkroom.differentiation.ground import Ground, survey
from darkroom.differentiation.packing import evenly, pack
from darkroom.differentiation.spread import spread
from darkroom.domain.errors import DifferenceInfeasible
from darkroom.domain.job import DifferenceRequest, DifferenceResult

CLIMBED_CELLS = 4_000_000_000  # option numbers compared while looking for a larger distance
MOST_LEVELS = 4_096  # distinct distances told apart when the weights are all different


class MaximinDifferentiator:
    """Chooses combinations whose smallest difference is as large as can be found."""

    def choose(self, request: DifferenceRequest) -> DifferenceResult:
        """Choose `count` combinations.

        Returns:
            Combinations in the order in which they were chosen. The smallest distance is that
            between any two of them; of a single one it is the largest the metric knows.

        Raises:
            DifferenceInfeasible: fewer than `count` can be that far apart. Proved where a limit
                or an exhausted search decides; else no larger selection was found.
        """
        ground = survey(request)
        if ground.most() < request.count:
            raise _infeasible(request, largest=ground.fit(ground.most()).size)
        chosen = spread(ground.candidates, request.count)
        if ground.distance(chosen) < request.min_difference - TOLERANCE:
            chosen = ground.fit(request.count)
        if chosen.size < request.count:
            raise _infeasible(request, largest=chosen.size)
        chosen = _settle(ground, _climb(ground, chosen))
        words = ground.candidates.words[:, chosen]
        return DifferenceResult(
            combinations=decode(words, request.dimensions),
            min_distance=ground.distance(chosen),
        )

    def largest_feasible(self, request: DifferenceRequest) -> int:
        """Say how many combinations can be found that are `min_difference` apart.

        `count` and the choice itself do not matter. Of a space too large to enumerate, only
        a sample is looked at, so more may exist.
        """
        ground = survey(request)
        return int(ground.fit(ground.most()).size)


def _climb(ground: Ground, chosen: Indexes) -> Indexes:
    """Look for a selection with a larger smallest distance, by halving what the limit allows."""
    count = chosen.size
    reached = ground.distance(chosen)
    tries_left = CLIMBED_CELLS // max(1, ground.candidates.words.size * count)
    levels = _levels(ground.candidates.weights)
    highest = ground.limits.distance(count)
    levels = levels[(levels > reached + TOLERANCE) & (levels <= highest + TOLERANCE)]
    while count > 1 and levels.size and tries_left > 0:
        tries_left -= 1
        middle = levels.size // 2
        fitted = ground.fit(count, float(levels[middle]))
        if fitted.size < count:
            levels = levels[:middle]
            continue
        chosen, reached = fitted, ground.distance(fitted)
        levels = levels[levels > reached + TOLERANCE]
    return chosen


def _levels(weights: Weights) -> Distances:
    """List the distances that can occur, ascending."""
    levels = np.zeros(1)
    for weight in weights:
        levels = np.unique(np.concatenate([levels, levels + weight]).round(9))
        levels = levels[:: -(-levels.size // MOST_LEVELS)]
    return levels


def _settle(ground: Ground, chosen: Indexes) -> Indexes:
    """Choose again at the distance reached: that far from the history too, if it can be."""
    reached, count = ground.distance(chosen), chosen.size
    far_from_history = np.flatnonzero(at_least(ground.to_history, reached))
    if far_from_history.size < ground.candidates.count:
        farther = _pack_evenly(ground, far_from_history, reached, count)
        if farther.size == count:
            return farther
    even = _pack_evenly(ground, np.arange(ground.candidates.count), reached, count)
    is_better = even.size == count and ground.unevenness(even) < ground.unevenness(chosen)
    return even if is_better else chosen


def _pack_evenly(ground: Ground, pool: Indexes, threshold: float, count: int) -> Indexes:
    candidates = ground.candidates.among(pool)
    take = evenly(candidates.alphabets)
    return pool[pack(candidates, threshold=threshold, wanted=count, take=take)]


def _infeasible(request: DifferenceRequest, *, largest: int) -> DifferenceInfeasible:
    sizes = " x ".join(str(len(dimension.options)) for dimension in request.dimensions)
    from_history = f" and from {len(request.history)} earlier ones" if request.history else ""
    remedy = f"ask for at most {largest}, lower" if largest else "relax the constraints, lower"
    return DifferenceInfeasible(
        f"count {request.count}: at most {largest} combinations of {sizes} options were found "
        f"that differ by {request.min_difference:g} ({request.metric}) from each other"
        f"{from_history}; {remedy} the minimum difference, or add options to the dimensions "
        "with the fewest",
        largest_feasible=largest,
    )
