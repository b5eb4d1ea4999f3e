"""No ledger lets more calls through than a provider takes, and older jobs go first."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from darkroom.domain.errors import FenceLost
from darkroom.domain.job import JobId
from darkroom.domain.ledger import NO_CHANGES, LedgerChanges, LedgerRow, LedgerState
from darkroom.domain.lifecycle import JobState
from darkroom.domain.permits import (
    ASK_AGAIN,
    HOUR,
    JOB_PAUSED,
    MINUTE,
    PROVIDER_BUSY,
    WANTED_WITHIN,
    CallLimits,
    CallTerms,
    Held,
)
from tests.support.builders import (
    JOB,
    NOW,
    a_batch,
    a_call,
    a_claim,
    a_job_id,
    an_event,
    an_opening,
)
from tests.support.databases import Stores, sql_stores

pytest_plugins = ["tests.support.databases"]

ONE_AT_A_TIME = CallLimits(concurrency=1)
OLDER, YOUNGER = a_job_id(1), a_job_id(2)
SECOND = timedelta(seconds=1)


def terms(
    limits: CallLimits, at: datetime = NOW, *, admitted_at: datetime | None = None
) -> CallTerms:
    """Ask under some limits."""
    return CallTerms(limits=limits, called_at=at, admitted_at=admitted_at)


async def opened(
    stores: Stores, number: int = 1, *, job: JobId = JOB, model: str = "nano-banana-2"
) -> LedgerRow:
    """Open a purchase that nobody has sent."""
    key = a_call(job=job, item=f"{number:04}")
    return await stores.ledger.open(an_opening(key=key, model=model))


async def called(stores: Stores, number: int, limits: CallLimits, at: datetime = NOW) -> LedgerRow:
    """Make a call that must get through."""
    answer = await stores.ledger.call(await opened(stores, number), terms(limits, at))
    assert isinstance(answer, LedgerRow)
    return answer


async def test_a_call_is_made_under_its_own_fence(stores: Stores) -> None:
    """It is the move to `calling`, with the moment at which the POST begins."""
    row = await opened(stores)

    answer = await stores.ledger.call(row, terms(CallLimits()))

    assert answer == replace(row, state=LedgerState.CALLING, called_at=NOW)
    assert await stores.ledger.rows([row.key]) == (answer,)


@pytest.mark.parametrize("limits", [CallLimits(), ONE_AT_A_TIME])
async def test_an_overtaken_attempt_calls_nothing(stores: Stores, limits: CallLimits) -> None:
    """Neither under an older fence nor a second time, and it does not wait in line."""
    overtaken = await opened(stores)
    current = await opened(stores)

    with pytest.raises(FenceLost, match=str(current.key)):
        await stores.ledger.call(overtaken, terms(limits))
    answer = await stores.ledger.call(current, terms(limits))
    with pytest.raises(FenceLost, match=str(current.key)):
        await stores.ledger.call(current, terms(limits))

    assert isinstance(answer, LedgerRow)
    assert await stores.ledger.rows([current.key]) == (answer,)


@pytest.mark.parametrize(
    "limits",
    [CallLimits(concurrency=5), CallLimits(per_minute=5), CallLimits(per_hour=5)],
    ids=["concurrency", "per_minute", "per_hour"],
)
async def test_thirty_callers_at_once_never_exceed_a_limit(
    stores: Stores, limits: CallLimits
) -> None:
    """A limit is the provider's: over all its models, workers and jobs together."""
    models = ("nano-banana-2", "nano-banana-pro")
    rows = [await opened(stores, number, model=models[number % 2]) for number in range(30)]

    answers = await asyncio.gather(*(stores.ledger.call(row, terms(limits)) for row in rows))

    held = [answer for answer in answers if isinstance(answer, Held)]
    assert len(answers) - len(held) == 5
    assert {one.code for one in held} == {PROVIDER_BUSY}


