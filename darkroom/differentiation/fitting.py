"""The most words at a given distance: the best of algebra, greed, exchange and exact search.

Work is bounded by counting, never by a clock, so that the same request gives the same answer
on a busy machine.
"""

from dataclasses import dataclass

import numpy as np

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.cliques import CliqueSearch, join_far_words
from darkroom.differentiation.codes import largest_coset
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.evenness import THINNING_ROUNDS, thin_evenly
from darkroom.differentiation.packing import evenly, in_order, pack
from darkroom.differentiation.spread import spread
from darkroom.differentiation.swapping import Exchanging

PACKED_CELLS = 3_000_000_000
REPACKED_CELLS = 100_000_000
EXCHANGED_CELLS = 200_000_000
SPREAD_CELLS = 50_000_000
MOST_REPACKINGS = 8

EXACT_COUNT = 256  # the classic space of four dimensions with four options
EXACT_VISITS = 10_000  # about 0.2 s at EXACT_COUNT
VISIT_CELLS = 50_000  # what a visit costs, in comparisons that take as long


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """Words that are far enough apart; `is_most` if there are provably no more of them."""

    indexes: Indexes
    is_most: bool = False

    @property
    def count(self) -> int:
        """Number of words."""
        return self.indexes.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """Fits words of some candidates; every call starts from the same seed.

    A quick one neither exchanges nor searches: what it finds is there, and more may be.
    """

    candidates: Candidates
    seed: int
    effort: Effort
    is_quick: bool = False

    def fit(self, *, threshold: float, wanted: int) -> Fitted:
        """Choose up to `wanted` words that are at least `threshold` apart."""
        wanted = min(wanted, self.candidates.count)
        coset = largest_coset(self.candidates, threshold=threshold)
        self.effort.spend(self.candidates.cells)
        if coset.size >= wanted:
            return Fitted(indexes=self.thin(coset, wanted))
        chance = Chance(self.seed)
        best = coset
        packable = min(wanted, PACKED_CELLS // max(1, self.candidates.cells))
        if coset.size < packable:
            packed = self._pack_often(threshold=threshold, wanted=packable, chance=chance)
            best = max(coset, packed, key=len)
        if best.size >= wanted or self.is_quick:
            return Fitted(indexes=best)
        found = self._search(best, threshold=threshold, wanted=wanted)
        if found.is_most or found.count >= wanted:
            return found
        exchanged = self._exchange(found.indexes, threshold=threshold, wanted=wanted, chance=chance)
        return Fitted(indexes=exchanged)

    def thin(self, pool: Indexes, wanted: int) -> Indexes:
        """Choose `wanted` words of a pool, far apart where that is cheap, evenly elsewhere."""
        if pool.size == wanted:
            return pool
        among = self.candidates.among(pool)
        if among.cells * wanted <= SPREAD_CELLS:
            chosen = spread(among, wanted, self.effort)
            if chosen.size == wanted:  # else time is up
                return pool[chosen]
        return self.thin_evenly(pool, wanted)

    def thin_evenly(self, pool: Indexes, wanted: int) -> Indexes:
        """Choose `wanted` words of a pool by the use of options alone."""
        among = self.candidates.among(pool)
        self.effort.spend(among.cells * THINNING_ROUNDS)
        return pool[thin_evenly(among.words, wanted, among.alphabets)]

    def _pack_often(self, *, threshold: float, wanted: int, chance: Chance) -> Indexes:
        """Pack evenly, then in lexicographic order, then in random orders; keep the best."""
        candidates, effort = self.candidates, self.effort
        take = evenly(candidates.alphabets)
        best = pack(candidates, threshold=threshold, wanted=wanted, take=take, effort=effort)
        repackings = min(MOST_REPACKINGS, REPACKED_CELLS // max(1, candidates.cells * best.size))
        for repacking in range(repackings):
            if best.size >= wanted or effort.is_late():
                break
            by_chance = chance.order(candidates.count)
            order = by_chance if repacking else np.lexsort(candidates.words[::-1])
            ordered = candidates.among(order)
            packed = pack(ordered, threshold=threshold, wanted=wanted, take=in_order, effort=effort)
            best = max(best, order[packed], key=len)
        return best

    def _exchange(
        self, chosen: Indexes, *, threshold: float, wanted: int, chance: Chance
    ) -> Indexes:
        if chosen.size * self.candidates.cells > EXCHANGED_CELLS:
            return chosen
        exchanging = Exchanging(
            candidates=self.candidates,
            threshold=threshold,
            wanted=wanted,
            chance=chance,
            effort=self.effort,
            limit=self.effort.spent + EXCHANGED_CELLS,
        )
        return exchanging.enlarge(chosen)

    def _search(self, chosen: Indexes, *, threshold: float, wanted: int) -> Fitted:
        """Search exactly, in a tiny space; given up where it takes too long."""
        if self.candidates.count > EXACT_COUNT:
            return Fitted(indexes=chosen)
        neighbours = join_far_words(self.candidates, threshold=threshold)
        search = CliqueSearch(neighbours, wanted=wanted, visits=EXACT_VISITS)
        found = search.run(chosen.tolist())
        self.effort.spend((EXACT_VISITS - search.visits_left) * VISIT_CELLS)
        return Fitted(
            indexes=np.array(found, dtype=np.intp),
            is_most=len(found) < wanted and not search.is_exhausted,
        )
