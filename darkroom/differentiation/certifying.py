"""What a selection is worth, in the caller's own measure."""

import numpy as np

from darkroom.differentiation.candidates import is_among
from darkroom.differentiation.codes import largest_coset
from darkroom.differentiation.effort import Effort
from darkroom.differentiation.evenness import imbalance
from darkroom.differentiation.ground import Ground
from darkroom.differentiation.limits import Bound
from darkroom.differentiation.measures import Words
from darkroom.differentiation.packing import evenly, pack
from darkroom.differentiation.question import Question
from darkroom.domain.difference import Certificate

REMAINING_CELLS = 300_000_000
PACKED_TOGETHER_CELLS = 2_000_000


def certify(
    question: Question, words: Words, *, bound: Bound, ground: Ground | None, effort: Effort
) -> Certificate:
    """Measure a selection again, whatever the search believes of it.

    Args:
        question: what was asked.
        words: the selection.
        bound: what no selection of as many can beat.
        ground: everything that might have been chosen, if that was enumerated.
        effort: the work so far; counting what remains adds to it.
    """
    measure = question.measure
    to_history = question.to_history(words, effort)
    usable = ground.usable if ground else question.space.usable
    remaining, together = _remaining(ground, words, effort) if ground else (None, None)
    return Certificate(
        achieved=measure.outward(measure.smallest(words)),
        bound=measure.outward(bound.limit),
        bound_by=bound.by,
        history_distance=(
            measure.outward(float(to_history.min())) if question.history.shape[1] else None
        ),
        imbalance=imbalance(words, usable),
        remaining=remaining,
        remaining_together=together,
        comparisons=effort.spent,
        stopped_after_seconds=effort.stopped_after_seconds,
    )


def _remaining(ground: Ground, words: Words, effort: Effort) -> tuple[int | None, int | None]:
    """Count what could be added, one at a time and, at least, together."""
    candidates, asked = ground.candidates, ground.question.from_each
    cells = candidates.cells * words.shape[1]
    if not effort.affords(cells, limit=effort.spent + REMAINING_CELLS):
        return None, None
    effort.spend(cells)
    measure = ground.question.measure
    is_left = measure.reaches(measure.to_nearest(words, candidates.words), asked)
    is_left &= ~is_among(candidates.words, words, candidates.alphabets)
    left = candidates.among(np.flatnonzero(is_left))
    together = largest_coset(left, threshold=asked).size
    if left.count * left.cells <= PACKED_TOGETHER_CELLS:
        take = evenly(left.alphabets)
        packed = pack(left, threshold=asked, wanted=left.count, take=take, effort=effort)
        together = max(together, packed.size)
    return left.count, together