async def test_several_processes_share_a_limit(database_url: str) -> None:
    """Each has connections of its own, and none knows of the others."""
    limits = CallLimits(concurrency=5, per_minute=100)
    async with AsyncExitStack() as until_exit:
        processes = [await until_exit.enter_async_context(sql_stores(database_url)) for _ in "abc"]
        rows = [await opened(processes[0], number) for number in range(30)]

        answers = await asyncio.gather(
            *(processes[n % 3].ledger.call(row, terms(limits)) for n, row in enumerate(rows))
        )

    assert sum(isinstance(answer, LedgerRow) for answer in answers) == 5


async def test_an_answer_frees_its_place(stores: Stores) -> None:
    """A call is in flight until its result can be fetched."""
    first = await called(stores, 1, ONE_AT_A_TIME)
    second = await opened(stores, 2)
    held = await stores.ledger.call(second, terms(ONE_AT_A_TIME))
    accepted = await stores.ledger.move(first, LedgerState.ACCEPTED, NO_CHANGES)
    still_held = await stores.ledger.call(second, terms(ONE_AT_A_TIME))
    ready = LedgerChanges(result_url="https://cdn/1")
    await stores.ledger.move(accepted, LedgerState.READY, ready)

    answer = await stores.ledger.call(second, terms(ONE_AT_A_TIME))

    assert isinstance(held, Held)
    assert held.until is None
    assert isinstance(still_held, Held)
    assert isinstance(answer, LedgerRow)


async def test_a_callback_frees_its_place(stores: Stores) -> None:
    """The provider is done with it, whether or not somebody has collected it."""
    first = await called(stores, 1, ONE_AT_A_TIME)

    await stores.ledger.adopt(first.key, "task-1")

    assert isinstance(
        await stores.ledger.call(await opened(stores, 2), terms(ONE_AT_A_TIME)), LedgerRow
    )


async def test_a_call_that_nobody_collects_lapses(stores: Stores) -> None:
    """A job that was ended leaves its calls in flight only for as long as a task may take."""
    await called(stores, 1, ONE_AT_A_TIME)
    late = NOW + ONE_AT_A_TIME.counted_within

    held = await stores.ledger.call(await opened(stores, 2), terms(ONE_AT_A_TIME, late - SECOND))
    answer = await stores.ledger.call(await opened(stores, 2), terms(ONE_AT_A_TIME, late))

    assert isinstance(held, Held)
    assert isinstance(answer, LedgerRow)


async def test_rates_say_when_to_come_back(stores: Stores) -> None:
    """A call is told the moment at which the oldest one that counts is old enough."""
    limits = CallLimits(per_minute=2, per_hour=3)
    await called(stores, 1, limits)
    await called(stores, 2, limits, NOW + SECOND)

    a_minute = await stores.ledger.call(await opened(stores, 3), terms(limits, NOW + 2 * SECOND))
    await called(stores, 3, limits, NOW + MINUTE)
    an_hour = await stores.ledger.call(await opened(stores, 4), terms(limits, NOW + 2 * MINUTE))

    assert isinstance(a_minute, Held)
    assert a_minute.until == NOW + MINUTE
    assert isinstance(an_hour, Held)
    assert an_hour.until == NOW + HOUR
    await called(stores, 4, limits, NOW + HOUR)


async def test_a_repeated_call_counts_again(stores: Stores) -> None:
    """The provider counts requests, also those that it did not accept."""
    limits = CallLimits(per_minute=2)
    for second in range(2):
        at = NOW + second * SECOND
        answer = await called(stores, 1, limits, at)
        await stores.ledger.withdraw(answer.key, at)

    held = await stores.ledger.call(await opened(stores, 1), terms(limits, NOW + 2 * SECOND))

    assert isinstance(held, Held)


async def test_the_next_place_goes_to_the_job_that_was_admitted_first(stores: Stores) -> None:
    """Finish-first: a younger job's call does not pass one of an older job that waits."""
    first = await called(stores, 1, ONE_AT_A_TIME)
    older, younger = await opened(stores, 2, job=OLDER), await opened(stores, 2, job=YOUNGER)
    as_older = terms(ONE_AT_A_TIME, admitted_at=NOW - MINUTE)
    as_younger = terms(ONE_AT_A_TIME, admitted_at=NOW)
    assert isinstance(await stores.ledger.call(younger, as_younger), Held)
    assert isinstance(await stores.ledger.call(older, as_older), Held)
    await stores.ledger.withdraw(first.key, NOW)

    passed_over = await stores.ledger.call(younger, as_younger)
    answer = await stores.ledger.call(older, as_older)

    assert isinstance(passed_over, Held)
    assert "older" in passed_over.why
    assert isinstance(answer, LedgerRow)


