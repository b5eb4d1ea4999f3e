"""What people tell a running job: it obeys at once, or says why not and stays as it was."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError, CancelledError

from darkroom.domain.attempts import CalledBack
from darkroom.domain.control import (
    CancelMode,
    CancelOrder,
    Controlled,
    DecideOrder,
    Decision,
    PauseOrder,
    PriorityOrder,
    ResumeOrder,
)
from darkroom.domain.errors import ContentRefused, ReplyLost
from darkroom.domain.events import EventKind, JobEvent, JobResult
from darkroom.domain.items import ItemState
from darkroom.domain.job import (
    JobStart,
    OnImageFailure,
    OnUnknown,
    Priority,
    PromptSpec,
    RetryScope,
    RetryTerms,
)
from darkroom.domain.ledger import CallKey
from darkroom.domain.lifecycle import JobState, Outcome
from darkroom.domain.names import (
    CALLED_BACK_SIGNAL,
    CANCEL,
    DECIDE,
    GATE_OPENED_SIGNAL,
    PAUSE,
    PROMPTS_ENHANCED_SIGNAL,
    RESUME,
    SET_PRIORITY,
    SLOT_GRANTED_SIGNAL,
)
from darkroom.domain.ports import Ready
from tests.support.builders import PLANS, a_request, a_start
from tests.support.fake_providers import FakeFileStore, FakeImageProvider
from tests.support.fakes import MemoryCallLedger
from tests.support.waiting import eventually
from tests.support.workers import Fakes, renamed, start_job, started_worker
from workflows.image_job import ImageJobWorkflow

Job = WorkflowHandle[ImageJobWorkflow, JobResult | None]

ONE_AT_A_TIME = replace(PLANS, concurrency=1)


class HeldProvider(FakeImageProvider):
    """Draws nothing until it is told to."""

    def __init__(self, **script: Any) -> None:
        super().__init__(**script)
        self.may_draw = asyncio.Event()

    async def collect(self, task_id: str) -> Ready | None:
        await self.may_draw.wait()
        return await super().collect(task_id)


def a_job_of(pictures: int, **changes: Any) -> JobStart:
    """Begin a job that draws one picture after the other."""
    named = tuple((("hour", f"{number:02d}"),) for number in range(pictures))
    request = a_request(
        combinations=named,
        dimensions=(),
        count=pictures,
        prompt=PromptSpec(template="A lamp at {hour}"),
    )
    return renamed(a_start(request=request, plans=replace(ONE_AT_A_TIME, **changes)))


async def tell(job: Job, update: str, order: Any) -> Controlled:
    """Send an order as an update, by the name that operators type."""
    return await job.execute_update(update, order, result_type=Controlled)  # pyright: ignore[reportUnknownMemberType] -- the SDK leaves one generic open


async def orders_of(provider: FakeImageProvider, count: int) -> None:
    """Wait until so many pictures were bought."""

    async def are_there() -> bool:
        return len(provider.orders) >= count

    await eventually(are_there, what=f"{count} purchases")


async def seen(fakes: Fakes, start: JobStart, kind: EventKind, *, times: int = 1) -> JobEvent:
    """Wait for so many events of this kind in the stored log; answers the last."""

    async def found() -> JobEvent | None:
        known = await fakes.events(start.job_id)
        told = [event for event in known if event.kind is kind]
        return told[-1] if len(told) >= times else None

    event = await eventually(found, what=kind)
    assert event
    return event


async def kinds(fakes: Fakes, start: JobStart) -> list[EventKind]:
    """List what happened, and check that the numbers have no gap."""
    events = await fakes.events(start.job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.kind for event in events]


async def test_a_paused_job_collects_what_is_in_flight_and_buys_nothing_more(
    client: Client,
) -> None:
    """The picture under way is stored; the next one is bought only after the resume."""
    fakes = Fakes(provider=(provider := HeldProvider()))
    start = a_job_of(3)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await orders_of(provider, 1)
        paused = await tell(job, PAUSE, PauseOrder(by="olga", reason="wrong lamp"))
        provider.may_draw.set()
        await seen(fakes, start, EventKind.IMAGE_STORED)
        repeated = await tell(job, PAUSE, PauseOrder())
        bought_while_paused = len(provider.orders)
        resumed = await tell(job, RESUME, ResumeOrder())
        result = await job.result()

    assert (paused.state, paused.changed) == (JobState.PAUSED, True)
    assert (repeated.state, repeated.changed) == (JobState.PAUSED, False)
    assert bought_while_paused == 1
    assert no_slot_is_left_behind(fakes)
    assert (resumed.state, resumed.changed) == (JobState.PROCESSING, True)
    assert result
    assert result.outcome is Outcome.FULL
    told = next(e for e in await fakes.events(start.job_id) if e.kind is EventKind.JOB_PAUSED)
    assert (told.by, told.note, told.state) == ("olga", "wrong lamp", JobState.PAUSED)
    assert EventKind.JOB_RESUMED in await kinds(fakes, start)


async def test_a_job_that_finishes_its_last_picture_while_paused_stays_paused(
    client: Client,
) -> None:
    """Only the resume lets it complete."""
    fakes = Fakes(provider=(provider := HeldProvider()))
    start = a_job_of(1)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await orders_of(provider, 1)
        await tell(job, PAUSE, PauseOrder())
        provider.may_draw.set()
        await seen(fakes, start, EventKind.IMAGE_STORED)
        state = (await fakes.record(start.job_id)).snapshot.state
        await tell(job, RESUME, ResumeOrder())
        await job.result()

    assert state is JobState.PAUSED
    assert (await fakes.record(start.job_id)).snapshot.state is JobState.COMPLETED


def no_slot_is_left_behind(fakes: Fakes) -> bool:
    """Say whether the queue has every slot back."""
    return fakes.queue is not None and not fakes.queue.held


async def cancelled(job: Job) -> None:
    """Wait until Temporal itself calls the run cancelled."""
    with pytest.raises(WorkflowFailureError) as ended:
        await job.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert (await job.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_cancel_after_current_keeps_what_is_in_flight(client: Client) -> None:
    """The picture under way is collected, no other is bought, and the job is cancelled."""
    fakes = Fakes(provider=(provider := HeldProvider()))
    start = a_job_of(3)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await orders_of(provider, 1)
        order = CancelOrder(mode=CancelMode.AFTER_CURRENT)
        await tell(job, CANCEL, order)
        repeated = await tell(job, CANCEL, order)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await tell(job, PAUSE, PauseOrder())
        provider.may_draw.set()
        await cancelled(job)

    record = await fakes.record(start.job_id)
    assert no_slot_is_left_behind(fakes)
    assert not repeated.changed
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == "wrong_state"
    assert "being cancelled" in refused.value.cause.message
    assert record.snapshot.state is JobState.CANCELLED
    assert [item.state for item in record.items].count(ItemState.STORED) == 1
    assert len(provider.orders) == 1
    assert (await kinds(fakes, start))[-1] is EventKind.JOB_CANCELLED


async def test_a_cancel_after_current_does_not_wait_for_a_slot(client: Client) -> None:
    """A job in line has nothing to collect: it leaves the line and ends at once."""
    fakes = Fakes(provider=(provider := FakeImageProvider()))
    start = a_job_of(1)
    async with started_worker(client, fakes):
        assert fakes.queue
        fakes.queue.is_open = False
        job = await start_job(client, fakes, start)
        await seen(fakes, start, EventKind.JOB_SUBMITTED)
        await tell(job, CANCEL, CancelOrder(mode=CancelMode.AFTER_CURRENT))
        await cancelled(job)

    assert not provider.orders
    assert [holder.workflow_id for holder in fakes.queue.withdrawn] == [start.job_id]
    assert (await kinds(fakes, start))[-1] is EventKind.JOB_CANCELLED


class HeldFiles(FakeFileStore):
    """Does not say what it has until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def has(self, sha256: str) -> bool:
        self.is_asked.set()
        await self.may_answer.wait()
        return await super().has(sha256)


