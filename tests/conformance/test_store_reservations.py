"""A combination belongs to one job of its owner at a time, wherever that is kept."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import select

from darkroom.domain.combination_key import combination_key
from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.job import Combination
from darkroom.domain.ledger import NO_CHANGES, LedgerState
from darkroom.domain.lifecycle import JobState
from darkroom.store.engine import open_engine
from darkroom.store.rows import COMBINATIONS
from tests.support.builders import (
    ADA,
    BOB,
    JOB,
    a_batch,
    a_call,
    a_claim,
    a_job_id,
    a_snapshot,
    a_start,
    an_event,
    an_item,
    an_opening,
)
from tests.support.databases import Stores, memory_stores, sql_stores
from tests.support.fakes import MemoryState

pytest_plugins = ["tests.support.databases"]

FIRST, SECOND = a_job_id(1), a_job_id(2)
WRITERS = 8


def one(hour: int) -> Combination:
    """Show a lamp at some hour."""
    return (("hour", f"{hour:05d}"), ("weather", "sunny"))


def some(*hours: int) -> list[Combination]:
    return [one(hour) for hour in hours]


async def free(stores: Stores, *hours: int) -> set[Combination]:
    """Ask, as a job that was never there, which of these are free; and give them back."""
    asker = a_job_id(99)
    taken = [
        combination
        for combination in some(*hours)
        if await stores.reservations.reserve(ADA, asker, [combination])
    ]
    await stores.reservations.release(asker)
    return set(some(*hours)) - set(taken)


async def test_what_is_free_is_reserved(stores: Stores) -> None:
    """An empty answer means that all are the job's; then nobody else gets one of them."""
    assert await stores.reservations.reserve(ADA, FIRST, some(1, 2)) == ()

    assert await stores.reservations.reserve(ADA, SECOND, some(2)) == (one(2),)
    assert await free(stores, 1, 2, 3) == {one(3)}


async def test_what_is_taken_is_named_and_then_nothing_is_reserved(stores: Stores) -> None:
    """All or nothing: the free ones among them stay free."""
    await stores.reservations.reserve(ADA, FIRST, some(1, 2))

    taken = await stores.reservations.reserve(ADA, SECOND, some(4, 2, 3, 1))

    assert taken == (one(2), one(1))
    assert await free(stores, 3, 4) == {one(3), one(4)}


async def test_a_refusal_costs_a_job_nothing_that_it_had(stores: Stores) -> None:
    """What it reserved before stays its own."""
    await stores.reservations.reserve(ADA, FIRST, some(1))
    await stores.reservations.reserve(ADA, SECOND, some(2))

    refused = await stores.reservations.reserve(ADA, SECOND, some(2, 1, 3))

    assert refused == (one(1),)
    assert await free(stores, 1, 2, 3) == {one(3)}


async def test_reserving_again_is_harmless(stores: Stores) -> None:
    """An attempt whose answer was lost may be repeated, with more or less in it."""
    await stores.reservations.reserve(ADA, FIRST, some(1, 2))

    assert await stores.reservations.reserve(ADA, FIRST, some(2, 1)) == ()
    assert await stores.reservations.reserve(ADA, FIRST, some(2, 3, 3)) == ()
    assert await free(stores, 1, 2, 3) == set()


async def test_two_owners_may_reserve_the_same(stores: Stores) -> None:
    """A reservation keeps out the other jobs of its owner, and nobody else."""
    await stores.reservations.reserve(ADA, FIRST, some(1))

    assert await stores.reservations.reserve(BOB, SECOND, some(1)) == ()


async def test_a_combination_is_what_it_shows(stores: Stores) -> None:
    """Written with its dimensions in another order it is taken too."""
    await stores.reservations.reserve(ADA, FIRST, some(1))

    assert await stores.reservations.reserve(ADA, SECOND, [one(1)[::-1]]) == (one(1)[::-1],)


async def test_a_job_that_may_share_keeps_what_is_free(stores: Stores) -> None:
    """It takes nothing from others, and others do not get what it keeps."""
    await stores.reservations.reserve(ADA, FIRST, some(1))

    await stores.reservations.keep(ADA, SECOND, some(2, 1))
    await stores.reservations.keep(ADA, SECOND, some(2, 1))
    await stores.reservations.release(SECOND)

    assert await free(stores, 1, 2) == {one(2)}


async def test_a_release_frees_all_of_one_job_and_nothing_else(stores: Stores) -> None:
    """And may be repeated."""
    await stores.reservations.reserve(ADA, FIRST, some(1, 2))
    await stores.reservations.reserve(ADA, SECOND, some(3))

    await stores.reservations.release(FIRST)
    await stores.reservations.release(FIRST)

    assert await free(stores, 1, 2, 3) == {one(1), one(2)}


async def test_nothing_asked_is_nothing_reserved(stores: Stores) -> None:
    """An empty question is no error."""
    assert await stores.reservations.reserve(ADA, FIRST, []) == ()
    await stores.reservations.keep(ADA, FIRST, [])


async def test_more_than_one_question_holds_is_reserved_and_refused(stores: Stores) -> None:
    """A job may choose ten thousand, and another may meet it in all of them."""
    many = some(*range(2_500))
    await stores.reservations.reserve(ADA, FIRST, many)

    assert await stores.reservations.reserve(ADA, FIRST, many) == ()
    assert await stores.reservations.reserve(ADA, SECOND, many) == tuple(many)


