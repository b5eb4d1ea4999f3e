"""Choose combinations that differ, and say what the choice is worth.

A space that can be listed is searched whole. In a larger one an algebraic code is tried first;
where it does not reach the bound, a sample is searched too, and the better choice taken.
"""

from dataclasses import dataclass

from darkroom.differentiation.algebra import choose_by_algebra
from darkroom.differentiation.candidates import decode
from darkroom.differentiation.certifying import certify
from darkroom.differentiation.effort import Clock, Effort
from darkroom.differentiation.fitting import EXACT_COUNT
from darkroom.differentiation.ground import Ground, enumerated, sample_count, sampled, survey_cells
from darkroom.differentiation.levels import Levels
from darkroom.differentiation.limits import Bound
from darkroom.differentiation.measures import Words
from darkroom.differentiation.question import Question, ask
from darkroom.differentiation.refusing import refusal
from darkroom.differentiation.relaxing import Relaxing
from darkroom.differentiation.selecting import Shortage, select
from darkroom.domain.difference import DifferenceRequest, DifferenceResult, Relaxation

SEARCHED_CELLS = (
    1_000_000_000  # a sample costing more is not searched to better an algebraic choice
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """Chosen words, what no choice can beat, and the ground, if everything was listed."""

    words: Words
    distance: float
    bound: Bound
    ground: Ground | None = None


class MaximinDifferentiator:
    """Chooses combinations whose smallest difference is as large as can be found.

    Without a clock only counted work ends a search, so that the same request gives the same
    answer. A clock is a safety stop, and the certificate says when it was needed.
    """

    def __init__(self, *, clock: Clock | None = None, patience_seconds: float = 0.0) -> None:
        self._clock = clock
        self._patience_seconds = patience_seconds

    def choose(self, request: DifferenceRequest) -> DifferenceResult:
        """Choose `count` combinations.

        Returns:
            Combinations in the order in which they were chosen, and their certificate. The
            smallest distance is that between any two of them; of a single one it is the
            largest the metric knows.

        Raises:
            DifferenceInfeasible: fewer than `count` can be that far apart. With a proof where a
                limit or an exhausted search decides; else no larger selection was found.
        """
        effort, question = self._begin(request)
        answer = _answer(question, effort)
        if isinstance(answer, Shortage):
            raise refusal(request, answer, _relaxations(question, answer, effort), effort)
        certificate = certify(
            question, answer.words, bound=answer.bound, ground=answer.ground, effort=effort
        )
        return DifferenceResult(
            combinations=decode(answer.words, request.dimensions),
            min_distance=certificate.achieved,
            certificate=certificate,
        )

    def largest_feasible(self, request: DifferenceRequest) -> int:
        """Say how many combinations can be found that are `min_difference` apart.

        `count` and the choice itself do not matter. Of a space too large to enumerate, only
        a sample is looked at, so more may exist.
        """
        effort, question = self._begin(request)
        ground = enumerated(question, effort) or sampled(question, effort)
        most = ground.most(question.from_each).limit
        return ground.fitting(effort).fit(threshold=question.from_each, wanted=most).count

    def _begin(self, request: DifferenceRequest) -> tuple[Effort, Question]:
        effort = Effort(clock=self._clock, patience_seconds=self._patience_seconds)
        return effort, ask(request)


def _answer(question: Question, effort: Effort) -> Answer | Shortage:
    ground = enumerated(question, effort)
    if ground is not None:
        return _from_ground(ground, effort)
    by_algebra = _by_algebra(question, effort)
    if by_algebra and _cannot_be_improved(question, by_algebra):
        return by_algebra
    by_search = _from_ground(sampled(question, effort), effort)
    if by_algebra is None or isinstance(by_search, Shortage):
        return by_algebra or by_search
    return max(by_algebra, by_search, key=lambda answer: answer.distance)


def _from_ground(ground: Ground, effort: Effort) -> Answer | Shortage:
    selected = select(ground, effort)
    if isinstance(selected, Shortage):
        return selected
    return Answer(
        words=ground.words(selected.chosen),
        distance=selected.distance,
        bound=selected.bound,
        ground=ground if ground.is_complete else None,
    )


def _by_algebra(question: Question, effort: Effort) -> Answer | None:
    words = choose_by_algebra(question, effort)
    if words is None:
        return None
    bound = question.limits.distance(question.request.count)
    levels = Levels.of(question.measure, question.space.usable)
    return Answer(
        words=words,
        distance=question.measure.smallest(words),
        bound=Bound(limit=levels.floor(bound.limit), by=bound.by),
    )


def _cannot_be_improved(question: Question, answer: Answer) -> bool:
    """Say whether a search is hopeless: at the bound, or with too many words for a sample."""
    is_at_bound = question.measure.is_reached(answer.distance, answer.bound.limit)
    cells = sample_count(question) * len(question.alphabets) * question.request.count
    return is_at_bound or cells > SEARCHED_CELLS


def _relaxations(question: Question, shortage: Shortage, effort: Effort) -> tuple[Relaxation, ...]:
    measure, asked = question.measure, question.from_each
    levels = Levels.of(measure, question.space.usable).between(0.0, asked)
    lower = levels[~measure.reaches(levels, asked)]
    relaxing = Relaxing(
        request=question.request,
        largest=shortage.largest,
        lower=[measure.outward(float(level)) for level in lower],
        find=lambda request: _find_quickly(request, effort),
        effort=effort,
        trial_cells=survey_cells(question),
    )
    return relaxing.most_helpful_first()


def _find_quickly(request: DifferenceRequest, effort: Effort) -> int:
    """Find how many combinations there can be, up to the count asked for, without long search."""
    question = ask(request)
    ground = enumerated(question, effort)
    if ground is None:
        words = choose_by_algebra(question, effort)
        if words is not None:
            return request.count
        ground = sampled(question, effort)
    wanted = min(request.count, ground.most(question.from_each).limit)
    fitting = ground.fitting(effort, is_quick=ground.candidates.count > EXACT_COUNT)
    return fitting.fit(threshold=question.from_each, wanted=wanted).count
