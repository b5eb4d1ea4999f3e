"""The story of one job, seen through its log."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from darkroom.domain.breakers import BreakerPlan
from darkroom.domain.checkpoint import RecordBatch, Recorded
from darkroom.domain.errors import (
    ContentRefused,
    GenerationFailed,
    KeyRefused,
    ProviderUnavailable,
    StoreUnavailable,
)
from darkroom.domain.events import EventKind
from darkroom.domain.job import Combination, OnImageFailure
from darkroom.domain.lifecycle import JobState, Outcome, WaitingOn
from darkroom.domain.names import gate_id
from darkroom.domain.parking import CloseOrder
from tests.support.builders import a_request, a_start
from tests.support.fake_providers import FakeImageProvider, FakePromptEnhancer
from tests.support.fakes import MemoryOutbox, MemoryState
from tests.support.waiting import eventually
from tests.support.workers import Fakes, renamed, start_job, started_worker


async def test_a_job_leaves_a_gapless_log_and_progress_that_never_falls(client: Client) -> None:
    """Events are numbered 1..n, percent climbs 0, 20, 40, 80, 100, and both pictures are there."""
    fakes = Fakes()
    start = renamed(a_start())
    async with started_worker(client, fakes):
        result = await (await start_job(client, fakes, start)).result()

    events = await fakes.events(start.job_id)
    assert result
    assert result.outcome is Outcome.FULL
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    percents = [event.progress.percent for event in events]
    assert percents == sorted(percents)
    assert {0, 20, 40, 80, 100} <= set(percents)
    assert events[0].kind is EventKind.JOB_SUBMITTED
    assert events[-1].kind is EventKind.JOB_COMPLETED
    record = await fakes.record(start.job_id)
    assert record.snapshot.state is JobState.COMPLETED
    assert record.snapshot.cost.spent_micros == 2 * 40_000 + 2 * 100


async def test_a_failed_attempt_is_an_event_and_the_picture_is_still_bought_once(
    client: Client,
) -> None:
    """A provider that was not reached is asked again; one take, one picture, one price."""
    down = ProviderUnavailable("connection refused", provider="nanobanana")
    fakes = Fakes(provider=FakeImageProvider(submits=[down, down]))
    start = renamed(a_start(request=a_request(count=1)))
    async with started_worker(client, fakes):
        result = await (await start_job(client, fakes, start)).result()

    failed = [e for e in await fakes.events(start.job_id) if e.kind is EventKind.ATTEMPT_FAILED]
    assert result
    assert result.outcome is Outcome.FULL
    assert [event.attempt for event in failed] == [1, 2]
    assert all(event.next_try_at and event.failure for event in failed)
    assert {order.call.take for order in fakes.provider.orders} == {1}
    assert result.statistics.spent_micros == 40_000 + 100


async def test_one_refused_picture_leaves_the_others_delivered(client: Client) -> None:
    """Partial failure is kept: completed, outcome partial, the refused one named."""
    refused = ContentRefused("the policy refuses this prompt", provider="nanobanana")
    fakes = Fakes(provider=FakeImageProvider(submits=[refused]))
    start = renamed(a_start())
    async with started_worker(client, fakes):
        result = await (await start_job(client, fakes, start)).result()

    assert result
    assert result.outcome is Outcome.PARTIAL
    assert len(result.images) == 1
    assert [error.code for error in result.errors] == ["content_refused"]


async def test_a_job_without_any_picture_fails_in_temporal_too(client: Client) -> None:
    """The workflow's own status is Failed, and its details say where and why."""
    refused = ContentRefused("the policy refuses this prompt", provider="nanobanana")
    fakes = Fakes(provider=FakeImageProvider(submits=[refused, refused]))
    start = renamed(a_start())
    async with started_worker(client, fakes):
        handle = await start_job(client, fakes, start)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()

    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "content_refused"
    assert cause.details[0]["stage"] == "image_generation"
    assert cause.details[0]["seq"] == (await fakes.events(start.job_id))[-1].seq
    assert (await fakes.record(start.job_id)).snapshot.state is JobState.FAILED


async def test_the_last_retry_spent_gives_the_picture_up(client: Client) -> None:
    """The bound counts retries after the first try: three more, then no more."""
    failed = GenerationFailed("the task failed, credits returned", provider="nanobanana")
    fakes = Fakes(provider=FakeImageProvider(collects=[failed] * 9))
    start = renamed(a_start(request=a_request(count=1)))
    async with started_worker(client, fakes):
        handle = await start_job(client, fakes, start)
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert len(fakes.provider.orders) == 1 + 3
    last = [e for e in await fakes.events(start.job_id) if e.kind is EventKind.ATTEMPT_FAILED][-1]
    assert last.next_try_at is None


async def test_waiting_for_an_operator_spends_neither_attempts_nor_the_clock(
    client: Client,
) -> None:
    """A key refused: the job says why it waits, gives its slot back, and goes on when told."""
    refused = KeyRefused("the key is not accepted", provider="nanobanana")
    fakes = Fakes(provider=FakeImageProvider(submits=[refused]))
    start = renamed(a_start(request=a_request(count=1)))
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)

        async def is_parked() -> bool:
            record = await fakes.record(start.job_id) if start.job_id in fakes.state.jobs else None
            has_slot = fakes.queue is None or bool(fakes.queue.held)
            return bool(record and record.snapshot.waiting and not has_slot)

        await eventually(is_parked, what="the job at the gate, without its slot")
        gate = client.get_workflow_handle(gate_id("nanobanana", start.request.image.model))
        await gate.execute_update("close", CloseOrder(by="olga"))  # pyright: ignore[reportUnknownMemberType] -- the SDK leaves one generic open
        result = await job.result()

    events = await fakes.events(start.job_id)
    waits = [event for event in events if event.kind is EventKind.JOB_WAITING]
    assert result
    assert result.outcome is Outcome.FULL
    assert len(waits) == 1
    assert waits[0].waiting
    assert waits[0].waiting.on is WaitingOn.OPERATOR
    assert not [event for event in events if event.kind is EventKind.ATTEMPT_FAILED]


