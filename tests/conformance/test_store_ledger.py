"""Every call ledger keeps these promises."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from darkroom.domain.errors import FenceLost, IllegalTransition
from darkroom.domain.ledger import (
    ADOPTABLE,
    MOVES,
    NO_CHANGES,
    LedgerChanges,
    LedgerRow,
    LedgerState,
)
from tests.support.builders import (
    ADA,
    JOB,
    NOW,
    PENNY_MICROS,
    a_call,
    a_failure,
    a_job_id,
    a_picture,
    an_opening,
)
from tests.support.databases import Stores

pytest_plugins = ["tests.support.databases"]

INTENT, CALLING, ACCEPTED = LedgerState.INTENT, LedgerState.CALLING, LedgerState.ACCEPTED
READY, STORED, SETTLED = LedgerState.READY, LedgerState.STORED, LedgerState.SETTLED
REFUSED, UNKNOWN = LedgerState.REFUSED, LedgerState.UNKNOWN

PATHS: dict[LedgerState, tuple[LedgerState, ...]] = {
    INTENT: (),
    CALLING: (CALLING,),
    ACCEPTED: (CALLING, ACCEPTED),
    READY: (CALLING, ACCEPTED, READY),
    STORED: (CALLING, ACCEPTED, READY, STORED),
    SETTLED: (CALLING, ACCEPTED, READY, STORED, SETTLED),
    REFUSED: (CALLING, REFUSED),
    UNKNOWN: (CALLING, UNKNOWN),
}
LEGAL = [(state, to) for state, following in MOVES.items() for to in sorted(following)]


async def opened(stores: Stores, state: LedgerState = INTENT) -> LedgerRow:
    """Open a purchase and walk it to a state."""
    row = await stores.ledger.open(an_opening())
    for step in PATHS[state]:
        row = await stores.ledger.move(row, step, NO_CHANGES)
    return row


async def read(stores: Stores) -> LedgerRow:
    """Read the purchase of these tests."""
    (row,) = await stores.ledger.rows([a_call()])
    return row


async def test_opening_creates_the_intent(stores: Stores) -> None:
    """Creates the row if there is none, under the first fence."""
    row = await stores.ledger.open(an_opening())

    assert row == LedgerRow(
        key=a_call(),
        owner=ADA,
        provider="nanobanana",
        model="nano-banana-2",
        price_micros=4 * PENNY_MICROS,
        state=INTENT,
        fence=1,
    )
    assert await read(stores) == row


async def test_opening_again_takes_the_next_fence_and_nothing_else(stores: Stores) -> None:
    """A later attempt finds what an earlier one reached, at the price it was ordered at."""
    before = await opened(stores, ACCEPTED)

    row = await stores.ledger.open(an_opening(price_micros=1, model="another"))

    assert (row.fence, row.state, row.price_micros, row.model) == (
        before.fence + 1,
        ACCEPTED,
        before.price_micros,
        before.model,
    )


async def test_attempts_at_once_take_different_fences(stores: Stores) -> None:
    """No two attempts ever hold the same fence."""
    rows = await asyncio.gather(*(stores.ledger.open(an_opening()) for _ in range(10)))

    assert sorted(row.fence for row in rows) == list(range(1, 11))


@pytest.mark.parametrize(("state", "to"), LEGAL)
async def test_a_legal_move_is_made(stores: Stores, state: LedgerState, to: LedgerState) -> None:
    """Every step of the table can be taken, and is answered as it is stored."""
    row = await opened(stores, state)

    moved = await stores.ledger.move(row, to, NO_CHANGES)

    assert (moved.state, moved.fence) == (to, row.fence)
    assert await read(stores) == moved


@pytest.mark.parametrize("state", LedgerState)
async def test_every_illegal_move_is_refused(stores: Stores, state: LedgerState) -> None:
    """A step that the table does not have changes nothing."""
    row = await opened(stores, state)

    for to in set(LedgerState) - MOVES[state]:
        with pytest.raises(IllegalTransition, match=str(a_call())):
            await stores.ledger.move(row, to, NO_CHANGES)

    assert await read(stores) == row


async def test_moves_fill_in_columns_and_leave_the_others(stores: Stores) -> None:
    """What a step does not know stays as it was."""
    row = await stores.ledger.open(an_opening())
    row = await stores.ledger.move(row, CALLING, LedgerChanges(called_at=NOW))
    row = await stores.ledger.move(row, ACCEPTED, LedgerChanges(task_id="task-1"))
    row = await stores.ledger.move(row, READY, LedgerChanges(result_url="https://cdn/1"))
    row = await stores.ledger.move(row, READY, LedgerChanges(result_url="https://cdn/2"))
    row = await stores.ledger.move(
        row, STORED, LedgerChanges(picture=a_picture(), failure=a_failure())
    )

    assert (row.called_at, row.task_id, row.result_url) == (NOW, "task-1", "https://cdn/2")
    assert (row.picture, row.failure) == (a_picture(), a_failure())
    assert await read(stores) == row


async def test_an_older_fence_loses_its_move(stores: Stores) -> None:
    """An attempt that was overtaken changes nothing, though the state is as it thinks."""
    old = await stores.ledger.open(an_opening())
    new = await stores.ledger.open(an_opening())

    with pytest.raises(FenceLost, match=str(a_call())):
        await stores.ledger.move(old, CALLING, LedgerChanges(called_at=NOW))

    assert await read(stores) == new


async def test_a_move_from_a_state_that_has_passed_is_lost(stores: Stores) -> None:
    """The same fence cannot take one step twice: nothing is sent a second time."""
    row = await stores.ledger.open(an_opening())
    moved = await stores.ledger.move(row, CALLING, LedgerChanges(called_at=NOW))

    with pytest.raises(FenceLost):
        await stores.ledger.move(row, CALLING, LedgerChanges(called_at=NOW + timedelta(1)))

    assert await read(stores) == moved


async def test_a_purchase_that_is_not_there_cannot_move(stores: Stores) -> None:
    """A row that was never opened, or is gone, belongs to nobody."""
    row = await stores.ledger.open(an_opening())
    lost = LedgerRow(
        key=a_call(item="0009"),
        owner=row.owner,
        provider=row.provider,
        model=row.model,
        price_micros=row.price_micros,
        state=INTENT,
        fence=1,
    )

    with pytest.raises(FenceLost):
        await stores.ledger.move(lost, CALLING, NO_CHANGES)


async def test_of_many_calls_at_once_one_is_sent(stores: Stores) -> None:
    """`intent -> calling` is the compare-and-set in front of the POST."""
    row = await stores.ledger.open(an_opening())

    outcomes = await asyncio.gather(
        *(stores.ledger.move(row, CALLING, NO_CHANGES) for _ in range(10)), return_exceptions=True
    )

    assert sum(isinstance(outcome, LedgerRow) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, FenceLost) for outcome in outcomes) == len(outcomes) - 1


async def test_attempts_side_by_side_buy_once(stores: Stores) -> None:
    """However attempts open and move at once, at most one of them may send the POST."""

    async def attempt() -> bool:
        row = await stores.ledger.open(an_opening())
        if row.state is not INTENT:
            return False
        try:
            await stores.ledger.move(row, CALLING, NO_CHANGES)
        except FenceLost:
            return False
        return True

    sent = await asyncio.gather(*(attempt() for _ in range(12)))

    assert sum(sent) <= 1
    assert (await read(stores)).state is (CALLING if any(sent) else INTENT)


@pytest.mark.parametrize("state", sorted(ADOPTABLE))
async def test_a_callback_adopts_a_call_whose_reply_is_missing(
    stores: Stores, state: LedgerState
) -> None:
    """`calling | unknown -> accepted`, under whatever fence, with the provider's task."""
    before = await opened(stores, state)

    row = await stores.ledger.adopt(a_call(), "task-of-callback")

    assert row is not None
    assert (row.state, row.task_id, row.hinted) == (ACCEPTED, "task-of-callback", True)
    assert row.fence == before.fence
    assert await read(stores) == row