async def test_jobs_that_reserve_at_once_in_any_order_never_share(place: str | None) -> None:
    """Eight processes reserve and release what overlaps: nobody waits for ever, none is double."""
    memory = memory_stores(MemoryState())
    async with AsyncExitStack() as until_exit:
        opened = [
            await until_exit.enter_async_context(sql_stores(place)) if place else memory
            for _ in range(WRITERS)
        ]

        async def draw(number: int) -> list[Combination]:
            """Reserve handfuls of sixty; give back every other one."""
            chance, reservations = Random(number), opened[number].reservations
            mine: list[Combination] = []
            for round_ in range(20):
                job_id = a_job_id(1000 * number + round_)
                asked = some(*chance.sample(range(60), 4))
                if await reservations.reserve(ADA, job_id, asked):
                    continue
                if round_ % 2:
                    await reservations.release(job_id)
                else:
                    mine += asked
            return mine

        async with asyncio.timeout(60):
            drawn = await asyncio.gather(*map(draw, range(WRITERS)))
        everything = [combination for mine in drawn for combination in mine]
        unused = await free(opened[0], *range(60))

    assert len(everything) == len(set(everything)) > 0
    assert unused == set(some(*range(60))) - set(everything)


async def test_of_jobs_that_want_the_same_in_any_order_one_gets_it(place: str | None) -> None:
    """The others are told so; they do not wait for each other in a circle."""
    memory, many = memory_stores(MemoryState()), some(*range(1_500))
    async with AsyncExitStack() as until_exit:
        opened = [
            await until_exit.enter_async_context(sql_stores(place)) if place else memory
            for _ in range(WRITERS)
        ]

        async def ask(number: int) -> int:
            shuffled = Random(number).sample(many, len(many))
            taken = await opened[number].reservations.reserve(ADA, a_job_id(number), shuffled)
            return len(taken)

        taken = await asyncio.gather(*map(ask, range(WRITERS)))

    assert sorted(taken) == [0, *[len(many)] * (WRITERS - 1)]


async def end_as(stores: Stores, state: JobState) -> None:
    """Let Ada's job choose two hours and end."""
    await stores.jobs.claim(a_claim())
    await stores.reservations.reserve(ADA, JOB, some(1, 2))
    items = tuple(an_item(key=f"{hour:04d}", combination=one(hour)) for hour in (1, 2))
    batch = a_batch(an_event(state=state), items=items)
    await stores.outbox.append(replace(batch, snapshot=a_snapshot(state=state)))


@pytest.mark.parametrize(
    ("reached", "is_history"),
    [
        (None, False),
        (LedgerState.INTENT, False),
        (LedgerState.REFUSED, False),
        (LedgerState.UNKNOWN, True),
        (LedgerState.ACCEPTED, True),
    ],
)
async def test_a_job_cancelled_unpaid_is_no_history(
    stores: Stores, reached: LedgerState | None, *, is_history: bool
) -> None:
    """There is no picture to stay away from, unless one was paid for, or may have been."""
    await end_as(stores, JobState.CANCELLED)
    if reached:
        await buy_up_to(stores, reached)

    read = await stores.jobs.combinations_of(ADA, dimensions=("hour", "weather"), but_not=SECOND)

    assert set(read) == (set(some(1, 2)) if is_history else set())


async def test_a_failed_job_stays_history(stores: Stores) -> None:
    """It may be retried, and keeps what it chose for that."""
    await end_as(stores, JobState.FAILED)

    read = await stores.jobs.combinations_of(ADA, dimensions=("hour", "weather"), but_not=SECOND)

    assert set(read) == set(some(1, 2))


async def test_a_retried_job_takes_back_what_is_still_free(stores: Stores) -> None:
    """What another job got in between stays with that job."""
    await end_as(stores, JobState.CANCELLED)
    await stores.reservations.release(JOB)
    await stores.reservations.reserve(ADA, SECOND, some(1))

    await stores.jobs.claim(a_claim(a_start(expected_run=1), writer="writer-of-run-2"))

    assert await free(stores, 1, 2) == set()
    await stores.reservations.release(JOB)
    assert await free(stores, 1, 2) == {one(2)}


async def buy_up_to(stores: Stores, state: LedgerState) -> None:
    """Carry the first purchase of Ada's job to a state."""
    row = await stores.ledger.open(an_opening(key=a_call()))
    if state is not LedgerState.INTENT:
        row = await stores.ledger.move(row, LedgerState.CALLING, NO_CHANGES)
        await stores.ledger.move(row, state, NO_CHANGES)


async def test_a_store_that_is_away_says_so() -> None:
    """As every other part of it does."""
    reservations = memory_stores(MemoryState(is_away=True)).reservations

    with pytest.raises(StoreUnavailable):
        await reservations.reserve(ADA, FIRST, some(1))
    with pytest.raises(StoreUnavailable):
        await reservations.keep(ADA, FIRST, some(1))
    with pytest.raises(StoreUnavailable):
        await reservations.release(FIRST)


async def test_a_row_names_its_owner_its_key_and_its_job(database_url: str) -> None:
    """Whoever reads the table can tell whose a combination is."""
    async with sql_stores(database_url) as stores:
        await stores.reservations.reserve(ADA, FIRST, some(1))
    engine = open_engine(database_url)
    columns = select(COMBINATIONS.c.owner, COMBINATIONS.c.key, COMBINATIONS.c.job_id)

    rows = await engine.read(lambda c: c.execute(columns).all())
    await engine.dispose()

    assert [tuple(row) for row in rows] == [(ADA, combination_key(one(1)), FIRST)]
