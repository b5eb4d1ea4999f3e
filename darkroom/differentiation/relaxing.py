"""What would help where too few combinations are far enough apart, tried out one by one.

Each trial is a request of its own, answered without exact search: the count it names can be
had, and more may be possible.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from darkroom.differentiation.effort import Effort
from darkroom.domain.difference import DifferenceRequest, Relaxation, RelaxationKind

RELAXED_CELLS = 600_000_000
TOLD_PLACES = 1_000_000  # a difference is told in six decimals, never above what was found
ROUNDING = 1e-3  # of a place

HISTORY_REPEATS_ONLY = 0.0  # what was made before is not made again, but may be nearly made

# Of changes that reach as many combinations, the one named first takes the least away.
ORDER = tuple(RelaxationKind)

ADDED_OPTION = "\0another"  # nobody's option: the door refuses control characters

Find = Callable[[DifferenceRequest], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxing:
    """Tries changes of one request that could not be met.

    Attributes:
        request: it.
        largest: the count that was found without a change.
        lower: the differences below the one asked for that can occur, ascending.
        find: finds how many combinations a request can have, up to its count.
        effort: counts the work.
        trial_cells: what a trial costs at least; none is begun that would exceed RELAXED_CELLS.
    """

    request: DifferenceRequest
    largest: int
    lower: Sequence[float]
    find: Find
    effort: Effort
    trial_cells: int

    def most_helpful_first(self) -> tuple[Relaxation, ...]:
        """List the changes that help, those that reach the count asked for before the others."""
        helpful = [one for one in self._tried() if one.feasible_count > self.largest]
        return tuple(sorted(helpful, key=lambda one: (-one.feasible_count, ORDER.index(one.kind))))

    def _tried(self) -> Iterator[Relaxation]:
        limit = self.effort.spent + RELAXED_CELLS
        for change in (self._lower_difference, self._forget_history):
            if self.effort.affords(self.trial_cells, limit=limit):
                yield from change()
        for place in range(len(self.request.constraints)):
            if self.effort.affords(self.trial_cells, limit=limit):
                yield self._drop_constraint(place)
        for place in range(len(self.request.dimensions)):
            if self.effort.affords(self.trial_cells, limit=limit):
                yield self._add_option(place)

    def _lower_difference(self) -> Iterator[Relaxation]:
        """Find, by halving, the largest difference at which there are enough."""
        low, high = 0, len(self.lower)
        while low < high:
            middle = (low + high) // 2
            if self._at(self.lower[middle]) >= self.request.count:
                low = middle + 1
            else:
                high = middle
        if low:
            yield Relaxation(
                kind=RelaxationKind.LOWER_DIFFERENCE,
                feasible_count=self.request.count,
                difference=_rounded_down(self.lower[low - 1]),
            )

    def _at(self, difference: float) -> int:
        return self.find(replace(self.request, min_difference=difference))

    def _forget_history(self) -> Iterator[Relaxation]:
        if self.request.history:
            lowered = replace(self.request, history_min_difference=HISTORY_REPEATS_ONLY)
            yield Relaxation(
                kind=RelaxationKind.LOWER_HISTORY_DIFFERENCE,
                feasible_count=self.find(lowered),
                difference=HISTORY_REPEATS_ONLY,
            )

    def _drop_constraint(self, place: int) -> Relaxation:
        constraints = self.request.constraints
        fewer = replace(self.request, constraints=constraints[:place] + constraints[place + 1 :])
        return Relaxation(
            kind=RelaxationKind.DROP_CONSTRAINT, feasible_count=self.find(fewer), constraint=place
        )

    def _add_option(self, place: int) -> Relaxation:
        dimensions = list(self.request.dimensions)
        grown = dimensions[place]
        dimensions[place] = replace(grown, options=(*grown.options, ADDED_OPTION))
        return Relaxation(
            kind=RelaxationKind.ADD_OPTION,
            feasible_count=self.find(replace(self.request, dimensions=tuple(dimensions))),
            dimension=grown.name,
        )


def _rounded_down(difference: float) -> float:
    return math.floor(difference * TOLD_PLACES + ROUNDING) / TOLD_PLACES
