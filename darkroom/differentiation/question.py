"""A request in numbers: what may be chosen, and how far apart it must be."""

import math
from dataclasses import dataclass

import numpy as np

from darkroom.differentiation.candidates import encode, is_among
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.limits import Limits
from darkroom.differentiation.measures import Distances, Mask, Measure, Words, measure_by
from darkroom.differentiation.nearness import comparisons_to, distances_to_nearest
from darkroom.differentiation.rules import Numbering, usable_options
from darkroom.differentiation.space import Space
from darkroom.domain.difference import DifferenceRequest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """A request in numbers; `from_each` and `from_history` are the distances it asks for."""

    request: DifferenceRequest
    measure: Measure
    space: Space
    history: Words
    excluded: Words
    from_each: float
    from_history: float

    @property
    def alphabets(self) -> tuple[int, ...]:
        """Number of options of each dimension, usable or not."""
        return tuple(len(dimension.options) for dimension in self.request.dimensions)

    @property
    def size(self) -> int:
        """How many combinations there would be without rules and history."""
        return math.prod(self.space.alphabets)

    @property
    def limits(self) -> Limits:
        """What no selection can beat, as far as the usable options tell."""
        return Limits(measure=self.measure, usable=self.space.usable)

    def to_history(self, words: Words, effort: Effort) -> Distances:
        """Measure words against the nearest of the history."""
        effort.spend(comparisons_to(self.history, words, self.measure))
        return distances_to_nearest(self.history, words, self.measure)

    def admits(self, words: Words, to_history: Distances) -> Mask:
        """Mark the words that are far enough from the history, and are not excluded."""
        admitted = ~is_among(words, np.hstack([self.excluded, self.history]), self.alphabets)
        if self.history.shape[1]:
            admitted &= self.measure.reaches(to_history, self.from_history)
        return admitted


def ask(request: DifferenceRequest) -> Question:
    """Number a request."""
    dimensions = request.dimensions
    measure = measure_by(request.metric, dimensions)
    rules = Numbering(dimensions).rules(request.constraints)
    asked_of_history = request.history_min_difference
    if asked_of_history is None:
        asked_of_history = request.min_difference
    return Question(
        request=request,
        measure=measure,
        space=Space(usable=tuple(usable_options(dimensions, rules)), rules=tuple(rules)),
        history=encode(request.history, dimensions),
        excluded=encode(request.exclusions, dimensions),
        from_each=measure.inward(request.min_difference),
        from_history=measure.inward(asked_of_history),
    )
