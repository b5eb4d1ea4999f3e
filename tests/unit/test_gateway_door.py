"""Whether one more job is taken in, and how often the pool is asked."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from darkroom.domain.admission import Place, QueueTerms, QueueView, WaitingJob
from darkroom.domain.job import JobId, Priority
from darkroom.domain.lifecycle import Waiting, WaitingOn
from gateway.door import refusal
from gateway.queue_watch import FRESH, USABLE, QueueWatch
from tests.support.builders import ADA, NOW, a_job_id, a_snapshot, a_start
from tests.unit.test_gateway_wire import a_record

TERMS = QueueTerms(concurrency=5)


class FakeQueue:
    """A pool that shows what a test says, and counts who asks."""

    def __init__(self, view: QueueView | None) -> None:
        self.shown = view
        self.asked = 0
        self.placed: list[JobId] = []

    async def view(self) -> QueueView | None:
        """Show the queue."""
        self.asked += 1
        await asyncio.sleep(0)
        return self.shown

    async def place(self, job_id: JobId) -> Place | None:
        """Show a place beyond those listed."""
        self.placed.append(job_id)
        return Place(job_id=job_id, position=500, why="499 jobs are before it")


class FakeClock:
    """Time that only a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Read it."""
        return self.seconds

    def pass_by(self, time: timedelta) -> None:
        """Let time go by, and a little more."""
        self.seconds += time.total_seconds() + 0.01


def a_waiting_job(number: int, *, eta_seconds: int | None = None) -> WaitingJob:
    """Stand in line as number so and so."""
    job_id = a_job_id(number)
    return WaitingJob(
        job_id=job_id,
        owner=ADA,
        priority=Priority.NORMAL,
        effective_priority=Priority.HIGH,
        submitted_at=NOW,
        place=Place(
            job_id=job_id, position=number, eta_p50_seconds=eta_seconds, why=f"{number - 1} before"
        ),
    )


def a_view(*waiting: WaitingJob, count: int | None = None, terms: QueueTerms = TERMS) -> QueueView:
    """Show a queue in which these wait."""
    return QueueView(terms=terms, waiting=waiting, waiting_count=count or len(waiting))


async def test_job_is_taken_in_while_there_is_room() -> None:
    """One less than the most is room for one."""
    watch = QueueWatch(FakeQueue(a_view(count=9)))

    assert await refusal(watch, most=10) is None


@pytest.mark.parametrize(("eta", "seconds"), [(37, "37"), (None, "60"), (0, "1"), (9999, "3600")])
async def test_full_queue_says_when_to_come_again(eta: int | None, seconds: str) -> None:
    """429 with the time until enough of those who wait have begun, in bounds."""
    waiting = (a_waiting_job(1, eta_seconds=5), a_waiting_job(2, eta_seconds=eta))
    watch = QueueWatch(FakeQueue(a_view(*waiting, count=11)))

    problem = await refusal(watch, most=10)

    assert problem
    assert (problem.kind.code, problem.kind.status) == ("queue_full", 429)
    assert problem.headers == {"Retry-After": seconds}
    assert "11 jobs wait" in problem.detail
    assert problem.remedy
    assert seconds in problem.remedy


async def test_draining_queue_takes_nothing_in() -> None:
    """However short it is; the refusal names who drains it."""
    terms = replace(TERMS, is_draining=True, changed_by="grace")
    watch = QueueWatch(FakeQueue(a_view(terms=terms)))

    problem = await refusal(watch, most=10)

    assert problem
    assert (problem.kind.code, problem.kind.status) == ("queue_draining", 503)
    assert "grace" in problem.detail
    assert problem.remedy
    assert problem.headers["Retry-After"]


async def test_paused_queue_takes_jobs_in() -> None:
    """They wait."""
    watch = QueueWatch(FakeQueue(a_view(terms=replace(TERMS, is_paused=True))))

    assert await refusal(watch, most=1) is None


async def test_silent_pool_refuses_nobody() -> None:
    """What nobody knows is no reason, and nobody waits for it again and again."""
    queue = FakeQueue(None)
    watch = QueueWatch(queue)

    assert [await refusal(watch, most=1) for _ in range(5)] == [None] * 5
    assert queue.asked == 1


async def test_what_came_in_here_counts_before_the_pool_knows() -> None:
    """A burst cannot slip in between two questions; a job that was refused after all does not."""
    watch = QueueWatch(FakeQueue(a_view(count=8)))
    assert await refusal(watch, most=10) is None
    with watch.taking_in():
        pass
    with pytest.raises(ValueError, match="infeasible"), watch.taking_in():
        raise ValueError("infeasible")

    assert await refusal(watch, most=10) is None
    with watch.taking_in():
        assert (await refusal(watch, most=10) or pytest.fail("taken in")).kind.code == "queue_full"


async def test_jobs_the_pool_knows_are_not_counted_twice() -> None:
    """A fresh view holds what came in before it was asked for."""
    queue, clock = FakeQueue(a_view(count=8)), FakeClock()
    watch = QueueWatch(queue, clock=clock)
    await watch.view()
    with watch.taking_in():
        pass
    queue.shown = a_view(count=9)
    clock.pass_by(USABLE)

    view = await watch.view()

    assert view
    assert watch.pending_count(view) == 9


async def test_pool_is_asked_once_a_second_by_however_many() -> None:
    """Fifty submits at once ask one question; later ones do not wait for the next."""
    queue, clock = FakeQueue(a_view(count=1)), FakeClock()
    watch = QueueWatch(queue, clock=clock)
    await asyncio.gather(*(watch.view() for _ in range(50)))
    assert queue.asked == 1

    clock.pass_by(FRESH)
    queue.shown = a_view(count=2)
    stale = await watch.view()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    fresh = await watch.view()

    assert queue.asked == 2
    assert (stale and stale.waiting_count, fresh and fresh.waiting_count) == (1, 2)


async def test_changed_queue_is_asked_anew() -> None:
    """Whoever drained it here sees that at once."""
    queue = FakeQueue(a_view())
    watch = QueueWatch(queue)
    await watch.view()
    queue.shown = a_view(terms=replace(TERMS, is_draining=True))
    watch.forget()

    assert await refusal(watch, most=10)


async def test_place_comes_from_the_list_or_from_the_pool_itself() -> None:
    """Only a job that waits for a slot has one."""
    waiting = Waiting(on=WaitingOn.SLOT, since=NOW, why="all slots are taken")
    listed, far, working = (
        replace(
            a_record(),
            start=a_start(job_id=a_job_id(number)),
            snapshot=a_snapshot(waiting=waiting if number < 3 else None),
        )
        for number in (1, 2, 3)
    )
    queue = FakeQueue(a_view(a_waiting_job(1), count=500))
    watch = QueueWatch(queue)

    places = [await watch.place_of(record) for record in (listed, far, working)]

    assert [place and place.position for place in places] == [1, 500, None]
    assert queue.placed == [a_job_id(2)]
    assert (await watch.places_of((listed, far, working))).keys() == {a_job_id(1)}


async def test_nobody_is_asked_for_a_place_while_the_pool_is_silent() -> None:
    """A record is not held up by an answer that does not come."""
    waiting = Waiting(on=WaitingOn.SLOT, since=NOW, why="all slots are taken")
    record = replace(a_record(), snapshot=a_snapshot(waiting=waiting))
    queue = FakeQueue(None)

    assert await QueueWatch(queue).place_of(record) is None
    assert queue.placed == []
