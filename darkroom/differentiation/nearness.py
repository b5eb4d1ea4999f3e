"""How far words are from a history, however long it is.

Word by word costs as much as the history is long. Where options are mere names there is another
way: a word is as near as the heaviest set of dimensions on which some earlier word agrees with
it, and which words agree on a set is found by sorting.
"""

from itertools import combinations

import numpy as np

from darkroom.differentiation.candidates import number_words
from darkroom.differentiation.measures import Distances, Measure, Words, pick

SORTED_WORD_CELLS = 25  # what sorting costs for each word, in comparisons that take as long


def comparisons_to(others: Words, words: Words, measure: Measure) -> int:
    """Say what measuring words against others costs, in comparisons."""
    one_by_one = words.size * others.shape[1]
    return min(one_by_one, _by_sets(words)) if _is_by_names(measure) else one_by_one


def distances_to_nearest(others: Words, words: Words, measure: Measure) -> Distances:
    """Find for every word its distance to the nearest of the others."""
    if _is_by_names(measure) and _by_sets(words) < words.size * others.shape[1]:
        return _by_agreement(others, words, measure)
    return measure.to_nearest(others, words)


def _is_by_names(measure: Measure) -> bool:
    return all(table is None for table in measure.tables)


def _by_sets(words: Words) -> int:
    return 2 ** len(words) * words.shape[1] * SORTED_WORD_CELLS


def _by_agreement(others: Words, words: Words, measure: Measure) -> Distances:
    """Go through the sets of dimensions that differ, the lightest first."""
    dimensions = range(len(words))
    subsets = [some for size in dimensions for some in combinations(dimensions, size)]
    subsets.sort(key=lambda differing: float(measure.weights[list(differing)].sum()))
    nearest = np.full(words.shape[1], measure.weights.sum(), dtype=measure.weights.dtype)
    left = np.arange(words.shape[1], dtype=np.intp)
    for differing in subsets:
        agreeing = [dimension for dimension in dimensions if dimension not in differing]
        is_met = _meets(pick(words, left)[agreeing], others[agreeing])
        weights = [measure.weights[dimension] for dimension in differing]
        nearest[left[is_met]] = np.sum(weights, dtype=measure.weights.dtype)
        left = left[~is_met]
    return nearest


def _meets(words: Words, others: Words) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Mark the words that are among the others; an unknown option is one more number."""
    both = np.hstack([words, others]).astype(np.int64) + 1
    numbers = number_words(both, [int(row.max(initial=0)) + 1 for row in both])
    count = int(words.shape[1])
    return np.isin(numbers[:count], numbers[count:])