async def test_a_job_that_adds_up_cannot_be_paused_any_more(client: Client) -> None:
    """The order is refused with its reason, by update and by signal, and the job completes."""
    fakes = Fakes(files=(files := HeldFiles()))
    start = a_job_of(1)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await files.is_asked.wait()
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await tell(job, PAUSE, PauseOrder())
        await job.signal(PAUSE)
        files.may_answer.set()
        result = await job.result()

    assert isinstance(refused.value.cause, ApplicationError)
    assert "is ending" in refused.value.cause.message
    assert result
    assert result.outcome is Outcome.FULL
    assert EventKind.JOB_PAUSED not in await kinds(fakes, start)
    assert EventKind.ORDER_REFUSED in await kinds(fakes, start)


async def test_a_cancel_now_is_what_temporal_calls_a_cancel(client: Client) -> None:
    """Nothing is waited for; the money of what is in flight stays booked."""
    fakes = Fakes(provider=(provider := HeldProvider()))
    start = a_job_of(3)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await orders_of(provider, 1)
        await tell(job, CANCEL, CancelOrder(by="olga"))
        await cancelled(job)

    record = await fakes.record(start.job_id)
    (row,) = await MemoryCallLedger(fakes.state).of_job(start.job_id)
    assert no_slot_is_left_behind(fakes)
    assert record.snapshot.state is JobState.CANCELLED
    assert record.snapshot.cost.spent_micros == row.price_micros + 3 * 100
    assert (await kinds(fakes, start))[-1] is EventKind.JOB_CANCELLED


