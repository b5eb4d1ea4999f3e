"""Retry plans: waits grow as declared, stay inside their bounds, and are told apart by chance."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.retries import IMMEDIATE, LINEAR, RetryPlan, RetryStrategy

SECOND = timedelta(seconds=1)


class AlwaysHighest(Random):
    """Chance that always draws the top of the range, so that a ceiling can be seen."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 -- Random's own signature
        return b


@pytest.mark.parametrize(
    ("retry", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (900, 60)]
)
def test_the_exponential_ceiling_doubles_up_to_the_maximum(retry: int, seconds: int) -> None:
    """Brief: base 1 s, factor 2, at most 60 s."""
    plan = RetryPlan()

    assert plan.delay(retry, AlwaysHighest()) == seconds * SECOND


def test_exponential_waits_spread_over_the_whole_range() -> None:
    """Full jitter: a thousand waits reach into every tenth between zero and the ceiling."""
    chance = Random(7)
    waits = [RetryPlan().delay(4, chance) / (8 * SECOND) for _ in range(1000)]

    assert {int(wait * 10) for wait in waits} == set(range(10))


@pytest.mark.parametrize(("retry", "seconds"), [(1, 5), (2, 10), (6, 30), (50, 30)])
def test_linear_waits_grow_by_the_increment(retry: int, seconds: int) -> None:
    """Brief: base 5 s, increment 5 s, at most 30 s."""
    assert LINEAR.delay(retry, Random(1)) == seconds * SECOND


def test_the_immediate_plan_allows_one_retry_without_a_wait() -> None:
    """Brief: no delay, at most one retry."""
    assert IMMEDIATE.delay(1, Random(1)) == timedelta(0)
    assert IMMEDIATE.allows(1)
    assert not IMMEDIATE.allows(2)


@given(
    strategy=st.sampled_from(RetryStrategy),
    base=st.integers(0, 100),
    factor=st.floats(1, 10),
    longest=st.integers(0, 1000),
    retry=st.integers(1, 10_000),
    seed=st.integers(0, 99),
)
def test_no_wait_leaves_its_bounds(
    strategy: RetryStrategy, base: int, factor: float, longest: int, retry: int, seed: int
) -> None:
    """Whatever the plan, a wait is between zero and the maximum."""
    plan = RetryPlan(
        strategy=strategy,
        base_delay=base * SECOND,
        factor=factor,
        increment=base * SECOND,
        max_delay=longest * SECOND,
    )

    assert timedelta(0) <= plan.delay(retry, Random(seed)) <= longest * SECOND
