"""A perfectly even selection, by trying: only for few words out of a tiny space.

Depth first, least used options first; a word is passed over when it would use an option more
often than perfect evenness allows. Given up after a counted number of steps.
"""

from collections.abc import Sequence

import numpy as np

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Indexes
from darkroom.differentiation.measures import Mask

MOST_STEPS = 500  # about 100 us each


class Balancing:
    """One search for `wanted` words that are `threshold` apart and use the options evenly."""

    def __init__(
        self,
        candidates: Candidates,
        *,
        threshold: float,
        wanted: int,
        usable: Sequence[Sequence[int]],
    ) -> None:
        self._candidates = candidates
        self._threshold = threshold
        self._wanted = wanted
        self._shares = [divmod(wanted, max(len(options), 1)) for options in usable]
        self._counts = [np.zeros(size, dtype=np.int32) for size in candidates.alphabets]
        self._steps_left = MOST_STEPS

    def run(self) -> Indexes | None:
        """Find such a selection; None if there is none, or if the search was given up."""
        found = self._grow((), np.ones(self._candidates.count, dtype=np.bool_))
        return None if found is None else np.array(found, dtype=np.intp)

    def _grow(self, chosen: tuple[int, ...], is_open: Mask) -> tuple[int, ...] | None:
        if len(chosen) == self._wanted:
            return chosen
        is_open = is_open & self._may_follow()
        for place in self._least_used_first(is_open):
            if self._steps_left <= 0 or np.count_nonzero(is_open) < self._wanted - len(chosen):
                break
            self._steps_left -= 1
            is_open[place] = False
            self._count(place, 1)
            found = self._grow((*chosen, place), is_open & self._far_from(place))
            if found is not None:
                return found
            self._count(place, -1)
        return None

    def _may_follow(self) -> Mask:
        """Mark the words whose options may all be used once more."""
        may_follow = np.ones(self._candidates.count, dtype=np.bool_)
        columns = zip(self._candidates.words, self._counts, self._shares, strict=True)
        for options, counts, (each, more) in columns:
            has_room_above = np.count_nonzero(counts > each) < more
            may_follow &= (counts < (each + 1 if has_room_above else each))[options]
        return may_follow

    def _least_used_first(self, is_open: Mask) -> list[int]:
        used = np.zeros(self._candidates.count, dtype=np.int32)
        for options, counts in zip(self._candidates.words, self._counts, strict=True):
            used += counts[options]
        places = np.flatnonzero(is_open)
        return places[np.argsort(used[places], kind="stable")].tolist()

    def _far_from(self, place: int) -> Mask:
        measure, words = self._candidates.measure, self._candidates.words
        return measure.reaches(measure.to_word(words[:, place], words), self._threshold)

    def _count(self, place: int, times: int) -> None:
        for counts, option in zip(self._counts, self._candidates.words[:, place], strict=True):
            counts[option] += times
