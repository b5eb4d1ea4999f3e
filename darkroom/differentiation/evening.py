"""An even use of the options, at a given distance: by exchange, by other orders, by trying."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.balancing import Balancing
from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.evenness import Usage, least_unevenness, unevenness
from darkroom.differentiation.measures import Mask, pick
from darkroom.differentiation.packing import evenly, pack

TRIES = 12
BALANCED_COUNT = 16  # a search for perfect evenness gets nowhere with many more words,
BALANCED_AMONG = 256  # or with a choice much larger than that
BALANCED_CELLS = 50_000_000  # what that search may cost, in comparisons that take as long
LARGEST_TABLE = 50_000_000  # bytes: of each chosen word, which candidates are too near


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evening:
    """Looks for an even selection of words that are `threshold` apart.

    `usable` lists the options that could be used at all; `limit` bounds the work.
    """

    candidates: Candidates
    threshold: float
    usable: Sequence[Sequence[int]]
    chance: Chance
    effort: Effort
    limit: int

    def pack(self, wanted: int) -> Indexes:
        """Choose words greedily by their least used options."""
        take = evenly(self.candidates.alphabets)
        return pack(
            self.candidates,
            threshold=self.threshold,
            wanted=wanted,
            take=take,
            effort=self.effort,
        )

    def even(self, chosen: Indexes) -> Indexes:
        """Make a selection more even, or find another one of its size that is."""
        best, tries, perfect = self._exchange(chosen), 0, least_unevenness(chosen.size, self.usable)
        while self._score(best) > perfect and tries < TRIES and self._affords(chosen.size):
            order = self.chance.order(self.candidates.count)
            shuffled = replace(self, candidates=self.candidates.among(order))
            packed = order[shuffled.pack(chosen.size)]
            if packed.size == chosen.size:
                best = min(best, self._exchange(packed), key=self._score)
            tries += 1
        return best if self._score(best) == perfect else self._balance(best)

    def _balance(self, chosen: Indexes) -> Indexes:
        if chosen.size > BALANCED_COUNT or self.candidates.count > BALANCED_AMONG:
            return chosen
        balancing = Balancing(
            self.candidates, threshold=self.threshold, wanted=chosen.size, usable=self.usable
        )
        balanced = balancing.run()
        self.effort.spend(BALANCED_CELLS)
        return chosen if balanced is None else balanced

    def _affords(self, count: int) -> bool:
        return self.effort.affords(3 * count * self.candidates.cells, limit=self.limit)

    def _score(self, chosen: Indexes) -> int:
        return unevenness(pick(self.candidates.words, chosen), self.candidates.alphabets)

    def _exchange(self, chosen: Indexes) -> Indexes:
        """Exchange words in turn, until no exchange makes the use of options more even."""
        table_bytes = chosen.size * self.candidates.count
        if not self._affords(chosen.size) or table_bytes > LARGEST_TABLE:
            return chosen
        chosen, near = chosen.copy(), [self._near(int(place)) for place in chosen]
        crowding = np.sum(near, axis=0, dtype=np.int32)
        usage = Usage(self.candidates.alphabets)
        usage.add_all(pick(self.candidates.words, chosen))
        turn, without_gain = 0, 0
        while without_gain < chosen.size and self._affords(1):
            place = turn % chosen.size
            better = self._better(int(chosen[place]), crowding == near[place], usage)
            without_gain, turn = without_gain + 1, turn + 1
            if better is not None:
                chosen[place], without_gain = better, 0
                crowding -= near[place]
                near[place] = self._near(better)
                crowding += near[place]
        return chosen

    def _near(self, place: int) -> Mask:
        measure, words = self.candidates.measure, self.candidates.words
        near = ~measure.reaches(measure.to_word(words[:, place], words), self.threshold)
        near[place] = True
        self.effort.spend(self.candidates.cells)
        return near

    def _better(self, place: int, may_follow: NDArray[np.bool_], usage: Usage) -> int | None:
        """Find the word that is more even in the place of one, and count it; None if none is."""
        words = self.candidates.words
        options = np.flatnonzero(may_follow)
        usage.add(words[:, place], -1)
        costs = usage.costs(pick(words, options))
        best = int(costs.argmin())
        is_better = costs[best] < usage.costs(words[:, [place]])[0]
        chosen = int(options[best]) if is_better else place
        usage.add(words[:, chosen])
        self.effort.spend(self.candidates.cells)
        return chosen if is_better else None
