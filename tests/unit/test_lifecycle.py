"""The transition table: which state may follow which, and progress through the stages."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.errors import IllegalTransition
from darkroom.domain.lifecycle import TRANSITIONS, JobState, advance
from darkroom.domain.stages import DONE_PERCENT, Stage, reached, start_percent


def test_every_pair_outside_the_table_is_refused() -> None:
    """Nothing moves but as the table says."""
    for state, to in product(JobState, JobState):
        if to in TRANSITIONS[state]:
            assert advance(state, to) is to
        else:
            with pytest.raises(IllegalTransition):
                advance(state, to)


def test_a_completed_job_is_final() -> None:
    """Completed has no way out: a fork is a new job."""
    assert TRANSITIONS[JobState.COMPLETED] == frozenset()


def test_every_state_can_be_reached_from_pending() -> None:
    """The table has no island."""
    found = {JobState.PENDING}
    while grown := {to for state in found for to in TRANSITIONS[state]} - found:
        found |= grown

    assert found == set(JobState)


def test_the_stages_end_where_the_brief_says() -> None:
    """20, 40, 80 and 100 percent."""
    assert [DONE_PERCENT[stage] for stage in Stage] == [20, 40, 80, 100]
    assert [start_percent(stage) for stage in Stage] == [0, 20, 40, 80]


@given(stage=st.sampled_from(Stage), total=st.integers(0, 500), finished=st.integers(0, 500))
def test_a_stage_stays_between_its_marks(stage: Stage, total: int, finished: int) -> None:
    """However many items finish, percent is inside the stage and full only at its end."""
    percent = reached(stage, finished=finished, total=total)

    assert start_percent(stage) <= percent <= DONE_PERCENT[stage]
    assert (percent == DONE_PERCENT[stage]) == (0 < total <= finished)
