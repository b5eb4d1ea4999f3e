"""A shorter list that covers the same pairs: drop a row, and mend the others until nothing lacks.

Tabu search. An uncovered pair is chosen, and of all rows that hold one half of it, the one that
loses least takes the other half too; a cell that was changed rests for a while. Source: J. Lin
et al., "TCA: an efficient two-mode meta-heuristic algorithm for combinatorial test generation",
2015.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.measures import Mask

RESTING_MOVES = 4
RESTING_SPREAD = 6
ANYWHERE_ONE_IN = 64  # so often a pair goes into any row, whatever is lost, to get out of a corner

Rows = NDArray[np.intp]  # (rows, dimensions): items
Permit = Callable[[Rows], Mask]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shortening:
    """Shortens a list of rows of items.

    Attributes:
        required: (items, items), symmetric: which pairs must be covered.
        dimension_of: (items,): the dimension of each item.
        permit: says which rows keep the rules.
        chance: decides ties.
    """

    required: NDArray[np.bool_]
    dimension_of: Indexes
    permit: Permit
    chance: Chance

    def shorten(self, rows: Rows, *, least: int, moves: int) -> Rows:
        """Drop as many rows as so many changes allow, until no list can be shorter."""
        while moves > 0 and len(rows) > max(1, least):
            mending = Mending(self, self._without_one(rows), moves)
            if not mending.run():
                break
            rows, moves = mending.rows, moves - mending.moved
        return rows

    def counts(self, rows: Rows) -> NDArray[np.int32]:
        """Count, for each two items, the rows that hold both."""
        held = np.zeros((len(rows), len(self.required)), dtype=np.int32)
        np.put_along_axis(held, rows, 1, axis=1)
        return held.T @ held

    def _without_one(self, rows: Rows) -> Rows:
        """Drop the row that alone covers the fewest pairs."""
        alone = (self.counts(rows) == 1) & self.required
        needed = [int(alone[np.ix_(row, row)].sum()) for row in rows]
        return np.delete(rows, int(np.argmin(needed)), axis=0)


class Mending:
    """Changes cells of rows until they cover every required pair again."""

    def __init__(self, task: Shortening, rows: Rows, moves: int) -> None:
        self.rows = rows
        self.moved = 0
        self._task = task
        self._counts = task.counts(rows)
        self._rest_until = np.zeros(rows.shape, dtype=np.int64)
        self._draws = task.chance.numbers(3 * moves, below=1 << 30).reshape(moves, 3).tolist()

    def run(self) -> bool:
        """Say whether every pair is covered at last."""
        for pair, place, rest in self._draws:
            lacking = np.argwhere((self._counts == 0) & self._task.required)
            if not len(lacking):
                return True
            one, other = (int(item) for item in lacking[pair % len(lacking)])
            if place % ANYWHERE_ONE_IN:
                self._put_where_least_is_lost(one, other, rest)
            else:
                self._put_anywhere(one, other, place // ANYWHERE_ONE_IN, rest)
            self.moved += 1
        return False

    def _put_where_least_is_lost(self, held: int, wanted: int, rest: int) -> None:
        """Give the second item of a pair to a row that holds the first.

        A pair comes up in both orders, so that either half may be the one that is there.
        """
        dimension = self._task.dimension_of[wanted]
        holds = self.rows[:, self._task.dimension_of[held]] == held
        places = np.flatnonzero(holds & (self._rest_until[:, dimension] <= self.moved))
        changed = self.rows[places]
        changed[:, dimension] = wanted
        places = places[self._task.permit(changed)]
        if places.size:
            place = int(places[self._loss(self.rows[places], dimension, wanted).argmin()])
            self._change(place, wanted, rest)

    def _loss(self, rows: Rows, dimension: int, wanted: int) -> Indexes:
        """Count the pairs that a change would uncover, less those that it would cover."""
        required, given = self._task.required, rows[:, [dimension]]
        lost = (self._counts[given, rows] == 1) & required[given, rows]
        won = (self._counts[wanted][rows] == 0) & required[wanted][rows]
        return lost.sum(axis=1) - won.sum(axis=1)

    def _put_anywhere(self, one: int, other: int, place: int, rest: int) -> None:
        place %= len(self.rows)
        changed = self.rows[[place]]
        changed[0, self._task.dimension_of[[one, other]]] = one, other
        if self._task.permit(changed)[0]:
            self._change(place, one, rest)
            self._change(place, other, rest)

    def _change(self, place: int, item: int, rest: int) -> None:
        dimension, row = self._task.dimension_of[item], self.rows[place]
        for held, step in ((row[dimension], -1), (item, 1)):
            row[dimension] = held
            self._counts[held, row] += step
            self._counts[row, held] += step
        self._rest_until[place, dimension] = self.moved + RESTING_MOVES + rest % RESTING_SPREAD
