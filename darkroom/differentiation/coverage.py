"""Another wish than distance: every pair of options of two dimensions in at least one combination.

Row by row, greedily. A row is grown dimension by dimension, taking the option that covers most
pairs that no row covers yet; many rows are grown side by side, with different ties, and the best
is kept. Source: D. Cohen et al., "The AETG system", 1997. The shortest of a few lists is then
shortened further, see `shortening`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.measures import Mask
from darkroom.differentiation.rules import Column, Numbering, breaks_any, usable_options
from darkroom.differentiation.shortening import Rows, Shortening
from darkroom.differentiation.space import Space
from darkroom.domain.difference import Combination, Constraint, Dimension

GROWN_AT_ONCE = 48
TRIES_PER_PAIR = 8  # a pair that so many batches of rows cannot hold is given up
LISTS = 4
MOST_MOVES = 8_000
MOVED_CELLS = 500_000_000
TIES = 1 << 20  # one pair more decides before any tie

Item = tuple[str, str]  # (dimension, option)
Pair = tuple[int, int]  # of items


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Combinations that hold every pair of options, but for those no combination was found with."""

    combinations: tuple[Combination, ...]
    missing: tuple[tuple[Item, Item], ...] = ()


def cover_pairs(
    dimensions: Sequence[Dimension], constraints: Sequence[Constraint] = (), *, seed: int = 0
) -> Coverage:
    """Find few combinations that hold every pair of options that the constraints allow.

    Args:
        dimensions: at least two.
        constraints: what every combination keeps.
        seed: decides ties.
    """
    rules = Numbering(dimensions).rules(constraints)
    usable = tuple(usable_options(dimensions, rules))
    items = [
        (dimension.name, dimension.options[number])
        for dimension, options in zip(dimensions, usable, strict=True)
        for number in options
    ]
    covering = Covering(Space(usable=usable, rules=tuple(rules)), Chance(seed))
    rows, missing = covering.shortest_list()
    return Coverage(
        combinations=tuple(tuple(items[int(item)] for item in row) for row in rows.tolist()),
        missing=tuple((items[one], items[other]) for one, other in missing),
    )


class Covering:
    """Makes lists of rows over one space. An item is a usable option, numbered over all of them."""

    def __init__(self, space: Space, chance: Chance) -> None:
        self._space = space
        self._chance = chance
        ends = np.cumsum([0, *(len(options) for options in space.usable)])
        self._items = [np.arange(a, b, dtype=np.intp) for a, b in pairwise(ends)]
        self._dimension_of = np.repeat(np.arange(len(space.usable)), np.diff(ends))

    def shortest_list(self) -> tuple[Rows, list[Pair]]:
        """Cover all pairs with few rows; answers them, and the pairs that no row could hold."""
        lists = [self._list_rows() for _ in range(LISTS)]
        rows, missing = min(lists, key=lambda one: len(one[0]))
        if not rows:
            return np.zeros((0, len(self._items)), dtype=np.intp), missing
        required = self._every_pair()
        for one, other in missing:
            required[one, other] = required[other, one] = False
        shortening = Shortening(
            required=required,
            dimension_of=self._dimension_of,
            permit=self._permit,
            chance=self._chance,
        )
        table = np.array(rows, dtype=np.intp)
        moves = min(MOST_MOVES, MOVED_CELLS // (table.size + required.size))
        least = math.prod(sorted(items.size for items in self._items)[-2:]) - len(missing)
        return shortening.shorten(table, least=least, moves=moves), missing

    def _every_pair(self) -> NDArray[np.bool_]:
        return self._dimension_of[:, None] != self._dimension_of

    def _permit(self, rows: Rows) -> Mask:
        columns = {d: self._numbers(d, column) for d, column in enumerate(rows.T)}
        return ~breaks_any(columns, len(rows), self._space.rules)

    def _list_rows(self) -> tuple[list[Indexes], list[Pair]]:
        open_ = self._every_pair().astype(np.int32)
        rows, missing, tries = list[Indexes](), list[Pair](), 0
        while open_.any():
            first = self._most_wanted(open_)
            row = self._best_row(open_, first)
            tries = tries + 1 if row is None else 0
            if row is not None:
                open_[np.ix_(row, row)] = 0
                rows.append(row)
            elif tries >= TRIES_PER_PAIR:
                missing.append(first)
                open_[first] = open_[first[::-1]] = 0
                tries = 0
        return rows, missing

    def _most_wanted(self, open_: NDArray[np.int32]) -> tuple[int, int]:
        """Choose an open pair: of the item in most open pairs, with the next such item."""
        counts = open_.sum(axis=1)
        one = int(counts.argmax())
        other = int((open_[one] * (counts + 1)).argmax())
        return min(one, other), max(one, other)

    def _best_row(self, open_: NDArray[np.int32], first: tuple[int, int]) -> Indexes | None:
        """Grow many rows from a pair, and keep the one that covers most; None if none can stand."""
        rows = np.zeros((len(self._items), GROWN_AT_ONCE), dtype=np.intp)
        columns = dict[int, Column]()
        gains = np.zeros((GROWN_AT_ONCE, open_.shape[0]), dtype=np.int64)
        covered = np.zeros(GROWN_AT_ONCE, dtype=np.int64)
        alive = np.ones(GROWN_AT_ONCE, dtype=np.bool_)
        given = {int(self._dimension_of[item]): item for item in first}
        rest = [int(d) for d in self._chance.order(len(self._items)) if int(d) not in given]
        for dimension in (*given, *rest):
            items = self._items[dimension]
            if dimension in given:
                items = np.array([given[dimension]], dtype=np.intp)
            ties = self._chance.numbers(GROWN_AT_ONCE * items.size, below=TIES)
            worth = gains[:, items] * TIES + ties.reshape(GROWN_AT_ONCE, items.size)
            worth[~self._allowed(columns, dimension, items)] = -1
            best = worth.argmax(axis=1)
            alive &= worth[np.arange(GROWN_AT_ONCE), best] >= 0
            rows[dimension] = items[best]
            columns[dimension] = self._numbers(dimension, rows[dimension])
            covered += gains[np.arange(GROWN_AT_ONCE), rows[dimension]]
            gains += open_[rows[dimension]]
        covered[~alive] = -1
        winner = int(covered.argmax())
        return rows[:, winner] if alive[winner] else None

    def _allowed(self, columns: dict[int, Column], dimension: int, items: Indexes) -> Mask:
        """Mark, for each growing row and each item, whether the rules let it be taken."""
        known = frozenset(columns) | {dimension}
        rules = [rule for one in self._space.rules if (rule := one.within(known))]
        rules = [rule for rule in rules if dimension in rule.dimensions]
        allowed = np.ones((GROWN_AT_ONCE, items.size), dtype=np.bool_)
        for place, item in enumerate(items if rules else ()):
            column = self._numbers(dimension, np.full(GROWN_AT_ONCE, item, dtype=np.intp))
            broken = breaks_any({**columns, dimension: column}, GROWN_AT_ONCE, rules)
            allowed[:, place] = ~broken
        return allowed

    def _numbers(self, dimension: int, items: Indexes) -> Column:
        options = np.array(self._space.usable[dimension], dtype=np.int32)
        return options[items - self._items[dimension][0]]