async def test_signals_have_the_same_effect_as_updates(client: Client) -> None:
    """Pause, resume and cancel, typed with and without input."""
    fakes = Fakes(provider=(provider := HeldProvider()))
    start = a_job_of(2)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await orders_of(provider, 1)
        await job.signal(PAUSE)
        await seen(fakes, start, EventKind.JOB_PAUSED)
        await job.signal(RESUME, {"by": "olga"})
        await seen(fakes, start, EventKind.JOB_RESUMED)
        await job.signal(CANCEL, {"mode": "after_current"})
        await seen(fakes, start, EventKind.JOB_STOPPING)
        provider.may_draw.set()
        await cancelled(job)

    assert no_slot_is_left_behind(fakes)
    assert len(provider.orders) == 1
    assert (await fakes.record(start.job_id)).snapshot.state is JobState.CANCELLED


MISTYPED = (
    (PAUSE, "now"),
    (PAUSE, {"who": "olga"}),
    (PAUSE, {"by": 7}),
    (CANCEL, {"mode": "later"}),
    (CANCEL, ["after_current"]),
)


# What only workflows and activities say: typed by hand it changes nothing.
BETWEEN_WORKFLOWS = (
    SLOT_GRANTED_SIGNAL,
    GATE_OPENED_SIGNAL,
    CALLED_BACK_SIGNAL,
    PROMPTS_ENHANCED_SIGNAL,
)


async def test_a_mistyped_signal_is_an_event_with_its_reason_and_changes_nothing(
    client: Client,
) -> None:
    """Each refusal says what is taken; the job goes on and completes."""
    fakes = Fakes(provider=(provider := HeldProvider()))
    start = a_job_of(1)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await orders_of(provider, 1)
        for name, typed in MISTYPED:
            await job.signal(name, typed)
        for name in BETWEEN_WORKFLOWS:
            await job.signal(name)
            await job.signal(name, "typed by hand")
        provider.may_draw.set()
        result = await job.result()

    events = await fakes.events(start.job_id)
    refusals = [event for event in events if event.kind is EventKind.ORDER_REFUSED]
    assert result
    assert result.outcome is Outcome.FULL
    assert len(refusals) == len(MISTYPED)
    assert all(event.state is JobState.PROCESSING for event in refusals)
    assert "later" in (refusals[3].note or "")
    assert "now, after_current" in (refusals[3].note or "")


async def test_a_changed_priority_is_told_and_kept(client: Client) -> None:
    """The row, the log and the next picture know it."""
    fakes = Fakes(provider=(provider := HeldProvider()))
    start = a_job_of(2)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await orders_of(provider, 1)
        order = PriorityOrder(priority=Priority.HIGH, by="olga")
        first = await tell(job, SET_PRIORITY, order)
        second = await tell(job, SET_PRIORITY, order)
        provider.may_draw.set()
        await job.result()
        scheduled = [
            event.activity_task_scheduled_event_attributes
            async for event in job.fetch_history_events()
            if event.HasField("activity_task_scheduled_event_attributes")
        ]

    keys = [one.priority.priority_key for one in scheduled if one.activity_type.name == "generate"]
    assert (first.changed, second.changed) == (True, False)
    assert (await fakes.record(start.job_id)).snapshot.priority is Priority.HIGH
    assert keys == [3, 1]


LOST = ReplyLost("the connection broke", provider="nanobanana")


def a_forgetful_provider(losses: int = 1) -> FakeImageProvider:
    """Lose the first replies, and never call back."""
    return FakeImageProvider(submits=[LOST] * losses, grace=timedelta(milliseconds=50))


