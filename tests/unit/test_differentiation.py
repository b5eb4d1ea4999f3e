"""Combinations that differ: the rules by independent brute force, the quality by known optima."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.difference import (
    AtMost,
    Combination,
    Constraint,
    DifferenceRequest,
    Dimension,
    Forbid,
    Imply,
    Metric,
    Require,
)
from darkroom.domain.errors import DifferenceInfeasible
from tests.support.differences import (
    ROUNDING,
    a_request,
    allowed,
    answer,
    breaks,
    distance,
    some_dimensions,
)

PICTURE_WEIGHTS = (0.3, 0.25, 0.25, 0.2)


def choose(request: DifferenceRequest) -> tuple[Combination, ...]:
    return MaximinDifferentiator().choose(request).combinations


def most_by_exhaustion(request: DifferenceRequest, at_distance: float) -> int:
    """Find the size of the largest selection at a distance, by trying every subset."""

    def grow(size: int, rest: list[Combination]) -> int:
        best = size
        for place, one in enumerate(rest):
            if size + len(rest) - place <= best:
                break
            far = [
                other
                for other in rest[place + 1 :]
                if distance(request, one, other) >= at_distance - ROUNDING
            ]
            best = max(best, grow(size + 1, far))
        return best

    return grow(0, allowed(request))


@st.composite
def some_constraints(draw: st.DrawFn, dimensions: Sequence[Dimension]) -> Constraint:
    pairs = st.sampled_from([(d.name, option) for d in dimensions for option in d.options])
    condition = st.lists(
        st.sampled_from(dimensions).flatmap(
            lambda d: st.tuples(
                st.just(d.name), st.lists(st.sampled_from(d.options), min_size=1).map(tuple)
            )
        ),
        min_size=1,
        max_size=2,
    ).map(tuple)
    return draw(
        st.one_of(
            st.builds(Forbid, forbid=st.lists(pairs, min_size=1, max_size=3).map(tuple)),
            st.builds(Require, require=condition),
            st.builds(Imply, when=condition, then=condition),
            st.builds(
                AtMost, most=st.integers(0, 2), of=st.lists(condition, max_size=4).map(tuple)
            ),
        )
    )


@st.composite
def small_requests(draw: st.DrawFn, *, space: int, count: int) -> DifferenceRequest:
    sizes = draw(
        st.lists(st.integers(1, 4), min_size=1, max_size=4).filter(
            lambda sizes: len(list(product(*map(range, sizes)))) <= space
        )
    )
    weights = draw(
        st.lists(st.sampled_from((0.2, 0.25, 0.3, 1.0)), min_size=len(sizes), max_size=len(sizes))
    )
    dimensions = some_dimensions(
        *sizes, weights=weights, ordinal=draw(st.sampled_from((None, True, False)))
    )
    whole = st.tuples(*(st.tuples(st.just(d.name), st.sampled_from(d.options)) for d in dimensions))
    return DifferenceRequest(
        dimensions=dimensions,
        constraints=tuple(draw(st.lists(some_constraints(dimensions), max_size=3))),
        count=draw(st.integers(1, count)),
        metric=draw(st.sampled_from(Metric)),
        min_difference=draw(st.sampled_from((0.0, 0.25, 0.5, 1.0, 2.0))),
        history_min_difference=draw(st.sampled_from((None, 0.0, 0.5, 1.0))),
        history=tuple(draw(st.lists(whole, max_size=3))),
        exclusions=tuple(draw(st.lists(whole, max_size=3))),
        seed=draw(st.integers(-(2**70), 2**70)),
    )


@settings(deadline=None, max_examples=150)
@given(small_requests(space=256, count=12))
def test_every_choice_keeps_every_rule(request: DifferenceRequest) -> None:
    """Allowed, distinct, as many as asked, as far apart as promised and as reported."""
    result = answer(request)
    if isinstance(result, DifferenceInfeasible):
        assert result.largest_feasible < request.count
        return

    chosen = result.combinations
    pairs = [distance(request, one, other) for one, other in combinations(chosen, 2)]
    assert len(set(chosen)) == request.count
    assert set(chosen) <= set(allowed(request))
    assert min(pairs, default=result.min_distance) == pytest.approx(result.min_distance)
    assert result.min_distance >= request.min_difference - ROUNDING or request.count == 1


@settings(deadline=None, max_examples=150)
@given(small_requests(space=18, count=8))
def test_in_a_tiny_space_nothing_better_exists(request: DifferenceRequest) -> None:
    """A refusal is true, its largest count is the largest, and a choice is the farthest apart."""
    most = most_by_exhaustion(request, request.min_difference)
    result = answer(request)
    if isinstance(result, DifferenceInfeasible):
        assert result.largest_feasible == most < request.count
        return

    assert most >= request.count
    if request.count > 1:
        farther = result.min_distance + 100 * ROUNDING
        assert most_by_exhaustion(request, farther) < request.count
        assert result.certificate.ratio <= 1 + ROUNDING


@settings(deadline=None, max_examples=30)
@given(small_requests(space=256, count=4))
def test_the_same_seed_gives_the_same_answer(request: DifferenceRequest) -> None:
    """Nothing but the request decides: two differentiators agree on every word and its place."""
    one, other = answer(request), answer(request)

    assert type(one) is type(other)
    assert str(one) == str(other)


def test_another_seed_gives_another_answer() -> None:
    """Ties fall by the seed, so that a caller can ask for something else."""
    request = a_request(4, 4, 4, 4, count=8)

    answers = {choose(replace(request, seed=seed)) for seed in range(5)}

    assert len(answers) == 5


@pytest.mark.parametrize(("count", "reached"), [(4, 4), (8, 3), (16, 3), (17, 2), (64, 2)])
def test_the_classic_space_is_used_to_its_limit(count: int, reached: int) -> None:
    """The Singleton bound of 4^4 is met wherever a code meets it."""
    result = MaximinDifferentiator().choose(a_request(4, 4, 4, 4, count=count))

    assert result.min_distance == reached


@pytest.mark.parametrize(("count", "min_difference", "most"), [(65, 2, 64), (17, 3, 16), (5, 4, 4)])
def test_one_more_than_the_limit_is_refused(count: int, min_difference: int, most: int) -> None:
    """The refusal says how many are possible and what to do."""
    request = a_request(4, 4, 4, 4, count=count, min_difference=min_difference)

    with pytest.raises(DifferenceInfeasible, match=f"ask for at most {most}") as refusal:
        choose(request)

    assert refusal.value.largest_feasible == most
    assert MaximinDifferentiator().largest_feasible(request) == most


def test_weights_decide_how_far_apart_two_combinations_are() -> None:
    """Sixteen pictures differ by .7 of the weights, though .3 + .25 + .25 is not exactly .8."""
    request = DifferenceRequest(
        dimensions=some_dimensions(4, 4, 4, 4, weights=PICTURE_WEIGHTS),
        count=16,
        metric=Metric.WEIGHTED_HAMMING,
        min_difference=0.7,
    )

    assert MaximinDifferentiator().choose(request).min_distance == pytest.approx(0.7)


def test_options_are_used_evenly() -> None:
    """Eight pictures of four options each show every option twice."""
    chosen = choose(a_request(4, 4, 4, 4, count=8))

    assert set(Counter(pair for combination in chosen for pair in combination).values()) == {2}


def some_history(dimensions: Sequence[Dimension], count: int) -> tuple[Combination, ...]:
    def option(dimension: Dimension, place: int, number: int) -> str:
        return dimension.options[7 * number * (1 + number * place) % len(dimension.options)]

    return tuple(
        tuple((d.name, option(d, place, number)) for place, d in enumerate(dimensions))
        for number in range(count)
    )


def test_further_groups_stay_away_from_the_groups_an_owner_has() -> None:
    """Twelve of a hundred counties and fifty earlier groups: three of four dimensions differ."""
    dimensions = some_dimensions(100, 12, 4, 20)
    request = DifferenceRequest(
        dimensions=dimensions, count=12, min_difference=2, history=some_history(dimensions, 50)
    )

    result = MaximinDifferentiator().choose(request)

    assert result.min_distance == 3
    assert all(
        distance(request, chosen, earlier) >= 3
        for chosen in result.combinations
        for earlier in request.history
    )


def test_the_room_left_is_known_before_it_is_gone() -> None:
    """A hundred counties hold 960 groups that differ twice; history takes some away."""
    request = a_request(100, 12, 4, 20, count=1, min_difference=2)
    used = replace(request, history=some_history(request.dimensions, 50))
    differentiator = MaximinDifferentiator()

    assert differentiator.largest_feasible(request) == 960
    assert 850 < differentiator.largest_feasible(used) < 960


def test_eight_pictures_are_chosen_at_once() -> None:
    """Under 50 ms, best of three so that a busy machine does not decide."""
    differentiator, seconds = MaximinDifferentiator(), list[float]()
    for seed in range(3):
        started = time.perf_counter()
        differentiator.choose(replace(a_request(4, 4, 4, 4, count=8), seed=seed))
        seconds.append(time.perf_counter() - started)

    assert min(seconds) < 0.05


def test_a_space_too_large_to_list_is_sampled() -> None:
    """Twenty of 10^12 keep the rules, differ in nine of twelve dimensions, and repeat by seed."""
    dimensions = some_dimensions(*[10] * 12)
    rules = tuple(
        Forbid(forbid=((d.name, "option0"), (e.name, "option1")))
        for d, e in combinations(dimensions, 2)
    )
    request = DifferenceRequest(dimensions=dimensions, constraints=rules, count=20)

    result = MaximinDifferentiator().choose(request)

    assert result.min_distance >= 9
    assert not any(breaks(chosen, rule) for rule in rules for chosen in result.combinations)
    assert MaximinDifferentiator().choose(request) == result


def test_a_large_space_with_few_allowed_combinations_is_still_served() -> None:
    """Of 4^20 combinations, rules leave those whose neighbours are equal: four, all different."""
    dimensions = some_dimensions(*[4] * 20)
    rules = tuple(
        Forbid(forbid=((left.name, a), (right.name, b)))
        for left, right in pairwise(dimensions)
        for a, b in product(left.options, right.options)
        if a != b
    )
    request = DifferenceRequest(dimensions=dimensions, constraints=rules, count=4)

    assert MaximinDifferentiator().choose(request).min_distance == 20


def test_what_was_made_before_is_not_made_again() -> None:
    """Even without a minimum difference the history's own combinations are taken."""
    request = a_request(2, 2, count=3, min_difference=0)
    history = choose(replace(request, count=1))

    chosen = choose(replace(request, history=history))

    assert not set(chosen) & set(history)
    with pytest.raises(DifferenceInfeasible):
        choose(replace(request, history=history, count=4))