@pytest.mark.parametrize("state", sorted(set(LedgerState) - ADOPTABLE))
async def test_a_callback_in_any_other_state_is_only_a_hint(
    stores: Stores, state: LedgerState
) -> None:
    """What is known already is not changed by a provider's word."""
    before = await opened(stores, state)

    row = await stores.ledger.adopt(a_call(), "task-of-callback")

    assert row is not None
    assert (row.state, row.task_id, row.hinted) == (state, before.task_id, True)


async def test_a_callback_for_no_purchase_is_answered_with_none(stores: Stores) -> None:
    """Nothing is booked that was never ordered."""
    assert await stores.ledger.adopt(a_call(), "task-of-callback") is None
    assert await stores.ledger.rows([a_call()]) == ()


async def test_a_reply_after_its_callback_loses(stores: Stores) -> None:
    """The attempt whose call was adopted sees that the row has moved on."""
    row = await opened(stores, CALLING)
    await stores.ledger.adopt(a_call(), "task-1")

    with pytest.raises(FenceLost):
        await stores.ledger.move(row, ACCEPTED, LedgerChanges(task_id="task-1"))


async def test_a_sender_takes_its_own_call_back(stores: Stores) -> None:
    """A POST that was certainly not accepted may be sent again, under whatever fence."""
    row = await stores.ledger.open(an_opening())
    await stores.ledger.move(row, CALLING, LedgerChanges(called_at=NOW))
    later = await stores.ledger.open(an_opening())

    await stores.ledger.withdraw(a_call(), NOW)

    assert await read(stores) == replace(later, state=INTENT)


