"""Which words of a ground are chosen, in the order of the wishes.

1. As many as asked, as far apart as asked: always, or there is no selection.
2. The smallest distance of any two is as large as can be found, up to a proved limit; then,
   where that is possible, the history is as far away.
3. Options are used evenly.
4. Ties fall by the seed.
"""

from dataclasses import dataclass, replace

import numpy as np

from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.codes import largest_coset
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.evening import Evening
from darkroom.differentiation.fitting import Fitted
from darkroom.differentiation.ground import Ground
from darkroom.differentiation.limits import Bound
from darkroom.differentiation.spread import spread
from darkroom.domain.difference import Proof

SPREAD_CELLS = 4_000_000_000  # about 2 s where the words do not fit into the cache
CLIMBED_CELLS = 1_000_000_000
EVENED_CELLS = 300_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """Chosen words of a ground, and what no choice of as many can beat."""

    chosen: Indexes
    distance: float
    bound: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Fewer words than asked were found; `by` says why there are no more, if that is proved."""

    largest: int
    by: Proof | None = None


def select(ground: Ground, effort: Effort) -> Selection | Shortage:
    """Choose as many words as the request asks for."""
    count, asked = ground.question.request.count, ground.question.from_each
    most = ground.most(asked)
    if most.limit < count:
        found = ground.fitting(effort).fit(threshold=asked, wanted=most.limit)
        return Shortage(largest=found.count, by=most.by)
    first = _first(ground, effort)
    if first.count < count:
        is_proved = first.is_most and ground.is_complete  # of a sample, nobody can know
        return Shortage(largest=first.count, by=Proof.EXHAUSTION if is_proved else None)
    return _settle(ground, _climb(ground, first.indexes, effort), effort)


def _first(ground: Ground, effort: Effort) -> Fitted:
    """Find enough words, far apart if that costs nothing, at the distance asked for if not."""
    count, asked = ground.question.request.count, ground.question.from_each
    limit = ground.levels().floor(ground.limits.distance(count).limit)
    coset = largest_coset(ground.candidates, threshold=limit)
    effort.spend(ground.candidates.cells)
    if coset.size >= count:
        return Fitted(indexes=ground.fitting(effort).thin_evenly(coset, count))
    affordable = max(count, SPREAD_CELLS // max(1, len(ground.usable) * count))
    pool = ground.candidates.among(np.arange(min(ground.candidates.count, affordable)))
    chosen = spread(pool, count, effort)
    measure = ground.question.measure
    if chosen.size == count and measure.is_reached(ground.distance(chosen), asked):
        return Fitted(indexes=chosen)
    return ground.fitting(effort).fit(threshold=asked, wanted=count)


def _climb(ground: Ground, chosen: Indexes, effort: Effort) -> Selection:
    """Look for a larger smallest distance, by halving what the limit allows."""
    count, reached, levels = chosen.size, ground.distance(chosen), ground.levels()
    bound = ground.limits.distance(count)
    bound = replace(bound, limit=levels.floor(bound.limit))
    budget = effort.spent + CLIMBED_CELLS
    rungs = levels.between(reached, bound.limit) if count > 1 else levels.values[:0]
    while rungs.size and effort.affords(ground.candidates.cells * count, limit=budget):
        middle = rungs.size // 2
        fitted = ground.fitting(effort).fit(threshold=float(rungs[middle]), wanted=count)
        if fitted.count < count:
            rungs = rungs[:middle]
            if fitted.is_most and ground.is_complete:
                below = float(rungs[-1]) if middle else reached
                bound = Bound(limit=below, by=Proof.EXHAUSTION)
            continue
        chosen, reached = fitted.indexes, ground.distance(fitted.indexes)
        rungs = rungs[rungs > reached + levels.tolerance]
    if count == ground.candidates.count and ground.is_complete and reached < bound.limit:
        bound = Bound(limit=reached, by=Proof.EXHAUSTION)
    return Selection(chosen=chosen, distance=reached, bound=bound)


def _settle(ground: Ground, selection: Selection, effort: Effort) -> Selection:
    """Choose again at the distance reached: that far from the history too, if it can be."""
    evening = Evening(
        candidates=ground.candidates,
        threshold=selection.distance,
        usable=ground.usable,
        chance=Chance(ground.question.request.seed),
        effort=effort,
        limit=effort.spent + EVENED_CELLS,
    )
    far = np.flatnonzero(ground.question.measure.reaches(ground.to_history, selection.distance))
    if far.size < ground.candidates.count:
        among = replace(evening, candidates=ground.candidates.among(far))
        farther = among.pack(selection.chosen.size)
        if farther.size == selection.chosen.size:
            return replace(selection, chosen=far[among.even(farther)])
    return replace(selection, chosen=evening.even(selection.chosen))