def test_a_history_of_other_dimensions_is_no_obstacle() -> None:
    """Earlier combinations with unknown options or dimensions differ from everything new."""
    strange = ((("season", "winter"),), (("dimension0", "retired"), ("dimension1", "option0")))
    request = replace(a_request(2, 2, count=4), history=strange)

    assert len(choose(request)) == 4


def test_a_rule_that_no_combination_can_break_forbids_nothing() -> None:
    """Empty, unknown, or two options of one dimension at once."""
    rules = (
        Forbid(forbid=()),
        Forbid(forbid=(("dimension0", "option0"), ("season", "winter"))),
        Forbid(forbid=(("dimension0", "option0"), ("dimension0", "option1"))),
    )
    request = replace(a_request(2, 2, count=4), constraints=rules)

    assert len(choose(request)) == 4


def test_a_dimension_without_a_usable_option_leaves_nothing() -> None:
    """Refused with zero, also where the other dimensions alone are too many to list."""
    dimensions = some_dimensions(1, *[10] * 12)
    rule = Forbid(forbid=(("dimension0", "option0"),))
    request = DifferenceRequest(dimensions=dimensions, constraints=(rule,), count=1)

    with pytest.raises(DifferenceInfeasible) as refusal:
        choose(request)

    assert refusal.value.largest_feasible == 0


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        pytest.param(Require(require=(("season", ("winter",)),)), 0, id="an unknown demand"),
        pytest.param(Require(require=(("dimension0", ("retired",)),)), 0, id="an unknown option"),
        pytest.param(
            Imply(when=(("dimension0", ("option0",)),), then=(("season", ("winter",)),)),
            2,
            id="an unknown consequence",
        ),
        pytest.param(
            Imply(when=(("season", ("winter",)),), then=(("dimension0", ("option0",)),)),
            4,
            id="an unknown occasion",
        ),
        pytest.param(AtMost(most=0, of=()), 4, id="no condition at all"),
        pytest.param(
            AtMost(most=0, of=((("dimension0", ("option0",)),), (("season", ("winter",)),))),
            2,
            id="none of two conditions, one unknown",
        ),
    ],
)
def test_what_a_request_does_not_know_never_occurs(rule: Constraint, left: int) -> None:
    """So a demand for it cannot be met, and a rule against it cannot be broken."""
    request = replace(a_request(2, 2, count=1), constraints=(rule,))

    assert len(allowed(request)) == left
    assert MaximinDifferentiator().largest_feasible(request) == left