async def test_enough_free_places_are_for_everybody(stores: Stores) -> None:
    """Older calls hold back only as many places as they can use."""
    limits = CallLimits(concurrency=2)
    first, second = await called(stores, 1, limits), await called(stores, 2, limits)
    older, younger = await opened(stores, 3, job=OLDER), await opened(stores, 3, job=YOUNGER)
    assert isinstance(
        await stores.ledger.call(older, terms(limits, admitted_at=NOW - MINUTE)), Held
    )
    for row in (first, second):
        await stores.ledger.withdraw(row.key, NOW)

    answer = await stores.ledger.call(younger, terms(limits, admitted_at=NOW))

    assert isinstance(answer, LedgerRow)


async def test_whoever_stops_asking_loses_the_place_in_line(stores: Stores) -> None:
    """A waiting call whose worker died holds nobody up for longer than seconds."""
    first = await called(stores, 1, ONE_AT_A_TIME)
    older, younger = await opened(stores, 2, job=OLDER), await opened(stores, 2, job=YOUNGER)
    await stores.ledger.call(older, terms(ONE_AT_A_TIME, admitted_at=NOW - MINUTE))
    await stores.ledger.withdraw(first.key, NOW)

    held = await stores.ledger.call(younger, terms(ONE_AT_A_TIME, NOW + ASK_AGAIN, admitted_at=NOW))
    answer = await stores.ledger.call(
        younger, terms(ONE_AT_A_TIME, NOW + WANTED_WITHIN, admitted_at=NOW)
    )

    assert isinstance(held, Held)
    assert isinstance(answer, LedgerRow)


async def test_stepping_aside_lets_the_next_one_through_at_once(stores: Stores) -> None:
    """A cancelled job does not hold up those that still want something."""
    first = await called(stores, 1, ONE_AT_A_TIME)
    older, younger = await opened(stores, 2, job=OLDER), await opened(stores, 2, job=YOUNGER)
    await stores.ledger.call(older, terms(ONE_AT_A_TIME, admitted_at=NOW - MINUTE))
    await stores.ledger.withdraw(first.key, NOW)

    await stores.ledger.step_aside(older.key)
    await stores.ledger.step_aside(a_call(item="9999"))

    assert isinstance(
        await stores.ledger.call(younger, terms(ONE_AT_A_TIME, admitted_at=NOW)), LedgerRow
    )


async def test_a_call_without_an_admission_stands_where_it_first_asked(stores: Stores) -> None:
    """It is behind those that waited already, and before those that come later."""
    first = await called(stores, 1, ONE_AT_A_TIME)
    early, late = await opened(stores, 2, job=YOUNGER), await opened(stores, 2, job=OLDER)
    await stores.ledger.call(early, terms(ONE_AT_A_TIME, NOW))
    await stores.ledger.call(late, terms(ONE_AT_A_TIME, NOW + SECOND))
    await stores.ledger.withdraw(first.key, NOW)

    assert isinstance(await stores.ledger.call(late, terms(ONE_AT_A_TIME, NOW + 2 * SECOND)), Held)
    assert isinstance(
        await stores.ledger.call(early, terms(ONE_AT_A_TIME, NOW + 2 * SECOND)), LedgerRow
    )


@pytest.mark.parametrize("limits", [CallLimits(), ONE_AT_A_TIME])
async def test_a_paused_job_buys_nothing(stores: Stores, limits: CallLimits) -> None:
    """A call that waited while its job was paused is not made."""
    await stores.jobs.claim(a_claim())
    await stores.outbox.append(a_batch(an_event(state=JobState.PAUSED)))
    row = await opened(stores)

    held = await stores.ledger.call(row, terms(limits))
    await stores.outbox.append(a_batch(an_event(2)))

    assert isinstance(held, Held)
    assert held.code == JOB_PAUSED
    assert isinstance(await stores.ledger.call(row, terms(limits)), LedgerRow)
