"""What one job chose is not chosen by another, until it is given back unpaid."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import CancelledError

from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.difference import DifferenceRequest, DifferenceResult
from darkroom.domain.errors import ProviderUnavailable
from darkroom.domain.events import EventKind
from darkroom.domain.job import Combination, JobStart
from darkroom.domain.lifecycle import Outcome
from darkroom.domain.ports import Ready
from tests.support.builders import a_request, a_start
from tests.support.fake_providers import FakeImageProvider
from tests.support.waiting import eventually
from tests.support.workers import Fakes, renamed, start_job, started_worker

AT_ONCE = 2
PATIENCE_SECONDS = 20
WHOLE_SPACE = 4


class MeetingDifferentiator:
    """Answers the first two questions together and, the seeds apart, alike."""

    def __init__(self) -> None:
        self._meeting = Barrier(AT_ONCE)
        self.answers: list[tuple[Combination, ...]] = []

    def choose(self, request: DifferenceRequest) -> DifferenceResult:
        chosen = MaximinDifferentiator().choose(replace(request, seed=0))
        self.answers.append(chosen.combinations)
        if not request.exclusions:
            self._meeting.wait(PATIENCE_SECONDS)
        return chosen


async def chosen_by(fakes: Fakes, start: JobStart) -> set[Combination]:
    """Read what a job chose."""
    return {item.combination for item in (await fakes.record(start.job_id)).items}


async def test_two_jobs_that_choose_at_the_same_moment_choose_differently(client: Client) -> None:
    """Neither saw the other; the one that reserved second chose again."""
    differentiator = MeetingDifferentiator()
    fakes = Fakes(differentiator=differentiator)
    starts = [renamed(a_start()) for _ in range(AT_ONCE)]
    async with started_worker(client, fakes):
        jobs = [await start_job(client, fakes, start) for start in starts]
        for job in jobs:
            await job.result()

    first, second = [await chosen_by(fakes, start) for start in starts]
    assert differentiator.answers[0] == differentiator.answers[1]
    assert len(first | second) == WHOLE_SPACE


async def test_jobs_that_avoid_nobody_may_choose_alike(client: Client) -> None:
    """Whoever asks for `avoidHistory: false` is not sent to choose again."""
    fakes = Fakes(differentiator=MeetingDifferentiator())
    starts = [renamed(a_start(request=a_request(avoid_history=False))) for _ in range(AT_ONCE)]
    async with started_worker(client, fakes):
        jobs = [await start_job(client, fakes, start) for start in starts]
        for job in jobs:
            await job.result()

    first, second = [await chosen_by(fakes, start) for start in starts]
    assert first == second


def an_absent_provider() -> FakeImageProvider:
    """Nobody answers for an hour, as far as the first job sees."""
    away = ProviderUnavailable("refused", provider="nanobanana", retry_after=timedelta(hours=1))
    return FakeImageProvider(submits=[away] * 2)


class HeldProvider(FakeImageProvider):
    """Draws nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_draw = asyncio.Event()

    async def collect(self, task_id: str) -> Ready | None:
        await self.may_draw.wait()
        return await super().collect(task_id)


async def cancel_once(
    client: Client, fakes: Fakes, start: JobStart, seen: Callable[[], bool | Awaitable[bool]]
) -> None:
    """Cancel a job when this was seen, and wait for its end."""
    job = await start_job(client, fakes, start)
    await eventually(seen, what="the moment to cancel")
    await job.cancel()
    with pytest.raises(WorkflowFailureError) as ended:
        await job.result()
    assert isinstance(ended.value.cause, CancelledError)


async def test_a_job_cancelled_before_it_paid_leaves_its_combinations_to_others(
    client: Client,
) -> None:
    """The next job gets all four there are, though two had been chosen."""
    fakes = Fakes(provider=an_absent_provider())
    start, successor = renamed(a_start()), renamed(a_start(request=a_request(count=WHOLE_SPACE)))

    async def has_tried() -> bool:
        events = await fakes.events(start.job_id)
        return any(event.kind is EventKind.ATTEMPT_FAILED for event in events)

    async with started_worker(client, fakes):
        await cancel_once(client, fakes, start, has_tried)
        result = await (await start_job(client, fakes, successor)).result()

    assert len(await chosen_by(fakes, start)) == 2
    assert result
    assert result.outcome is Outcome.FULL


async def test_a_job_cancelled_after_it_paid_keeps_its_combinations(client: Client) -> None:
    """Its pictures are there, or may be: the next job of two gets the other two."""
    fakes = Fakes(provider=(provider := HeldProvider()))
    start, successor = renamed(a_start()), renamed(a_start())
    async with started_worker(client, fakes):
        await cancel_once(client, fakes, start, lambda: bool(provider.orders))
        kept = list(fakes.state.holders.values())
        provider.may_draw.set()
        await (await start_job(client, fakes, successor)).result()

    assert kept == [start.job_id] * 2
    assert not await chosen_by(fakes, start) & await chosen_by(fakes, successor)