def test_words_of_a_large_space_keep_every_kind_of_rule() -> None:
    """What is drawn is grown along the rules, however many there are."""
    dimensions = some_dimensions(*[8] * 12)
    names = [dimension.name for dimension in dimensions]
    rules: tuple[Constraint, ...] = (
        *(
            Imply(when=((one, ("option0", "option1")),), then=((other, ("option2", "option3")),))
            for one, other in pairwise(names)
        ),
        *(Forbid(forbid=((one, "option4"), (other, "option5"))) for one, other in pairwise(names)),
        AtMost(most=2, of=tuple(((name, ("option6", "option7")),) for name in names)),
        Require(require=((names[0], ("option1", "option2")),)),
    )
    request = DifferenceRequest(dimensions=dimensions, constraints=rules, count=40)

    chosen = choose(request)

    assert len(set(chosen)) == 40
    assert not any(breaks(one, rule) for one in chosen for rule in rules)


@pytest.mark.parametrize("metric", [Metric.HAMMING, Metric.WEIGHTED_HAMMING])
@pytest.mark.parametrize("apart", [1.0, 2.0])
def test_a_long_history_is_kept_at_the_same_distance_as_a_short_one(
    metric: Metric, apart: float
) -> None:
    """What may still be chosen beside a hundred and fifty earlier ones, counted anew."""
    weights = (0.5, 1.0, 1.5, 2.0)
    dimensions = some_dimensions(9, 8, 7, 6, weights=weights)
    strange = (("dimension0", "option1"), ("dimension1", "retired"))
    request = DifferenceRequest(
        dimensions=dimensions,
        count=1,
        metric=metric,
        min_difference=0.0,
        history_min_difference=apart,
        history=(*some_history(dimensions, 150), strange),
    )

    left = len(allowed(request))

    assert 0 < left < 9 * 8 * 7 * 6
    assert MaximinDifferentiator().largest_feasible(request) == left
