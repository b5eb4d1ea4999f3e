"""Which combinations exist under the constraints: all of them, or a seeded sample.

A space is grown dimension by dimension, and what a constraint forbids is dropped as soon as
the dimensions it names are there. One that grows past ENUMERATED_COUNT is sampled instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darkroom.differentiation.candidates import Mask, Words
from darkroom.differentiation.chance import Chance
from darkroom.domain.job import Constraint, Dimension

ENUMERATED_COUNT = 2_000_000  # 8 MB for four dimensions of at most 127 options
SAMPLE_COUNT = 65_536  # 10 ms a step of farthest-first at 12 dimensions
SAMPLES_PER_CHOICE = 16  # a sample must offer a real choice for large counts
REPAIR_ROUNDS = 200  # a forbidden word is redrawn in one dimension at most this often

Forbidden = tuple[tuple[int, int], ...]  # (dimension number, option number) pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Distinct allowed words in seeded order; complete when no allowed word is missing.

    `alphabets` holds the number of options of each dimension that are usable by themselves.
    """

    words: Words
    alphabets: tuple[int, ...]
    is_complete: bool


def map_space(
    dimensions: Sequence[Dimension],
    constraints: Sequence[Constraint],
    *,
    count: int,
    chance: Chance,
) -> Space:
    """Enumerate the allowed combinations, or sample enough of them to choose `count`."""
    rules = [rule for c in constraints if (rule := number_constraint(c, dimensions))]
    usable = usable_options(dimensions, rules)
    words = enumerate_words(usable, rules)
    is_complete = words is not None
    if words is None:
        sample_count = max(SAMPLE_COUNT, SAMPLES_PER_CHOICE * count)
        words = sample_words(usable, rules, sample_count=sample_count, chance=chance)
    return Space(
        words=words[:, chance.order(words.shape[1])],
        alphabets=tuple(len(options) for options in usable),
        is_complete=is_complete,
    )


def number_constraint(constraint: Constraint, dimensions: Sequence[Dimension]) -> Forbidden | None:
    """Replace names by numbers.

    Returns:
        None for a rule that no combination can break: it names nothing, something unknown,
        or two options of one dimension.
    """
    options = {
        (d.name, o): (i, n) for i, d in enumerate(dimensions) for n, o in enumerate(d.options)
    }
    pairs = {options.get(pair) for pair in constraint.forbid}
    known = sorted(pair for pair in pairs if pair is not None)
    named = {dimension for dimension, _ in known}
    is_breakable = bool(pairs) and len(pairs) == len(known) == len(named)
    return tuple(known) if is_breakable else None


def usable_options(
    dimensions: Sequence[Dimension], rules: Sequence[Forbidden]
) -> list[tuple[int, ...]]:
    """List the options of each dimension that no rule forbids by themselves."""
    banned = {rule[0] for rule in rules if len(rule) == 1}
    return [
        tuple(n for n in range(len(dimension.options)) if (i, n) not in banned)
        for i, dimension in enumerate(dimensions)
    ]


def enumerate_words(usable: Sequence[tuple[int, ...]], rules: Sequence[Forbidden]) -> Words | None:
    """List every allowed word in lexicographic order; None if there are too many."""
    words = np.zeros((0, 1), dtype=word_type(usable))
    if not all(usable):
        return np.zeros((len(usable), 0), dtype=words.dtype)
    for dimension, options in enumerate(usable):
        if words.shape[1] * len(options) > ENUMERATED_COUNT:
            return None
        added = np.tile(np.array(options, dtype=words.dtype), words.shape[1])
        words = np.vstack([np.repeat(words, len(options), axis=1), added])
        # A rule is sorted, so its last pair names the dimension that completes it.
        completed = [rule for rule in rules if rule[-1][0] == dimension]
        if completed:
            words = words[:, ~breaks_any(words, completed)]
    return words


def sample_words(
    usable: Sequence[tuple[int, ...]],
    rules: Sequence[Forbidden],
    *,
    sample_count: int,
    chance: Chance,
) -> Words:
    """Draw words at random, mend those a rule forbids, and drop what stays forbidden."""
    words = np.vstack([draw(options, sample_count, chance) for options in usable])
    words = words.astype(word_type(usable))
    for _ in range(REPAIR_ROUNDS):
        if not mend(words, usable, rules, chance):
            break
    return np.unique(words[:, ~breaks_any(words, rules)], axis=1)


def draw(options: tuple[int, ...], count: int, chance: Chance) -> Words:
    """Draw options evenly."""
    return np.array(options, dtype=np.int32)[chance.numbers(count, below=len(options))]


def mend(
    words: Words, usable: Sequence[tuple[int, ...]], rules: Sequence[Forbidden], chance: Chance
) -> bool:
    """Redraw, in place, one dimension of every broken rule; say whether any was broken."""
    any_broken = False
    for rule in rules:
        broken = np.flatnonzero(breaks(words, rule))
        if broken.size:
            dimension, _ = rule[int(chance.numbers(1, below=len(rule))[0])]
            words[dimension, broken] = draw(usable[dimension], broken.size, chance)
            any_broken = True
    return any_broken


def breaks(words: Words, rule: Forbidden) -> Mask:
    """Mark the words in which every pair of the rule occurs."""
    return np.logical_and.reduce([words[dimension] == option for dimension, option in rule])


def breaks_any(words: Words, rules: Sequence[Forbidden]) -> Mask:
    """Mark the words that break some rule."""
    broken = np.zeros(words.shape[1], dtype=np.bool_)
    for rule in rules:
        broken |= breaks(words, rule)
    return broken


def word_type(usable: Sequence[tuple[int, ...]]) -> np.dtype[np.signedinteger]:
    """Find the smallest signed type that holds every option number."""
    return np.min_scalar_type(-1 - max((max(options, default=0) for options in usable), default=0))
