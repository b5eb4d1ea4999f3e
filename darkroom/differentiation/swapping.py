"""Local search for more words: one chosen word makes room for another, and sometimes for two."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.measures import Mask

RESTING_EXCHANGES = 7  # a word that was put back is not taken again for at least so long
RESTING_SPREAD = 5  # and at most so much longer, by chance, so that the search does not circle
MOST_EXCHANGES = 1_500
EXCHANGE_CELLS = 80_000  # what one costs, however few words there are


@dataclass(slots=True, kw_only=True)
class Crowd:
    """A selection under change: for each candidate, how many chosen words it is too near to."""

    candidates: Candidates
    threshold: float
    chosen: list[int]
    crowding: NDArray[np.int32]
    resting_until: NDArray[np.int32]

    def near(self, place: int) -> Mask:
        """Mark the candidates that are too near to one, itself included."""
        measure, words = self.candidates.measure, self.candidates.words
        near = ~measure.reaches(measure.to_word(words[:, place], words), self.threshold)
        near[place] = True
        return near

    def open_places(self, exchange: int) -> Indexes:
        """List what may be taken: what has room, or what a single chosen word is in the way of."""
        with_room = np.flatnonzero(self.crowding == 0)
        if with_room.size:
            return with_room
        may_come = (self.crowding == 1) & (self.resting_until <= exchange)
        may_come[self.chosen] = False
        return np.flatnonzero(may_come)

    def take(self, place: int, *, rest_until: int) -> None:
        """Choose a word, and put the one back that is in its way; that one rests for a while."""
        near = self.near(place)
        if self.crowding[place]:
            left = next(one for one in self.chosen if near[one])
            self.chosen.remove(left)
            self.crowding -= self.near(left)
            self.resting_until[left] = rest_until
        self.chosen.append(place)
        self.crowding += near


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanging:
    """Looks for up to `wanted` words that are `threshold` apart; `limit` bounds the work."""

    candidates: Candidates
    threshold: float
    wanted: int
    chance: Chance
    effort: Effort
    limit: int

    def enlarge(self, chosen: Indexes) -> Indexes:
        """Exchange one word at a time, beginning with a selection; answers the largest found."""
        crowd = self._crowd(chosen)
        best = list(crowd.chosen)
        picks = self.chance.numbers(MOST_EXCHANGES, below=np.iinfo(np.int32).max)
        rests = self.chance.numbers(MOST_EXCHANGES, below=RESTING_SPREAD) + RESTING_EXCHANGES
        cells = 2 * self.candidates.cells + EXCHANGE_CELLS
        for exchange in range(MOST_EXCHANGES):
            places = crowd.open_places(exchange)
            is_over = len(best) >= self.wanted or not places.size
            if is_over or not self.effort.affords(cells, limit=self.limit):
                break
            self.effort.spend(cells)
            place = int(places[picks[exchange] % places.size])
            crowd.take(place, rest_until=exchange + int(rests[exchange]))
            if len(crowd.chosen) > len(best):
                best = list(crowd.chosen)
        return np.array(best, dtype=np.intp)

    def _crowd(self, chosen: Indexes) -> Crowd:
        count = self.candidates.count
        crowd = Crowd(
            candidates=self.candidates,
            threshold=self.threshold,
            chosen=[],
            crowding=np.zeros(count, dtype=np.int32),
            resting_until=np.zeros(count, dtype=np.int32),
        )
        for place in chosen:
            crowd.take(int(place), rest_until=0)
        self.effort.spend(self.candidates.cells * chosen.size)
        return crowd
