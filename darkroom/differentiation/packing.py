"""Many words at a given distance, greedily: take one, drop all that are too near, repeat."""

from collections.abc import Callable, Sequence

import numpy as np

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Indexes
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.evenness import LOOKED_AT_COUNT, Usage
from darkroom.differentiation.measures import Words, pick

DROP_WHEN = 2  # copying what is left pays when half of it is gone

Take = Callable[[Words], int]


def pack(
    candidates: Candidates, *, threshold: float, wanted: int, take: Take, effort: Effort
) -> Indexes:
    """Choose up to `wanted` words that are `threshold` apart.

    Args:
        candidates: words to choose from.
        threshold: least distance of any two chosen words.
        wanted: where to stop.
        take: says which of the words still far enough is next; it sees the first few thousand.
        effort: counts the work, and may end it early.
    """
    words, indexes, measure = candidates.words, np.arange(candidates.count), candidates.measure
    is_open = np.ones(candidates.count, dtype=np.bool_)
    chosen: list[int] = []
    while len(chosen) < wanted and not effort.is_late():
        places = np.flatnonzero(is_open)[:LOOKED_AT_COUNT]
        if not places.size:
            break
        place = int(places[take(pick(words, places))])
        chosen.append(int(indexes[place]))
        is_open &= measure.reaches(measure.to_word(words[:, place], words), threshold)
        is_open[place] = False
        effort.spend(words.size)
        if np.count_nonzero(is_open) * DROP_WHEN < is_open.size:
            words, indexes = pick(words, is_open), indexes[is_open]
            is_open = np.ones(indexes.size, dtype=np.bool_)
    return np.array(chosen, dtype=np.intp)


def in_order(_words: Words) -> int:
    """Take the first; after a shuffle that is a random one."""
    return 0


def evenly(alphabets: Sequence[int]) -> Take:
    """Take the word with the options used least so far."""
    usage = Usage(alphabets)

    def take(words: Words) -> int:
        place = usage.least_used(words)
        usage.add(words[:, place])
        return place

    return take