async def test_another_call_is_not_taken_back(stores: Stores) -> None:
    """Only the sender whose POST began at that moment can know that it was not accepted."""
    row = await stores.ledger.open(an_opening())
    calling = await stores.ledger.move(row, CALLING, LedgerChanges(called_at=NOW))

    await stores.ledger.withdraw(a_call(), NOW + timedelta(microseconds=1))

    assert await read(stores) == calling


@pytest.mark.parametrize("state", sorted(set(LedgerState) - {CALLING}))
async def test_what_is_not_calling_is_not_taken_back(stores: Stores, state: LedgerState) -> None:
    """A callback that came first wins over a sender that believes to know better."""
    row = await stores.ledger.open(an_opening())
    for step in PATHS[state]:
        row = await stores.ledger.move(row, step, LedgerChanges(called_at=NOW))

    await stores.ledger.withdraw(a_call(), NOW)
    await stores.ledger.withdraw(a_call(item="0009"), NOW)

    assert await stores.ledger.of_job(JOB) == (row,)


async def test_an_abandoned_purchase_is_marked_and_can_still_move(stores: Stores) -> None:
    """What was paid is still booked after its job stopped waiting."""
    row = await opened(stores, ACCEPTED)

    await stores.ledger.abandon(a_call())
    moved = await stores.ledger.move(row, READY, NO_CHANGES)

    assert moved.abandoned


async def test_abandoning_no_purchase_is_harmless(stores: Stores) -> None:
    """A job that never ordered has nothing to mark."""
    await stores.ledger.abandon(a_call())

    assert await stores.ledger.of_job(JOB) == ()


async def test_rows_are_read_by_key_where_they_exist(stores: Stores) -> None:
    """Every part of a key counts, and what is missing is left out."""
    keys = [a_call(), a_call(item="0002"), a_call(take=2), a_call(job=a_job_id(9))]
    rows = [await stores.ledger.open(an_opening(key=key)) for key in keys]

    read_back = await stores.ledger.rows([keys[1], keys[3], a_call(item="0002", take=2)])

    assert set(read_back) == {rows[1], rows[3]}
    assert await stores.ledger.rows([]) == ()


async def test_purchases_of_a_job_come_by_item_and_take(stores: Stores) -> None:
    """Takes are counted as numbers: the tenth comes after the second."""
    keys = [
        a_call(item="0002", take=1),
        a_call(item="0001", take=10),
        a_call(item="0001", take=2),
        a_call(job=a_job_id(9)),
    ]
    rows = [await stores.ledger.open(an_opening(key=key)) for key in keys]

    assert await stores.ledger.of_job(JOB) == (rows[2], rows[1], rows[0])


async def test_prices_beyond_32_bits_are_kept(stores: Stores) -> None:
    """Money is counted in micro-units: 2,147 dollars must not be the end."""
    row = await stores.ledger.open(an_opening(price_micros=5_000_000_000))

    assert row.price_micros == 5_000_000_000
