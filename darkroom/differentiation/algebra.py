"""The choice in a space too large to list, where an algebraic code reaches that far."""

import numpy as np

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Chance
from darkroom.differentiation.codes import dimensions_to_differ, sure_distances
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.fitting import Fitting
from darkroom.differentiation.levels import Levels
from darkroom.differentiation.measures import Words, pick
from darkroom.differentiation.question import Question
from darkroom.differentiation.wordlists import Code, write_words

LEAST_DIFFERING = 2  # words that differ at all are found by drawing
OVERSUPPLY = 3  # so many times the words wanted leave a choice, and rules may drop some
SMALL_CODE = 4_096  # words; another drawing of a code so small costs next to nothing
DRAWINGS = 16


def choose_by_algebra(question: Question, effort: Effort) -> Words | None:
    """Choose as many words as asked, as far apart as a code can keep them; None if none can."""
    measure, count = question.measure, question.request.count
    if not all(question.space.usable):
        return None
    farthest = dimensions_to_differ(measure, question.limits.distance(count).limit)
    least = dimensions_to_differ(measure, question.from_each)
    if least is None:
        return None
    highest = len(question.space.usable) if farthest is None else farthest
    for differing in range(highest, max(least, LEAST_DIFFERING) - 1, -1):
        code = Code(space=question.space, differing=differing)
        if code.expected_count < count:
            continue
        words = _written(question, code, effort)
        if words is not None:
            return words
    return None


def _written(question: Question, code: Code, effort: Effort) -> Words | None:
    """Write enough words of a code, and choose among them; None if too few may be chosen."""
    chance, count = Chance(question.request.seed), question.request.count
    drawings = DRAWINGS if code.message_count <= SMALL_CODE else 1
    for _ in range(drawings):
        words = _admitted(question, code, chance, effort)
        if words.shape[1] >= count:
            candidates = Candidates(
                words=words, measure=question.measure, alphabets=question.alphabets
            )
            fitting = Fitting(candidates=candidates, seed=question.request.seed, effort=effort)
            # At the bound already, words farther apart are not to be had, only an even use.
            is_at_bound = is_surely_at_bound(question, code.differing)
            thin = fitting.thin_evenly if is_at_bound else fitting.thin
            return pick(words, thin(np.arange(candidates.count), count))
        if effort.is_late():
            break
    return None


def _admitted(question: Question, code: Code, chance: Chance, effort: Effort) -> Words:
    """Write words until there is a choice, or until it is plain that there will not be."""
    wanted, kept, written = OVERSUPPLY * question.request.count, list[Words](), 0
    for chunk in write_words(code, chance):
        words = question.space.allowed(chunk)
        effort.spend(words.size * (1 + len(question.space.rules)))
        words = pick(words, question.admits(words, question.to_history(words, effort)))
        kept.append(words)
        written += chunk.shape[1]
        found = sum(words.shape[1] for words in kept)
        is_hopeless = found * code.expected_count < written * question.request.count
        if found >= wanted or is_hopeless or effort.is_late():
            break
    return np.hstack(kept)


def is_surely_at_bound(question: Question, differing: int) -> bool:
    """Say whether words that differ in so many dimensions are as far apart as can be."""
    sure = float(sure_distances(question.measure)[differing])
    limit = question.limits.distance(question.request.count).limit
    levels = Levels.of(question.measure, question.space.usable)
    return question.measure.is_reached(sure, levels.floor(limit))
