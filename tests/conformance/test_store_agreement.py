"""Whatever is asked in whatever order, the fakes answer as the databases do."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkroom.domain.errors import DarkroomError
from darkroom.domain.events import EventKind
from darkroom.domain.job import JobId
from darkroom.domain.ledger import LedgerChanges, LedgerRow, LedgerState
from darkroom.domain.lifecycle import JobState
from tests.support.builders import (
    NOW,
    a_batch,
    a_call,
    a_claim,
    a_job_id,
    a_start,
    an_event,
    an_item,
    an_opening,
)
from tests.support.databases import Stores, memory_stores, sql_stores
from tests.support.fakes import MemoryState

pytest_plugins = ["tests.support.databases"]


@dataclass(slots=True, kw_only=True)
class Scene:
    """One job over one place, and what each attempt at its purchase last read."""

    stores: Stores
    job: JobId
    attempts: dict[int, LedgerRow] = field(default_factory=dict[int, LedgerRow])


Step: TypeAlias = Callable[[Scene], Awaitable[object]]

WRITERS = st.sampled_from(["first", "second", "third"])
ATTEMPTS = st.integers(0, 2)
FRESH_JOBS = count(1)


def claim(expected_run: int, writer: str) -> Step:
    """Wish to write the job."""

    async def step(scene: Scene) -> object:
        start = a_start(job_id=scene.job, expected_run=expected_run)
        return await scene.stores.jobs.claim(a_claim(start, writer=writer))

    return step


def append(
    numbers: tuple[int, int], kind: EventKind, state: JobState, writer: str, *, with_item: bool
) -> Step:
    """Record some events that this writer could tell."""
    first, length = numbers
    events = [an_event(seq, kind=kind, state=state) for seq in range(first, first + length)]
    items = (an_item(attempts=first),) if with_item else ()
    batch = a_batch(*events, items=items, writer=writer)

    async def step(scene: Scene) -> object:
        return await scene.stores.outbox.append(replace(batch, job_id=scene.job))

    return step


def read() -> Step:
    """Look at everything that can be seen."""

    async def step(scene: Scene) -> object:
        stores, job = scene.stores, scene.job
        return (
            await stores.jobs.job(job),
            await stores.outbox.events_after(job, 0, limit=100),
            await stores.outbox.heads([job]),
            await stores.ledger.of_job(job),
        )

    return step


def open_take(attempt: int) -> Step:
    """Begin an attempt at the purchase."""

    async def step(scene: Scene) -> object:
        key = a_call(job=scene.job)
        scene.attempts[attempt] = await scene.stores.ledger.open(an_opening(key=key))
        return scene.attempts[attempt]

    return step


def move(attempt: int, to: LedgerState) -> Step:
    """Go on from what an attempt last read."""

    async def step(scene: Scene) -> object:
        row = scene.attempts.get(attempt)
        if row is None:
            return None
        changes = LedgerChanges(called_at=NOW, task_id=f"task-{attempt}")
        scene.attempts[attempt] = await scene.stores.ledger.move(row, to, changes)
        return scene.attempts[attempt]

    return step


def call_back() -> Step:
    """Report from the provider."""

    async def step(scene: Scene) -> object:
        return await scene.stores.ledger.adopt(a_call(job=scene.job), "task-of-callback")

    return step


def give_up(*, by_sender: bool) -> Step:
    """Take the call back, or stop waiting for it."""

    async def step(scene: Scene) -> object:
        key = a_call(job=scene.job)
        if by_sender:
            return await scene.stores.ledger.withdraw(key, NOW)
        return await scene.stores.ledger.abandon(key)

    return step


STEPS = st.one_of(
    st.builds(claim, st.integers(0, 2), WRITERS),
    st.builds(
        append,
        st.tuples(st.integers(1, 4), st.integers(1, 3)),
        st.sampled_from([EventKind.JOB_STARTED, EventKind.JOB_WAITING]),
        st.sampled_from([JobState.PROCESSING, JobState.FAILED]),
        WRITERS,
        with_item=st.booleans(),
    ),
    st.builds(read),
    st.builds(open_take, ATTEMPTS),
    st.builds(move, ATTEMPTS, st.sampled_from(LedgerState)),
    st.builds(call_back),
    st.builds(give_up, by_sender=st.booleans()),
)


async def outcome(step: Step, scene: Scene) -> object:
    """Take a step; an error is an answer too."""
    try:
        return await step(scene)
    except (DarkroomError, ValueError) as error:
        return type(error)


async def compare(steps: list[Step], url: str) -> None:
    """Take the same steps in memory and in a database."""
    job = a_job_id(next(FRESH_JOBS))
    async with sql_stores(url) as stores:
        real = Scene(stores=stores, job=job)
        fake = Scene(stores=memory_stores(MemoryState()), job=job)
        for step in [*steps, read()]:
            assert await outcome(step, fake) == await outcome(step, real)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=10, max_size=40))
def test_the_fakes_answer_like_the_databases(steps: list[Step], database_url: str) -> None:
    """So what a test proves with a fake holds with a database."""
    asyncio.run(compare([claim(0, "first"), *steps], database_url))
