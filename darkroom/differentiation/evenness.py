"""How evenly a selection uses the options of each dimension."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.chance import Indexes
from darkroom.differentiation.measures import Word, Words, pick

LOOKED_AT_COUNT = 4_096  # of more words that are equally good, the first ones are a fair sample
THINNING_ROUNDS = 64  # so often is counted anew while many words are taken at once

Costs: TypeAlias = NDArray[np.signedinteger[Any]]  # (words,)


class Usage:
    """Counts how often each option was chosen."""

    def __init__(self, alphabets: Sequence[int]) -> None:
        self._counts = [np.zeros(options, dtype=np.int32) for options in alphabets]

    def add(self, word: Word, times: int = 1) -> None:
        """Count a chosen word, or take one back with -1 times."""
        for counts, option in zip(self._counts, word, strict=True):
            counts[option] += times

    def add_all(self, words: Words) -> None:
        """Count many chosen words."""
        for counts, options in zip(self._counts, words, strict=True):
            counts[:] += np.bincount(options, minlength=counts.size)

    def costs(self, words: Words) -> Costs:
        """Say for every word how often its options are used already."""
        used = np.zeros(words.shape[1], dtype=np.int32)
        for counts, options in zip(self._counts, words, strict=True):
            used += counts[options]
        return used

    def least_used(self, words: Words) -> int:
        """Find the word with the least used options; the first of equals."""
        return int(self.costs(words).argmin())


def thin_evenly(words: Words, wanted: int, alphabets: Sequence[int]) -> Indexes:
    """Choose `wanted` of many words by least used options, a share of them at a time."""
    usage, is_open = Usage(alphabets), np.ones(words.shape[1], dtype=np.bool_)
    taken: list[Indexes] = []
    left = min(wanted, words.shape[1])
    share = max(1, -(-left // THINNING_ROUNDS))
    for size in (*[share] * (left // share), left % share):
        places = np.flatnonzero(is_open)
        best = places[_cheapest_first(usage.costs(pick(words, places)))[:size]]
        usage.add_all(pick(words, best))
        is_open[best] = False
        taken.append(best)
    return np.concatenate(taken)


def _cheapest_first(costs: Costs) -> Indexes:
    """Sort, keeping equals in their order; two bytes a number are sorted several times faster."""
    is_small = int(costs.max(initial=0)) <= np.iinfo(np.int16).max
    return np.argsort(costs.astype(np.int16) if is_small else costs, kind="stable")


def unevenness(words: Words, alphabets: Sequence[int]) -> int:
    """Add up the squares of the option counts: the smaller, the more even."""
    return sum(
        int((np.bincount(options, minlength=size) ** 2).sum())
        for options, size in zip(words, alphabets, strict=True)
    )


def least_unevenness(count: int, usable: Sequence[Sequence[int]]) -> int:
    """Say how even `count` words can be at best."""
    shares = [(divmod(count, max(len(options), 1)), len(options)) for options in usable]
    return sum(
        more * (each + 1) ** 2 + (options - more) * each**2 for (each, more), options in shares
    )


def imbalance(words: Words, usable: Sequence[Sequence[int]]) -> int:
    """Find the largest difference of how often two usable options of a dimension are chosen."""
    counts = [
        np.bincount(column, minlength=max(options, default=0) + 1)[list(options)]
        for column, options in zip(words, usable, strict=True)
        if options
    ]
    return max((int(count.max() - count.min()) for count in counts), default=0)
