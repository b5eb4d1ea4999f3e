"""The acknowledgement alone: snapshot, missed events, and where deltas begin."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from darkroom.domain.checkpoint import JobRecord, LiveJob
from darkroom.domain.events import JobEvent
from darkroom.domain.job import JobId
from gateway.auth import Caller
from gateway.commands import ANSWER_WITHIN, Submitted
from gateway.live.relay import Relay
from gateway.live.subscribing import MOST_EVENTS, Desk
from gateway.live.subscriptions import Subscriptions
from gateway.reading import JobReader
from gateway.wire import Json
from tests.support.builders import (
    ADA,
    JOB,
    a_batch,
    a_claim,
    a_snapshot,
    a_start,
    an_event,
)
from tests.support.fakes import MemoryDoorbell, MemoryJobStore, MemoryOutbox, MemoryState
from tests.support.waiting import eventually


@dataclass(kw_only=True)
class ScriptedWorkflow:
    """A running workflow: it knows `head` events, of which the store has some."""

    state: MemoryState
    head: int
    flush_while_asked: bool = False
    is_silent: bool = False

    async def live(self, job_id: JobId, *, within: timedelta = ANSWER_WITHIN) -> LiveJob | None:
        del within
        if self.is_silent or job_id != JOB:
            return None
        stored = len(self.state.jobs[job_id].log) if job_id in self.state.jobs else 0
        unflushed = tuple(an_event(seq) for seq in range(stored + 1, self.head + 1))
        if self.flush_while_asked:
            await MemoryOutbox(self.state).append(a_batch(*unflushed))
        record = JobRecord(start=a_start(), snapshot=a_snapshot(self.head))
        return LiveJob(record=record, unflushed=unflushed)

    async def submitted(self, job_id: JobId) -> Submitted | None:
        del job_id


@dataclass(kw_only=True)
class Sent:
    """Sockets that only remember."""

    seqs: list[int] = field(default_factory=list[int])

    async def send(self, sids: Sequence[str], message: Json) -> None:
        del sids
        self.seqs.append(message["seq"])

    def waiting(self, sid: str) -> int:
        del sid
        return 0


@dataclass(kw_only=True)
class Bench:
    """A desk with a running relay behind it."""

    desk: Desk
    sent: Sent

    async def subscribe(self, **wish: int) -> Json:
        return await self.desk.subscribe("a", Caller(owner=ADA), {"jobId": JOB, **wish})


@asynccontextmanager
async def a_bench(workflow: ScriptedWorkflow) -> AsyncGenerator[Bench]:
    """Run desk and relay over memory."""
    subscriptions, sent, state = Subscriptions(), Sent(), workflow.state
    outbox = MemoryOutbox(state)
    relay = Relay(
        subscriptions=subscriptions,
        outbox=outbox,
        doorbell=MemoryDoorbell(state),
        workflows=workflow,
        sockets=sent,
    )
    reader = JobReader(store=MemoryJobStore(state), outbox=outbox, workflows=workflow)
    desk = Desk(subscriptions=subscriptions, reader=reader, outbox=outbox, relay=relay)
    running = asyncio.create_task(relay.run())
    try:
        yield Bench(desk=desk, sent=sent)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def a_state(*, stored: int) -> MemoryState:
    """A store that has the first events of a job."""
    state = MemoryState()
    await MemoryJobStore(state).claim(a_claim())
    if stored:
        await MemoryOutbox(state).append(a_batch(*_events(1, stored)))
    return state


def _events(first: int, last: int) -> list[JobEvent]:
    return [an_event(seq) for seq in range(first, last + 1)]


def seqs(answer: Json) -> list[int]:
    """List the numbers of an acknowledgement."""
    return [message["seq"] for message in answer["events"]]


async def test_unflushed_events_follow_the_stored_ones() -> None:
    """The acknowledgement holds what the store does not have yet."""
    workflow = ScriptedWorkflow(state=await a_state(stored=3), head=5)
    async with a_bench(workflow) as bench:
        answer = await bench.subscribe(afterSeq=1)

    assert seqs(answer) == [2, 3, 4, 5]
    assert answer["snapshot"]["seq"] == 5


async def test_events_flushed_between_the_two_readings_are_found_in_the_log() -> None:
    """Asked first, read second: nothing falls between, and nothing comes twice."""
    workflow = ScriptedWorkflow(state=await a_state(stored=3), head=6, flush_while_asked=True)
    async with a_bench(workflow) as bench:
        answer = await bench.subscribe()

    assert seqs(answer) == [1, 2, 3, 4, 5, 6]
    assert answer["snapshot"]["seq"] <= seqs(answer)[-1]


async def test_unflushed_event_that_is_stored_later_is_not_sent_again() -> None:
    """Deltas begin behind what the acknowledgement held."""
    state = await a_state(stored=2)
    async with a_bench(ScriptedWorkflow(state=state, head=4)) as bench:
        answer = await bench.subscribe()
        await MemoryOutbox(state).append(a_batch(*_events(3, 6)))
        await eventually(lambda: 6 in bench.sent.seqs, what="number 6")

    assert seqs(answer) == [1, 2, 3, 4]
    assert bench.sent.seqs == [5, 6]


async def test_events_that_cannot_be_read_are_not_skipped() -> None:
    """Without the store the unflushed tail alone would leave a gap; it waits for the rest."""
    state = await a_state(stored=4)
    workflow = ScriptedWorkflow(state=state, head=6)
    state.is_away = True
    async with a_bench(workflow) as bench:
        behind = await bench.subscribe(afterSeq=2)
        level = await bench.subscribe(afterSeq=4)

    assert seqs(behind) == []
    assert behind["snapshot"]["seq"] == 6
    assert seqs(level) == [5, 6]


async def test_cut_acknowledgement_is_continued_by_deltas() -> None:
    """`truncated` means that the rest follows, not that it is lost."""
    state = await a_state(stored=MOST_EVENTS + 5)
    workflow = ScriptedWorkflow(state=state, head=MOST_EVENTS + 8)
    async with a_bench(workflow) as bench:
        answer = await bench.subscribe()
        await eventually(lambda: len(bench.sent.seqs) == 5, what="the stored rest")
        await MemoryOutbox(state).append(a_batch(*_events(MOST_EVENTS + 6, MOST_EVENTS + 8)))
        await eventually(lambda: len(bench.sent.seqs) == 8, what="the unflushed rest")

    assert answer["truncated"] is True
    assert seqs(answer) == list(range(1, MOST_EVENTS + 1))
    assert bench.sent.seqs == list(range(MOST_EVENTS + 1, MOST_EVENTS + 9))


async def test_silent_workflow_leaves_the_row_marked_stale() -> None:
    """Better an old answer that says so than none."""
    workflow = ScriptedWorkflow(state=await a_state(stored=3), head=5, is_silent=True)
    async with a_bench(workflow) as bench:
        answer = await bench.subscribe()

    assert answer["snapshot"]["stale"] is True
    assert answer["snapshot"]["seq"] == 3
    assert seqs(answer) == [1, 2, 3]


async def test_run_that_has_not_claimed_yet_does_not_hide_what_is_stored() -> None:
    """A run that begins knows nothing; the store does."""
    state = await a_state(stored=3)
    async with a_bench(ScriptedWorkflow(state=state, head=0)) as bench:
        answer = await bench.subscribe()

    assert answer["snapshot"]["seq"] == 3
    assert seqs(answer) == [1, 2, 3]


async def test_claimed_job_without_events_is_shown_as_submitted() -> None:
    """Between claim and first event, from the workflow's own answer."""
    state = await a_state(stored=0)
    async with a_bench(ScriptedWorkflow(state=state, head=0)) as bench:
        answer = await bench.subscribe()

    assert answer["snapshot"]["status"] == "pending"
    assert answer["snapshot"]["seq"] == 1
    assert seqs(answer) == []


async def test_refused_subscription_leaves_nothing_behind() -> None:
    """A wish that fails takes no place."""
    state = await a_state(stored=1)
    async with a_bench(ScriptedWorkflow(state=state, head=1)) as bench:
        answers = [
            await bench.desk.subscribe("a", Caller(owner=ADA), {"jobId": f"job_{number}"})
            for number in range(150)
        ]
        accepted = await bench.subscribe()

    assert {answer["error"]["code"] for answer in answers} == {"not_found"}
    assert accepted["ok"] is True
