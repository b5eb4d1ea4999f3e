"""What a choice is worth: the certificate, checked against known optima and by counting again."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, count

import pytest

from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.difference import (
    DifferenceRequest,
    Dimension,
    Forbid,
    Metric,
    Proof,
    RelaxationKind,
)
from darkroom.domain.errors import DifferenceInfeasible
from tests.support.differences import (
    a_request,
    allowed,
    answer,
    chosen_by,
    distance,
    smallest_distance,
    some_dimensions,
)

PICTURE_WEIGHTS = (0.3, 0.25, 0.25, 0.2)
NEIGHBOUR_DIMENSIONS = some_dimensions(4, 4, 4, 4, weights=PICTURE_WEIGHTS)


def refusal_of(request: DifferenceRequest) -> DifferenceInfeasible:
    """Be refused."""
    result = answer(request)
    assert isinstance(result, DifferenceInfeasible)
    return result


def ticking() -> Callable[[], float]:
    """Make a clock that goes on by a second whenever somebody looks at it."""
    seconds = count()
    return lambda: float(next(seconds))


def test_a_certificate_names_what_was_reached_and_what_can_be() -> None:
    """Twelve of 100 x 12 x 4 x 20 differ thrice: with four road surfaces no more is possible."""
    certificate = chosen_by(a_request(100, 12, 4, 20, count=12)).certificate

    assert (certificate.achieved, certificate.bound, certificate.ratio) == (3.0, 3.0, 1.0)
    assert certificate.bound_by is Proof.SINGLETON
    assert certificate.imbalance <= 1


def test_two_far_ends_of_a_scale_are_bounded_by_the_average() -> None:
    """Of three points of a line, two are at most half of it apart: Plotkin, not Singleton."""
    dimensions = (Dimension(name="month", options=tuple("abcdefghijk"), ordinal=True),)
    request = DifferenceRequest(
        dimensions=dimensions, count=3, metric=Metric.GOWER, min_difference=0.1
    )

    certificate = chosen_by(request).certificate

    assert certificate.achieved == pytest.approx(0.5)
    assert certificate.bound >= 0.5
    assert certificate.bound_by in {Proof.PLOTKIN, Proof.EXHAUSTION}


def test_where_no_formula_reaches_everything_is_tried() -> None:
    """Constraints leave a bound that only trying can find."""
    rules = tuple(
        Forbid(forbid=(("dimension0", f"option{n}"), ("dimension1", f"option{n}")))
        for n in range(3)
    )
    request = replace(a_request(3, 3, count=3), constraints=rules)

    certificate = chosen_by(replace(request, count=5)).certificate

    assert certificate.ratio == 1.0
    assert smallest_distance(request, chosen_by(request).combinations) == 2


def test_what_remains_is_what_could_still_be_added() -> None:
    """Counted anew by trying everything."""
    request = a_request(3, 3, 4, count=4, min_difference=2)
    request = replace(request, history=chosen_by(replace(request, count=2)).combinations)
    result = chosen_by(request)

    free = [
        one
        for one in allowed(request)
        if all(distance(request, one, chosen) >= 2 for chosen in result.combinations)
    ]

    together = result.certificate.remaining_together
    assert result.certificate.remaining == len(free)
    assert together is not None
    assert 0 < together <= len(free)


def test_the_nearest_of_the_history_is_told() -> None:
    """And nothing is told where there is none."""
    request = a_request(4, 4, 4, 4, count=4, min_difference=2)
    history = chosen_by(replace(request, seed=1)).combinations
    result = chosen_by(replace(request, history=history))

    nearest = min(
        distance(request, chosen, earlier) for chosen in result.combinations for earlier in history
    )
    assert result.certificate.history_distance == nearest >= 2
    assert chosen_by(request).certificate.history_distance is None


def test_the_history_may_be_asked_for_less_distance_than_the_choice() -> None:
    """Three apart among themselves, one apart from what there was: the old ones only are out."""
    request = a_request(4, 4, 4, 4, count=16, min_difference=3)
    history = chosen_by(request).combinations

    assert refusal_of(replace(request, history=history)).largest_feasible == 0
    fresh = chosen_by(replace(request, history=history, history_min_difference=1))
    assert fresh.certificate.achieved == 3
    assert not set(fresh.combinations) & set(history)


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ((2, 2, 2, 2), range(2, 13)),
        ((3, 3, 3, 3), (2, 3, 4, 5, 6, 8, 9, 10, 11, 12)),
        ((4, 4, 4, 4), range(2, 13)),
        ((5, 3, 2, 7), range(2, 13)),
        ((3, 3, 3, 7), range(2, 13)),
        ((3, 3, 4, 4), range(2, 13)),
        ((100, 12, 4, 20), range(2, 13)),
    ],
    ids=str,
)
def test_options_are_used_evenly_at_the_bound(sizes: tuple[int, ...], counts: range) -> None:
    """Up to twelve groups of four dimensions: counts differ by at most one, nothing is lost."""
    for number in counts:
        certificate = chosen_by(a_request(*sizes, count=number)).certificate

        assert certificate.imbalance <= 1, number
        assert certificate.ratio == 1.0, number


def test_a_single_combination_has_nothing_to_differ_from() -> None:
    """Its certificate tells the largest distance there is, and cannot be improved."""
    certificate = chosen_by(a_request(4, 4, count=1)).certificate

    assert (certificate.achieved, certificate.bound, certificate.ratio) == (2.0, 2.0, 1.0)


def test_the_neighbours_threshold_is_refused_with_its_two() -> None:
    """Weighted Euclid of 2.5 over 4^4 admits two, provably, and eight would take 2.0."""
    request = DifferenceRequest(
        dimensions=NEIGHBOUR_DIMENSIONS, count=8, metric=Metric.EUCLIDEAN, min_difference=2.5
    )

    refusal = refusal_of(request)

    best = refusal.relaxations[0]
    assert refusal.largest_feasible == 2
    assert refusal.proof is Proof.PLOTKIN
    assert (best.kind, best.feasible_count) == (RelaxationKind.LOWER_DIFFERENCE, 8)
    assert best.difference == pytest.approx(2.0125, abs=1e-3)
    assert "ask for at most 2" in str(refusal)


def test_what_a_refusal_suggests_works() -> None:
    """Every suggestion is tried out: the count it names is found, and it helps."""
    request = replace(
        a_request(3, 3, 3, count=8, min_difference=2),
        constraints=(
            Forbid(forbid=(("dimension0", "option0"),)),
            Forbid(forbid=(("dimension1", "option0"), ("dimension2", "option1"))),
        ),
        history=(
            (("dimension0", "option1"), ("dimension1", "option1"), ("dimension2", "option1")),
        ),
    )
    refusal = refusal_of(request)

    assert {one.kind for one in refusal.relaxations} >= {
        RelaxationKind.LOWER_DIFFERENCE,
        RelaxationKind.DROP_CONSTRAINT,
        RelaxationKind.LOWER_HISTORY_DIFFERENCE,
    }
    for one in refusal.relaxations:
        changed = replace(request, count=one.feasible_count)
        match one.kind:
            case RelaxationKind.LOWER_DIFFERENCE:
                changed = replace(changed, min_difference=one.difference or 0.0)
            case RelaxationKind.LOWER_HISTORY_DIFFERENCE:
                changed = replace(changed, history_min_difference=one.difference)
            case RelaxationKind.DROP_CONSTRAINT:
                kept = [c for n, c in enumerate(request.constraints) if n != one.constraint]
                changed = replace(changed, constraints=tuple(kept))
            case RelaxationKind.ADD_OPTION:
                grown = [
                    replace(d, options=(*d.options, "another")) if d.name == one.dimension else d
                    for d in request.dimensions
                ]
                changed = replace(changed, dimensions=tuple(grown))
        assert one.feasible_count > refusal.largest_feasible
        assert chosen_by(changed).combinations


def test_what_was_merely_not_found_is_not_called_impossible() -> None:
    """Of a sample, nobody can know; the work that was spent is told instead."""
    dimensions = some_dimensions(*[4] * 16)
    request = DifferenceRequest(dimensions=dimensions, count=300, min_difference=11)

    refusal = refusal_of(request)

    assert refusal.proof is None
    assert "does not prove" in str(refusal)
    assert "comparisons" in str(refusal)


@pytest.mark.parametrize("patience_seconds", range(1, 40, 3))
def test_the_safety_stop_ends_a_search_and_says_so(patience_seconds: int) -> None:
    """A clock that runs out leaves a valid choice, or an honest refusal with the seconds."""
    request = DifferenceRequest(
        dimensions=some_dimensions(6, 5, 4, 4, ordinal=True),
        count=9,
        metric=Metric.GOWER,
        min_difference=0.45,
    )
    result = answer(request, clock=ticking(), patience_seconds=patience_seconds)

    if isinstance(result, DifferenceInfeasible):
        assert result.proof is None
        assert re.search(r"not found in \d+\.\d s", str(result))
        return
    stopped = result.certificate.stopped_after_seconds
    assert smallest_distance(request, result.combinations) >= 0.45
    assert stopped is not None
    assert stopped > patience_seconds


def test_a_search_that_is_given_no_time_takes_what_algebra_gives() -> None:
    """Without a single look at the alternatives there is still a valid choice."""
    request = a_request(7, 6, 5, count=30, min_difference=2)

    result = MaximinDifferentiator(clock=ticking()).choose(request)

    assert result.certificate.achieved == 2


def test_without_a_clock_nothing_but_the_request_decides() -> None:
    """Two answers are equal in every byte, certificate and work included."""
    request = replace(
        a_request(6, 5, 4, 3, count=9), metric=Metric.GOWER, min_difference=0.3, seed=11
    )

    assert repr(chosen_by(request)) == repr(chosen_by(request))
    assert chosen_by(request).certificate.stopped_after_seconds is None


def test_a_patient_clock_changes_nothing() -> None:
    """The safety stop only ever stops."""
    request = a_request(5, 5, 5, count=7)

    timed = MaximinDifferentiator(clock=ticking(), patience_seconds=1e9).choose(request)

    assert timed == chosen_by(request)


def test_every_two_of_a_choice_are_measured_for_the_certificate() -> None:
    """What it says of ten thousand words is what any two of a thousand of them show."""
    request = a_request(*[10] * 12, count=1_000, min_difference=8)
    result = chosen_by(request)
    numbers = [[int(option[6:]) for _, option in chosen] for chosen in result.combinations]

    nearest = min(
        sum(a != b for a, b in zip(one, other, strict=True))
        for one, other in combinations(numbers[:300], 2)
    )
    assert 8 <= result.certificate.achieved <= nearest
