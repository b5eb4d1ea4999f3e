"""The relay alone: from a doorbell and a log to sockets that may be slow."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from darkroom.domain.checkpoint import LiveJob
from darkroom.domain.events import JobEvent
from darkroom.domain.job import JobId
from gateway.commands import ANSWER_WITHIN, Submitted
from gateway.live.relay import MOST_WAITING, PAGE, SWEEP_SECONDS, Relay
from gateway.live.subscriptions import Subscription, Subscriptions
from gateway.wire import Json
from tests.support.builders import JOB, a_batch, a_claim, a_job_id, a_start, an_event
from tests.support.fakes import MemoryDoorbell, MemoryJobStore, MemoryOutbox, MemoryState
from tests.support.waiting import eventually


@dataclass(kw_only=True)
class Inbox:
    """Sockets that keep what they are sent until the test takes it."""

    waiting_by_sid: dict[str, int] = field(default_factory=dict[str, int])
    sent: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    async def send(self, sids: Sequence[str], message: Json) -> None:
        for sid in sids:
            self.sent.setdefault(sid, []).append(message["seq"])
            self.waiting_by_sid[sid] = self.waiting_by_sid.get(sid, 0) + 1

    def waiting(self, sid: str) -> int:
        return self.waiting_by_sid.get(sid, 0)

    def take(self, sid: str) -> None:
        self.waiting_by_sid[sid] = 0


class NoWorkflows:
    """A Temporal that does not answer."""

    async def live(self, job_id: JobId, *, within: timedelta = ANSWER_WITHIN) -> LiveJob | None:
        del job_id, within

    async def submitted(self, job_id: JobId) -> Submitted | None:
        del job_id


@dataclass(kw_only=True)
class Bench:
    """A running relay, and what stands around it."""

    relay: Relay
    subscriptions: Subscriptions
    inbox: Inbox
    outbox: MemoryOutbox

    def listen(self, sid: str, *, after: int = 0, job_id: JobId = JOB) -> Subscription:
        subscription = self.subscriptions.add(sid, job_id)
        subscription.cursor = after
        self.relay.open(subscription)
        return subscription


@asynccontextmanager
async def a_bench(
    state: MemoryState, outbox: MemoryOutbox | None = None, *, sweep_seconds: float = SWEEP_SECONDS
) -> AsyncGenerator[Bench]:
    """Run a relay over memory."""
    subscriptions, inbox = Subscriptions(), Inbox()
    kept = outbox or MemoryOutbox(state)
    relay = Relay(
        subscriptions=subscriptions,
        outbox=kept,
        doorbell=MemoryDoorbell(state),
        workflows=NoWorkflows(),
        sockets=inbox,
        sweep_seconds=sweep_seconds,
    )
    running = asyncio.create_task(relay.run())
    try:
        yield Bench(relay=relay, subscriptions=subscriptions, inbox=inbox, outbox=kept)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def write(state: MemoryState, *, last: int, first: int = 1, job_id: JobId = JOB) -> None:
    """Write a log from one number to another."""
    await MemoryJobStore(state).claim(a_claim(a_start(job_id=job_id)))
    events = [an_event(seq) for seq in range(first, last + 1)]
    await MemoryOutbox(state).append(a_batch(*events, job_id=job_id))


async def test_crowded_socket_waits_for_room_and_then_gets_the_rest_in_order() -> None:
    """What a socket has not taken is bounded; the log is the buffer."""
    state = MemoryState()
    await write(state, last=2000)
    async with a_bench(state) as bench:
        bench.listen("slow")
        bench.listen("quick", after=1990)
        await eventually(lambda: bench.inbox.waiting("slow") >= MOST_WAITING)
        await eventually(lambda: bench.inbox.sent["quick"] == list(range(1991, 2001)))
        most = bench.inbox.waiting("slow")

        async def reads_on() -> bool:
            bench.inbox.take("slow")
            return len(bench.inbox.sent["slow"]) == 2000

        await eventually(reads_on, what="the whole log")

    assert most < MOST_WAITING + PAGE
    assert bench.inbox.sent["slow"] == list(range(1, 2001))


async def test_gap_in_what_was_read_is_never_sent() -> None:
    """A reader that is handed 1, 2, 4 sends 1 and 2, and 3 and 4 when it can."""
    state = MemoryState()

    class Gapped(MemoryOutbox):
        is_gapped = True

        async def events_after(
            self, job_id: JobId, seq: int, *, limit: int
        ) -> tuple[JobEvent, ...]:
            events = await super().events_after(job_id, seq, limit=limit)
            return tuple(e for e in events if not (self.is_gapped and e.seq == 3))

    outbox = Gapped(state)
    await write(state, last=4)
    async with a_bench(state, outbox) as bench:
        bench.listen("a")
        await eventually(lambda: bench.inbox.sent.get("a") == [1, 2], what="1 and 2")
        outbox.is_gapped = False
        bench.relay.look_at(JOB)
        await eventually(lambda: bench.inbox.sent["a"] == [1, 2, 3, 4], what="the rest")


async def test_ear_that_is_not_open_yet_is_sent_nothing() -> None:
    """Deltas wait for the acknowledgement."""
    state = MemoryState()
    async with a_bench(state) as bench:
        closed = bench.subscriptions.add("early", JOB)
        bench.listen("open")
        await write(state, last=5)
        await eventually(lambda: bench.inbox.sent.get("open") == [1, 2, 3, 4, 5])
        before = dict(bench.inbox.sent)
        closed.cursor = 2
        bench.relay.open(closed)
        await eventually(lambda: bench.inbox.sent.get("early") == [3, 4, 5], what="the rest")

    assert "early" not in before


async def test_ear_that_was_replaced_stays_deaf() -> None:
    """A socket that subscribes again is not sent the same numbers by its first ear."""
    state = MemoryState()
    await write(state, last=3)
    async with a_bench(state) as bench:
        first = bench.subscriptions.add("a", JOB)
        bench.listen("a", after=2)
        bench.relay.open(first)
        await eventually(lambda: bench.inbox.sent.get("a"), what="number 3")
        await write(state, first=4, last=4)
        await eventually(lambda: 4 in bench.inbox.sent["a"], what="number 4")

    assert bench.inbox.sent["a"] == [3, 4]


async def test_trouble_with_one_job_does_not_silence_the_others() -> None:
    """The relay lives; the job in trouble is tried again."""
    state = MemoryState()
    other = a_job_id(2)

    class Broken(MemoryOutbox):
        is_broken = True

        async def events_after(
            self, job_id: JobId, seq: int, *, limit: int
        ) -> tuple[JobEvent, ...]:
            if self.is_broken and job_id == JOB:
                raise ValueError("this row was written by a later version")
            return await super().events_after(job_id, seq, limit=limit)

    outbox = Broken(state)
    await write(state, last=2)
    await write(state, last=2, job_id=other)
    async with a_bench(state, outbox) as bench:
        bench.listen("a")
        bench.listen("b", job_id=other)
        await eventually(lambda: bench.inbox.sent.get("b") == [1, 2], what="the other job")
        outbox.is_broken = False
        await eventually(lambda: bench.inbox.sent.get("a") == [1, 2], what="the job in trouble")


async def test_events_written_while_the_doorbell_is_deaf_are_found() -> None:
    """Without any ring a sweep finds what moved."""
    state, unheard = MemoryState(), MemoryState()
    unheard.jobs = state.jobs
    async with a_bench(state, sweep_seconds=0.1) as bench:
        bench.listen("a")
        await write(state, last=1)
        await eventually(lambda: bench.inbox.sent.get("a") == [1], what="the first ring")
        await write(unheard, first=2, last=3)
        await eventually(lambda: bench.inbox.sent["a"] == [1, 2, 3], what="the sweep")


async def test_long_past_is_sent_page_after_page_without_waiting() -> None:
    """A full page is followed by the next at once, not by the next sweep."""
    state = MemoryState()
    await write(state, last=2 * PAGE + 1)
    async with a_bench(state, sweep_seconds=3600) as bench:
        bench.listen("a")
        await eventually(lambda: len(bench.inbox.sent.get("a", ())) == 2 * PAGE + 1)

    assert bench.inbox.sent["a"] == list(range(1, 2 * PAGE + 2))


async def test_ear_that_leaves_while_the_log_is_read_is_sent_nothing() -> None:
    """Who has unsubscribed, or gone, hears nothing more."""
    state = MemoryState()
    await write(state, last=2)

    class Slow(MemoryOutbox):
        asked, answer = asyncio.Event(), asyncio.Event()

        async def events_after(
            self, job_id: JobId, seq: int, *, limit: int
        ) -> tuple[JobEvent, ...]:
            self.asked.set()
            await self.answer.wait()
            return await super().events_after(job_id, seq, limit=limit)

    outbox = Slow(state)
    async with a_bench(state, outbox) as bench:
        bench.listen("gone")
        bench.listen("there")
        await outbox.asked.wait()
        bench.subscriptions.remove_socket("gone")
        outbox.answer.set()
        await eventually(lambda: bench.inbox.sent.get("there") == [1, 2], what="the other ear")

    assert "gone" not in bench.inbox.sent
