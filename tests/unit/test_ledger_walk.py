"""A take is bought at most once, wherever an attempt dies and however two attempts interleave."""

import asyncio
from datetime import timedelta

import pytest

from darkroom.domain.attempts import PictureDone, PictureFailed
from darkroom.domain.errors import (
    Billing,
    ContentRefused,
    FenceLost,
    GenerationFailed,
    ProviderError,
    ProviderUnavailable,
    ReplyLost,
    ResultGone,
    StoreUnavailable,
)
from darkroom.domain.ledger import ADOPTABLE, LedgerChanges, LedgerRow, LedgerState, TakeOpening
from darkroom.domain.ports import Bought, PictureOrder, Ready
from tests.support.builders import ADA
from tests.support.fake_providers import FakeImageProvider
from tests.support.fakes import MemoryCallLedger
from tests.support.purchases import TAKE, FragileLedger, Killed, OneAccount, Room
from tests.support.waiting import eventually


async def test_an_undisturbed_attempt_buys_once_and_settles() -> None:
    """Intent, calling, accepted, ready, stored, settled: one order, one price."""
    room = Room()
    await room.prepare()

    attempt = await room.attempt()

    assert isinstance(attempt, PictureDone)
    assert len(room.provider.orders) == 1
    assert (await room.row()).state is LedgerState.SETTLED


@pytest.mark.parametrize("dies_at", range(1, 13))
async def test_wherever_an_attempt_dies_the_next_one_finishes_the_same_purchase(
    dies_at: int,
) -> None:
    """Twelve deaths, before and after each question to the ledger: never a second order."""
    room = Room()
    await room.prepare()
    with pytest.raises(Killed):
        await room.attempt(FragileLedger(room.state, dies_at=dies_at))
    rows = await room.ledger.rows([TAKE])
    if rows and rows[0].state in ADOPTABLE and room.provider.orders:
        await room.ledger.adopt(TAKE, "task-1")  # the provider calls back

    attempt = await room.attempt()
    if isinstance(attempt, PictureFailed):  # nothing was sent, and nobody can know it
        assert room.provider.orders == []
        assert attempt.failure.billing is Billing.UNKNOWN
        assert (await room.row()).state is LedgerState.UNKNOWN
        return

    assert len(room.provider.orders) == 1
    assert (await room.row()).state is LedgerState.SETTLED


@pytest.mark.parametrize("seed", range(40))
async def test_attempts_side_by_side_never_both_buy(seed: int) -> None:
    """Three attempts at once, in forty interleavings: one order, and the overtaken have left."""
    room = Room(OneAccount(grace=timedelta(seconds=2)))
    await room.prepare()

    ended = await asyncio.gather(
        *(room.attempt(FragileLedger(room.state, seed=3 * seed + n)) for n in range(3)),
        return_exceptions=True,
    )

    assert len(room.provider.orders) == 1
    assert (await room.row()).state is LedgerState.SETTLED
    assert all(isinstance(end, PictureDone | FenceLost) for end in ended)


async def test_a_reply_that_reaches_an_overtaken_attempt_is_not_lost() -> None:
    """The attempt that sent it no longer holds the fence, but it alone knows the task's name."""
    room = Room()
    await room.prepare()

    class Overtaken(FakeImageProvider):
        async def submit(self, order: PictureOrder) -> Bought:
            opening = TakeOpening(
                key=TAKE, owner=ADA, provider="nanobanana", model="m", price_micros=1
            )
            await room.ledger.open(opening)  # a successor takes the next fence
            return await super().submit(order)

    room.provider = Overtaken()
    with pytest.raises(FenceLost):
        await room.attempt()

    row = await room.row()
    assert (row.state, row.task_id) == (LedgerState.ACCEPTED, "task-1")


async def test_what_the_heartbeat_knew_is_booked_by_the_next_attempt() -> None:
    """The store was away when the reply came: the details carry the task over the crash."""
    room = Room()
    await room.prepare()
    with pytest.raises(Killed):
        await room.attempt(FragileLedger(room.state, dies_at=5))
    assert (await room.row()).state is LedgerState.CALLING

    attempt = await room.attempt(heartbeat=("accepted", "task-1"))

    assert isinstance(attempt, PictureDone)
    assert len(room.provider.orders) == 1


