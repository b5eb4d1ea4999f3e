"""Choosing and reserving: repeatable, bounded, and never half done."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analyze import MOST_ROUNDS, AnalyzeActivities
from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.attempts import AnalyzeOrder
from darkroom.domain.combination_key import combination_key
from darkroom.domain.job import Combination, JobId, OwnerId
from tests.support.builders import ADA, JOB, a_job_id
from tests.support.differences import a_request
from tests.support.fake_reservations import MemoryReservations
from tests.support.fakes import MemoryJobStore, MemoryState

ORDER = AnalyzeOrder(
    job_id=JOB, owner=ADA, request=a_request(4, 4, 4, count=4), avoids_history=True
)


class QuickRivals(MemoryReservations):
    """Others have one combination of every choice, just before it is reserved."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__(state.holders, reach=state.reach)
        self.asked = 0

    async def reserve(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> tuple[Combination, ...]:
        del owner, job_id
        self.asked += 1
        return tuple(combinations[:1])


class SlowReservations(MemoryReservations):
    """Reserves when it is told to."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__(state.holders, reach=state.reach)
        self.was_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def reserve(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> tuple[Combination, ...]:
        self.was_asked.set()
        await self.may_answer.wait()
        return await super().reserve(owner, job_id, combinations)


def analyzing(
    state: MemoryState, reservations: MemoryReservations | None = None
) -> AnalyzeActivities:
    """Give the activity its fakes."""
    return AnalyzeActivities(
        differentiator=MaximinDifferentiator(),
        jobs=MemoryJobStore(state),
        reservations=reservations or MemoryReservations(state.holders, reach=state.reach),
    )


async def test_a_repeated_attempt_chooses_and_reserves_the_same() -> None:
    """Its first answer may have been lost."""
    state = MemoryState()
    first = await ActivityEnvironment().run(analyzing(state).analyze, ORDER)
    reserved = dict(state.holders)

    again = await ActivityEnvironment().run(analyzing(state).analyze, ORDER)

    assert again == first
    assert state.holders == reserved
    assert set(reserved) == {(ADA, combination_key(one)) for one in first.combinations}


async def test_a_job_that_may_share_reserves_only_what_is_free() -> None:
    """It is not sent to choose again, and takes nothing from the job that was first."""
    state, other = MemoryState(), a_job_id(7)
    first = await ActivityEnvironment().run(analyzing(state).analyze, replace(ORDER, job_id=other))

    shared = replace(ORDER, avoids_history=False)
    second = await ActivityEnvironment().run(analyzing(state).analyze, shared)

    assert second.combinations == first.combinations
    assert set(state.holders.values()) == {other}


async def test_a_job_that_others_outrun_every_time_gives_up_and_says_so() -> None:
    """The rounds are counted; the failure names how many were free."""
    state = MemoryState()
    rivals = QuickRivals(state)
    order = replace(ORDER, request=a_request(10, 10, 10, count=4))

    analyzed = await ActivityEnvironment().run(analyzing(state, rivals).analyze, order)

    assert rivals.asked == MOST_ROUNDS
    assert analyzed.failure
    assert analyzed.failure.code == "difference_infeasible"
    assert f"{JOB}: {MOST_ROUNDS} times" in analyzed.failure.message
    assert "left 3 of 4" in analyzed.failure.message


async def test_a_cancel_waits_for_what_is_being_reserved() -> None:
    """What is released afterwards is then all there is."""
    state = MemoryState()
    slow = SlowReservations(state)
    environment = ActivityEnvironment()
    attempt = asyncio.create_task(environment.run(analyzing(state, slow).analyze, ORDER))
    await slow.was_asked.wait()

    environment.cancel()
    slow.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await attempt

    assert len(state.holders) == ORDER.request.count