async def test_an_outage_spends_no_attempts(client: Client) -> None:
    """A dozen refused connections with three retries allowed: both pictures, none failed."""
    down = ProviderUnavailable("connection refused", provider="nanobanana")
    moment = timedelta(milliseconds=20)
    fakes = Fakes(
        provider=FakeImageProvider(submits=[down] * 12),
        breaker=BreakerPlan(cooldown=moment, longest=moment),
    )
    start = renamed(a_start())
    async with started_worker(client, fakes):
        result = await (await start_job(client, fakes, start)).result()

    assert result
    assert result.outcome is Outcome.FULL
    assert len(fakes.provider.orders) == 12 + 2
    waits = [e for e in await fakes.events(start.job_id) if e.kind is EventKind.JOB_WAITING]
    assert WaitingOn.PROVIDER in {event.waiting and event.waiting.on for event in waits}
    assert fakes.queue
    assert not fakes.queue.held


async def test_a_job_that_works_too_long_times_out(client: Client) -> None:
    """Retries that wait longer than the job's time end it as timed_out, with its books closed."""
    down = ProviderUnavailable(
        "try in an hour", provider="nanobanana", retry_after=timedelta(hours=1)
    )
    fakes = Fakes(provider=FakeImageProvider(submits=[down]))
    start = renamed(a_start(request=a_request(count=1)))
    async with started_worker(client, fakes):
        handle = await start_job(client, fakes, start)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()

    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "timed_out"
    closing = (await fakes.events(start.job_id))[-1]
    assert closing.kind is EventKind.JOB_FAILED
    assert closing.result
    assert closing.result.statistics.processing_seconds >= 600


async def test_a_prompt_that_fails_for_good_costs_only_its_own_picture(client: Client) -> None:
    """The other prompts are enhanced, bought and delivered."""
    refused = ContentRefused("not this one", provider="deepseek")
    fakes = Fakes(enhancer=FakePromptEnhancer([refused]))
    start = renamed(a_start())
    async with started_worker(client, fakes):
        result = await (await start_job(client, fakes, start)).result()

    assert result
    assert result.outcome is Outcome.PARTIAL
    assert len(fakes.provider.orders) == 1


class AwayAtFirst(MemoryOutbox):
    """An outbox that cannot be reached for its first few questions."""

    def __init__(self, state: MemoryState, *, questions: int) -> None:
        super().__init__(state)
        self.left = questions

    async def append(self, batch: RecordBatch) -> Recorded:
        if self.left:
            self.left -= 1
            raise StoreUnavailable("the database did not answer")
        return await super().append(batch)


async def test_a_log_that_cannot_be_written_at_first_is_written_whole_later(
    client: Client,
) -> None:
    """The quick attempt hands over to the patient one; the story does not wait for it."""
    fakes = Fakes()
    fakes.outbox = AwayAtFirst(fakes.state, questions=6)
    start = renamed(a_start())
    async with started_worker(client, fakes):
        result = await (await start_job(client, fakes, start)).result()

    events = await fakes.events(start.job_id)
    assert result
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind is EventKind.JOB_COMPLETED


async def test_a_failed_job_that_is_started_again_takes_its_failed_pictures_up(
    client: Client,
) -> None:
    """A new run claims the job, keeps the numbering, and buys only what is missing."""
    refused = ContentRefused("the policy refuses this prompt", provider="nanobanana")
    fakes = Fakes(provider=FakeImageProvider(submits=["task-a", refused]))
    strict = a_request(on_image_failure=OnImageFailure.FAIL)
    start = renamed(a_start(request=strict))
    async with started_worker(client, fakes):
        with pytest.raises(WorkflowFailureError):
            await (await start_job(client, fakes, start)).result()
        again = await start_job(client, fakes, replace(start, expected_run=1))
        result = await again.result()

    assert result
    assert result.outcome is Outcome.FULL
    assert len(fakes.provider.orders) == 3
    events = await fakes.events(start.job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert EventKind.JOB_RETRIED in {event.kind for event in events}
    percents = [event.progress.percent for event in events]
    assert percents == sorted(percents)


async def test_a_second_job_stays_away_from_what_the_first_one_chose(client: Client) -> None:
    """Four combinations exist; two jobs of two share none, and a third finds nothing left."""
    fakes = Fakes()
    chosen: list[set[Combination]] = []
    async with started_worker(client, fakes):
        for _ in range(2):
            start = renamed(a_start())
            await (await start_job(client, fakes, start)).result()
            record = await fakes.record(start.job_id)
            chosen.append({item.combination for item in record.items})
        third = await start_job(client, fakes, renamed(a_start()))
        with pytest.raises(WorkflowFailureError) as failed:
            await third.result()

    assert len(chosen[0] | chosen[1]) == 4
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "difference_infeasible"