@pytest.mark.parametrize("decision", Decision)
async def test_a_purchase_of_unknown_outcome_waits_for_a_decision(
    decision: Decision, client: Client
) -> None:
    """Nothing is bought again before somebody says so; giving up costs only that picture."""
    fakes = Fakes(provider=(provider := a_forgetful_provider()))
    start = a_job_of(2)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        asking = await seen(fakes, start, EventKind.IMAGE_UNKNOWN)
        wrong = DecideOrder(decision=decision, item="0007")
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await tell(job, DECIDE, wrong)
        order = DecideOrder(decision=decision, item=asking.item, by="olga")
        await tell(job, DECIDE, order)
        result = await job.result()

    assert isinstance(refused.value.cause, ApplicationError)
    assert "0001" in refused.value.cause.message
    is_rebought = decision is Decision.REBUY
    assert result
    assert result.outcome is (Outcome.FULL if is_rebought else Outcome.PARTIAL)
    assert len(provider.orders) == (3 if is_rebought else 2)
    assert result.statistics.unknown_micros == 40_000
    told = [e for e in await fakes.events(start.job_id) if e.kind is EventKind.IMAGE_DECIDED]
    assert [(event.by, event.note) for event in told] == [("olga", decision)]


async def test_a_late_callback_settles_what_somebody_was_asked_about(client: Client) -> None:
    """The purchase was made: it is collected, under its first take, and nothing is bought again."""
    fakes = Fakes(provider=(provider := a_forgetful_provider()))
    start = a_job_of(1)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)
        await seen(fakes, start, EventKind.IMAGE_UNKNOWN)
        key = CallKey(job=start.job_id, item="0001", take=1)
        assert await MemoryCallLedger(fakes.state).adopt(key, "task-late")
        await job.signal(CALLED_BACK_SIGNAL, CalledBack(item="0001", take=1))
        result = await job.result()

    assert result
    assert result.outcome is Outcome.FULL
    assert result.statistics.unknown_micros == 0
    assert len(provider.orders) == 1


async def test_rebuy_once_buys_again_once_and_then_asks(client: Client) -> None:
    """The second loss of the same picture is somebody's decision again."""
    fakes = Fakes(provider=(provider := a_forgetful_provider(losses=2)))
    start = a_job_of(1, on_unknown=OnUnknown.REBUY_ONCE)
    async with started_worker(client, fakes):
        job = await start_job(client, fakes, start)

        await seen(fakes, start, EventKind.IMAGE_UNKNOWN, times=2)
        await tell(job, DECIDE, DecideOrder(decision=Decision.REBUY))
        result = await job.result()

    assert result
    assert len(provider.orders) == 3
    assert result.statistics.unknown_micros == 2 * 40_000


RETRIES = (
    # scope, pictures bought again, take of the picture that was there
    (RetryTerms(by="olga"), 1, 1),
    (RetryTerms(by="olga", scope=RetryScope.ALL), 2, 2),
)


@pytest.mark.parametrize(("terms", "bought", "take"), RETRIES)
async def test_a_retry_makes_what_its_scope_says(
    terms: RetryTerms, bought: int, take: int, client: Client
) -> None:
    """What is there stays, or is bought anew when everything is asked for."""
    refused = ContentRefused("not this one", provider="nanobanana")
    fakes = Fakes(provider=(provider := FakeImageProvider(submits=["task-a", refused])))
    start = a_job_of(2)
    strict = replace(start.request, on_image_failure=OnImageFailure.FAIL)
    start = replace(start, request=strict)
    async with started_worker(client, fakes):
        with pytest.raises(WorkflowFailureError):
            await (await start_job(client, fakes, start)).result()
        again = await start_job(client, fakes, replace(start, expected_run=1, retry=terms))
        result = await again.result()

    assert result
    assert result.outcome is Outcome.FULL
    assert len(provider.orders) == 2 + bought
    assert (await fakes.record(start.job_id)).items[0].take == take
    assert EventKind.JOB_RETRIED in await kinds(fakes, start)


async def test_an_edited_prompt_is_asked_for_and_bought_anew(client: Client) -> None:
    """The failed picture is prompted again; the purchase is a take of its own."""
    refused = ContentRefused("not this one", provider="nanobanana")
    fakes = Fakes(provider=(provider := FakeImageProvider(submits=[refused])))
    start = a_job_of(1)
    edited = replace(
        start,
        expected_run=1,
        request=replace(start.request, prompt=PromptSpec(template="A lamp at {hour}, friendlier")),
        retry=RetryTerms(by="olga", renews_prompts=True, opens_takes=True),
    )
    async with started_worker(client, fakes):
        with pytest.raises(WorkflowFailureError):
            await (await start_job(client, fakes, start)).result()
        result = await (await start_job(client, fakes, edited)).result()

    assert result
    assert result.outcome is Outcome.FULL
    assert "friendlier" in provider.orders[-1].prompt
