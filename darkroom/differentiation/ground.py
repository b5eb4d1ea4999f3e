"""What there is to choose from: all that may be chosen, or a sample of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darkroom.differentiation.candidates import Candidates
from darkroom.differentiation.chance import Chance, Indexes
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.fitting import Fitting
from darkroom.differentiation.levels import Levels
from darkroom.differentiation.limits import CountBound, Limits
from darkroom.differentiation.measures import Distances, Words, pick
from darkroom.differentiation.question import Question
from darkroom.differentiation.space import ENUMERATED_COUNT, enumerate_words, sample_words
from darkroom.domain.difference import Proof

SAMPLE_COUNT = 65_536  # 10 ms a step of farthest-first at 12 dimensions
SAMPLES_PER_CHOICE = 16  # a sample must offer a real choice for large counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """Words to choose from, in seeded order, and what limits the choice.

    `usable` lists the options of each dimension that the words have, as far as that is known.
    """

    question: Question
    candidates: Candidates
    to_history: Distances
    usable: Sequence[Sequence[int]]
    is_complete: bool

    @property
    def limits(self) -> Limits:
        """What no selection can beat."""
        return Limits(measure=self.question.measure, usable=self.usable)

    def levels(self) -> Levels:
        """Say which distances can occur."""
        return Levels.of(self.question.measure, self.usable)

    def most(self, distance: float) -> CountBound:
        """Say how many words so far apart no selection can exceed."""
        ceiling = self.candidates.count if self.is_complete else self.question.size
        bound = self.limits.count(distance, ceiling=ceiling)
        return CountBound(limit=bound.limit, by=bound.by or Proof.EXHAUSTION)

    def fitting(self, effort: Effort, *, is_quick: bool = False) -> Fitting:
        """Start fitting words."""
        seed = self.question.request.seed
        return Fitting(candidates=self.candidates, seed=seed, effort=effort, is_quick=is_quick)

    def words(self, chosen: Indexes) -> Words:
        """Look words up."""
        return pick(self.candidates.words, chosen)

    def distance(self, chosen: Indexes) -> float:
        """Find the smallest distance of any two chosen words."""
        return self.question.measure.smallest(self.words(chosen))


def enumerated(question: Question, effort: Effort) -> Ground | None:
    """List everything that may be chosen; None if that is too much."""
    words = enumerate_words(question.space)
    effort.spend(listing_cells(question))
    if words is None:
        return None
    order = Chance(question.request.seed).order(words.shape[1])
    ground = ground_of(question, pick(words, order), effort)
    present = [np.unique(column).tolist() for column in ground.candidates.words]
    return Ground(
        question=question,
        candidates=ground.candidates,
        to_history=ground.to_history,
        usable=present,
        is_complete=True,
    )


def sampled(question: Question, effort: Effort) -> Ground:
    """Draw some of what may be chosen."""
    words = sample_words(
        question.space,
        sample_count=sample_count(question),
        at_least=question.request.count,
        chance=Chance(question.request.seed),
    )
    effort.spend(sampling_cells(question))
    return ground_of(question, words, effort)


def ground_of(question: Question, words: Words, effort: Effort) -> Ground:
    """Keep, of allowed words, those that history and exclusions admit."""
    to_history = question.to_history(words, effort)
    admitted = question.admits(words, to_history)
    candidates = Candidates(
        words=pick(words, admitted), measure=question.measure, alphabets=question.alphabets
    )
    return Ground(
        question=question,
        candidates=candidates,
        to_history=to_history[admitted],
        usable=question.space.usable,
        is_complete=False,
    )


def sample_count(question: Question) -> int:
    """Say how many words a sample draws."""
    return max(SAMPLE_COUNT, SAMPLES_PER_CHOICE * question.request.count)


def listing_cells(question: Question) -> int:
    """Say what listing a space costs, or finding out that it is too large."""
    word_count = min(question.size, ENUMERATED_COUNT)
    return word_count * (len(question.alphabets) + question.space.pattern_count)


def sampling_cells(question: Question) -> int:
    """Say what drawing words of a large space costs."""
    return sample_count(question) * (len(question.alphabets) + question.space.pattern_count)


def survey_cells(question: Question) -> int:
    """Say what looking at the ground costs, before anything is chosen; about."""
    if question.size <= ENUMERATED_COUNT:
        return listing_cells(question)
    is_tried = bool(question.space.rules)  # else its size alone says that it is too large
    return sampling_cells(question) + is_tried * listing_cells(question)
