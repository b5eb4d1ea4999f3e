"""The most words at a given distance: the best of algebra, greed and exact search.

Work is bounded by counting, never by a clock, so that the same request gives the same answer
on a busy machine.
"""

import numpy as np

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.cliques import CliqueSearch, join_far_words
from darkroom.differentiation.codes import largest_coset
from darkroom.differentiation.packing import evenly, in_order, pack
from darkroom.differentiation.spread import spread

# One cell is one comparison of two option numbers; about 1e9 a second.
PACKED_CELLS = 3_000_000_000
REPACKED_CELLS = 100_000_000
MOST_REPACKINGS = 8

EXACT_COUNT = 256  # the classic space of four dimensions with four options
EXACT_VISITS = 10_000  # about 0.2 s at EXACT_COUNT


def fit(candidates: Candidates, *, threshold: float, wanted: int, chance: Chance) -> Indexes:
    """Choose up to `wanted` words that are at least `threshold` apart, as many as can be found.

    Fewer than `wanted` is a proof only for a tiny space, see `cliques`.
    """
    wanted = min(wanted, candidates.count)
    coset = largest_coset(candidates, threshold=threshold)
    if coset.size == wanted:
        return coset
    if coset.size > wanted:
        return coset[spread(candidates.among(coset), wanted)]
    best = coset
    packable = min(wanted, PACKED_CELLS // max(1, candidates.words.size))
    if coset.size < packable:
        packed = _pack_often(candidates, threshold=threshold, wanted=packable, chance=chance)
        best = max(coset, packed, key=len)
    if best.size >= wanted or candidates.count > EXACT_COUNT:
        return best
    search = CliqueSearch(
        join_far_words(candidates, threshold=threshold), wanted=wanted, visits=EXACT_VISITS
    )
    return np.array(search.run(best.tolist()), dtype=np.intp)


def _pack_often(
    candidates: Candidates, *, threshold: float, wanted: int, chance: Chance
) -> Indexes:
    """Pack evenly, then in lexicographic order, then in random orders; keep the best."""
    take = evenly(candidates.alphabets)
    best = pack(candidates, threshold=threshold, wanted=wanted, take=take)
    repackings = min(MOST_REPACKINGS, REPACKED_CELLS // max(1, candidates.words.size * best.size))
    for repacking in range(repackings):
        if best.size >= wanted:
            break
        order = chance.order(candidates.count) if repacking else np.lexsort(candidates.words[::-1])
        ordered = candidates.among(order)
        packed = pack(ordered, threshold=threshold, wanted=wanted, take=in_order)
        best = max(best, order[packed], key=len)
    return best
