"""Jobs of one owner that draw at the same time, and a table that reserves what they drew."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace

from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.combination_key import combination_key
from darkroom.domain.difference import Combination, DifferenceRequest
from darkroom.domain.errors import DifferenceInfeasible


@dataclass(slots=True)
class Reservations:
    """An owner's reserved combinations by key; a reservation is made whole or not at all."""

    keys: set[str] = field(default_factory=set[str])
    conflicts: int = 0

    def reserve(self, combinations: Iterable[Combination]) -> tuple[Combination, ...]:
        """Reserve all of them; answers those that were taken, and then nothing is reserved."""
        keys = {combination_key(combination): combination for combination in combinations}
        taken = tuple(combination for key, combination in keys.items() if key in self.keys)
        if taken:
            self.conflicts += len(taken)
        else:
            self.keys.update(keys)
        return taken


def draw(
    request: DifferenceRequest, reservations: Reservations
) -> Generator[None, None, Sequence[Combination]]:
    """Draw and reserve, and draw again without what was taken, until nothing is.

    Pauses between choosing and reserving, where other jobs get in between.
    """
    while True:
        chosen = MaximinDifferentiator().choose(request).combinations
        yield
        taken = reservations.reserve(chosen)
        if not taken:
            return chosen
        request = replace(request, exclusions=(*request.exclusions, *taken))


def draw_side_by_side(
    requests: Sequence[DifferenceRequest], reservations: Reservations
) -> list[Sequence[Combination]]:
    """Let jobs draw by turns, all choosing before any reserves; those refused get nothing."""
    drawn: list[Sequence[Combination]] = [()] * len(requests)
    running = {place: draw(request, reservations) for place, request in enumerate(requests)}
    while running:
        for place, job in list(running.items()):
            try:
                next(job)
            except StopIteration as over:
                drawn[place] = over.value
                del running[place]
            except DifferenceInfeasible:
                del running[place]
    return drawn