async def test_a_lost_reply_waits_for_its_callback() -> None:
    """ReplyLost is not a reason to buy again; the callback names the task."""
    lost = ReplyLost("connection reset", provider="nanobanana")
    room = Room(FakeImageProvider(submits=[lost], grace=timedelta(seconds=5)))
    await room.prepare()

    running = asyncio.create_task(room.attempt())
    await eventually(lambda: room.provider.orders, what="the order")
    await room.ledger.adopt(TAKE, "task-9")
    attempt = await running

    assert isinstance(attempt, PictureDone)
    assert room.provider.collected[0] == "task-9"
    assert len(room.provider.orders) == 1


async def test_a_lost_reply_without_a_callback_ends_as_unknown() -> None:
    """After the grace period the money is shown apart and nothing is bought again."""
    lost = ReplyLost("connection reset", provider="nanobanana")
    room = Room(FakeImageProvider(submits=[lost], grace=timedelta(milliseconds=5)))
    await room.prepare()

    first, second = await room.attempt(), await room.attempt()

    for attempt in (first, second):
        assert isinstance(attempt, PictureFailed)
        assert attempt.failure.billing is Billing.UNKNOWN
        assert not attempt.opens_take
    assert len(room.provider.orders) == 1


async def test_a_late_callback_makes_an_unknown_purchase_known_again() -> None:
    """It came after everyone had given up; the picture that was paid for is still fetched."""
    lost = ReplyLost("connection reset", provider="nanobanana")
    room = Room(FakeImageProvider(submits=[lost], grace=timedelta(milliseconds=5)))
    await room.prepare()
    await room.attempt()
    await room.ledger.adopt(TAKE, "task-9")

    attempt = await room.attempt()

    assert isinstance(attempt, PictureDone)
    assert len(room.provider.orders) == 1


@pytest.mark.parametrize(
    ("error", "state", "opens_take"),
    [
        (ProviderUnavailable("refused", provider="nanobanana"), LedgerState.INTENT, False),
        (ContentRefused("policy", provider="nanobanana"), LedgerState.REFUSED, True),
    ],
)
async def test_what_was_not_accepted_costs_nothing(
    error: ProviderError, state: LedgerState, *, opens_take: bool
) -> None:
    """What was not accepted may be sent again; what was refused needs a take of its own."""
    room = Room(FakeImageProvider(submits=[error]))
    await room.prepare()

    attempt = await room.attempt()

    assert isinstance(attempt, PictureFailed)
    assert attempt.opens_take is opens_take
    assert (await room.row()).state is state


async def test_a_task_that_failed_at_the_provider_needs_a_take_of_its_own() -> None:
    """The credits came back, so trying again is a decision, recorded as the next take."""
    failed = GenerationFailed("no capacity", provider="nanobanana")
    room = Room(FakeImageProvider(collects=[failed]))
    await room.prepare()

    attempt = await room.attempt()

    assert isinstance(attempt, PictureFailed)
    assert attempt.opens_take
    assert (await room.row()).state is LedgerState.REFUSED


async def test_an_expired_address_is_asked_for_again_but_not_bought_again() -> None:
    """403, 404 and 410 make the provider name a fresh address for the same task."""
    gone = ResultGone("410", provider="nanobanana")
    first, fresh = Ready(url="https://pictures.test/1"), Ready(url="https://pictures.test/2")
    room = Room(FakeImageProvider(collects=[first, fresh], downloads=[gone]))
    await room.prepare()

    attempt = await room.attempt()

    assert isinstance(attempt, PictureDone)
    assert room.provider.downloaded == [first.url, fresh.url]
    assert len(room.provider.orders) == 1


async def test_a_store_that_is_away_delays_a_purchase_and_repeats_nothing() -> None:
    """Five questions without an answer in the middle of the walk: one order, one settlement."""
    room = Room()
    await room.prepare()

    class AwayForAWhile(MemoryCallLedger):
        away = 5

        async def move(self, row: LedgerRow, to: LedgerState, changes: LedgerChanges) -> LedgerRow:
            moved = await super().move(row, to, changes)
            if to is LedgerState.ACCEPTED and self.away:
                self.away -= 1
                raise StoreUnavailable("it committed, but the answer was lost")
            return moved

    attempt = await room.attempt(AwayForAWhile(room.state))

    assert isinstance(attempt, PictureDone)
    assert len(room.provider.orders) == 1
