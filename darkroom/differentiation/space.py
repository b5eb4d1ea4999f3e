"""Which combinations exist under the constraints: all of them, or a seeded sample.

A space is grown dimension by dimension, and what a rule forbids is dropped as soon as the
dimensions it names are there. One that grows past ENUMERATED_COUNT is not enumerated; of it,
`sample_words` grows each word by one option a step that its earlier options allow.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from darkroom.differentiation.candidates import distinct
from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.measures import Words, pick
from darkroom.differentiation.rules import Column, Rule, breaks_any

ENUMERATED_COUNT = 2_000_000  # 8 MB for four dimensions of at most 127 options
REDRAWS = 8  # of an option a rule forbids, before every option is tried
REPAIR_ROUNDS = 200  # a forbidden word is redrawn in one dimension at most this often


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The options of each dimension that are usable by themselves, and the rules beside that."""

    usable: tuple[tuple[int, ...], ...]
    rules: tuple[Rule, ...]

    @property
    def word_type(self) -> np.dtype[np.signedinteger]:
        """The smallest signed type that holds every option number."""
        largest = max((max(options, default=0) for options in self.usable), default=0)
        return np.min_scalar_type(-1 - largest)

    @property
    def pattern_count(self) -> int:
        """How many patterns are looked for in every word."""
        return sum(len(rule.patterns) for rule in self.rules)

    @property
    def number_room(self) -> tuple[int, ...]:
        """For each dimension, a number above all of its usable options."""
        return tuple(max(options, default=0) + 1 for options in self.usable)

    @property
    def alphabets(self) -> tuple[int, ...]:
        """How many options of each dimension are usable by themselves."""
        return tuple(len(options) for options in self.usable)

    def allowed(self, words: Words) -> Words:
        """Keep the words that break no rule."""
        return pick(words, ~breaks_any(dict(enumerate(words)), words.shape[1], self.rules))

    def steps(self) -> Iterator[tuple[int, list[Rule]]]:
        """Order the dimensions so that rules bite early; with each, the rules it completes."""
        left, known = list(range(len(self.usable))), frozenset[int]()
        while left:
            dimension = min(left, key=lambda one: self._promise(one, known))
            left.remove(dimension)
            known |= {dimension}
            within = (rule.within(known) for rule in self.rules)
            yield dimension, [rule for rule in within if rule and dimension in rule.dimensions]

    def _promise(self, dimension: int, known: frozenset[int]) -> tuple[int, int, int]:
        touching = [rule.dimensions for rule in self.rules if dimension in rule.dimensions]
        completed = sum(1 for named in touching if named <= known | {dimension})
        begun = sum(1 for named in touching if named & known)
        return -completed, -begun, dimension


def enumerate_words(space: Space) -> Words | None:
    """List every allowed word; None if there are too many."""
    columns, count = dict[int, Column](), 1
    if not all(space.usable):
        return np.zeros((len(space.usable), 0), dtype=space.word_type)
    if not space.rules and math.prod(space.alphabets) > ENUMERATED_COUNT:
        return None
    for dimension, rules in space.steps():
        options = np.array(space.usable[dimension], dtype=space.word_type)
        if count * options.size > ENUMERATED_COUNT:
            return None
        columns = {one: np.repeat(column, options.size) for one, column in columns.items()}
        columns[dimension] = np.tile(options, count)
        count *= options.size
        if rules:
            keep = ~breaks_any(columns, count, rules)
            columns = {one: column[keep] for one, column in columns.items()}
            count = int(np.count_nonzero(keep))
    words = np.zeros((len(space.usable), count), dtype=space.word_type)
    for dimension, column in columns.items():
        words[dimension] = column
    return words


def sample_words(space: Space, *, sample_count: int, at_least: int, chance: Chance) -> Words:
    """Draw distinct allowed words in seeded order; fewer than `sample_count` if they repeat.

    Where growing finds fewer than `at_least`, whole random words are mended as well.
    """
    if not all(space.usable):
        return np.zeros((len(space.usable), 0), dtype=space.word_type)
    words = distinct(_grow(space, sample_count, chance), space.number_room)
    if words.shape[1] < at_least:
        words = np.hstack([words, _mended(space, sample_count, chance)])
        words = distinct(words, space.number_room)
    return pick(words, chance.order(words.shape[1]))


def _grow(space: Space, count: int, chance: Chance) -> Words:
    columns = dict[int, Column]()
    for dimension, rules in space.steps():
        columns[dimension] = draw(space.usable[dimension], count, chance)
        stuck = _redraw(space, columns, dimension, rules, chance)
        lost = _try_every_option(space, columns, dimension, rules, stuck)
        if lost.size == count:
            return np.zeros((len(space.usable), 0), dtype=space.word_type)
        if lost.size:  # a word that cannot go on becomes a copy of one that can
            alive = np.setdiff1d(np.arange(count), lost)
            copied = alive[chance.numbers(lost.size, below=alive.size)]
            for column in columns.values():
                column[lost] = column[copied]
    ordered = [columns[dimension] for dimension in range(len(space.usable))]
    return np.vstack(ordered).astype(space.word_type)


def _redraw(
    space: Space, columns: dict[int, Column], dimension: int, rules: Sequence[Rule], chance: Chance
) -> Indexes:
    """Draw options again, in place, where a rule is broken; answers where it still is."""
    stuck = np.arange(columns[dimension].size)
    for round_ in range(REDRAWS):
        if round_:
            columns[dimension][stuck] = draw(space.usable[dimension], stuck.size, chance)
        some = {one: column[stuck] for one, column in columns.items()}
        stuck = stuck[breaks_any(some, stuck.size, rules)]
        if not stuck.size:
            break
    return stuck


def _try_every_option(
    space: Space, columns: dict[int, Column], dimension: int, rules: Sequence[Rule], stuck: Indexes
) -> Indexes:
    """Set, in place, the first option that no rule forbids; answers where there is none."""
    for option in space.usable[dimension]:
        if not stuck.size:
            break
        columns[dimension][stuck] = option
        some = {one: column[stuck] for one, column in columns.items()}
        stuck = stuck[breaks_any(some, stuck.size, rules)]
    return stuck


def _mended(space: Space, count: int, chance: Chance) -> Words:
    """Draw whole words, redraw them in a dimension of every broken rule, drop what stays broken."""
    words = np.vstack([draw(options, count, chance) for options in space.usable])
    for _ in range(REPAIR_ROUNDS):
        any_broken = False
        for rule in space.rules:
            broken = np.flatnonzero(rule.broken(dict(enumerate(words)), count))
            named = sorted(rule.dimensions)
            if broken.size and named:
                dimension = named[int(chance.numbers(1, below=len(named))[0])]
                words[dimension, broken] = draw(space.usable[dimension], broken.size, chance)
                any_broken = True
        if not any_broken:
            break
    return space.allowed(words).astype(space.word_type)


def draw(options: Sequence[int], count: int, chance: Chance) -> Column:
    """Draw options evenly."""
    return np.array(options, dtype=np.int32)[chance.numbers(count, below=len(options))]
