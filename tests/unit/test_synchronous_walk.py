"""A provider whose reply is the picture: the bytes are not lost, and every bill is booked."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.testing import ActivityEnvironment

from darkroom.domain.attempts import PictureDone, PictureFailed
from darkroom.domain.errors import (
    AnswerUnusable,
    Billing,
    ContentRefused,
    Disposition,
    FenceLost,
    FileMissing,
    FilesUnavailable,
    GenerationFailed,
    PictureFault,
    PictureUnusable,
    ProviderError,
    ReplyLost,
    StoreUnavailable,
)
from darkroom.domain.ledger import (
    NO_CHANGES,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    TakeOpening,
    bill,
)
from darkroom.domain.ports import Bought, PictureOrder, PreparedPicture
from tests.support.builders import ADA
from tests.support.fake_providers import PICTURE, FakeImageProvider, FakeSynchronousProvider
from tests.support.fakes import MemoryCallLedger
from tests.support.purchases import TAKE, FragileLedger, Killed, Room
from tests.support.waiting import eventually

GRACE = timedelta(milliseconds=30)
SUCCESSOR = TakeOpening(key=TAKE, owner=ADA, provider="nanobanana", model="m", price_micros=1)


class SlowSynchronousProvider(FakeSynchronousProvider):
    """Draws until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__(grace=timedelta(seconds=5))
        self.may_answer = asyncio.Event()

    async def submit(self, order: PictureOrder) -> Bought:
        bought = await super().submit(order)
        await self.may_answer.wait()
        return bought


class UnimpressedCheck:
    """Takes nothing for a picture."""

    def prepare(self, content: bytes, *, max_bytes: int) -> PreparedPicture:
        del content, max_bytes
        raise PictureUnusable("these bytes are not a picture", reason=PictureFault.NOT_AN_IMAGE)


async def a_room(provider: FakeImageProvider | None = None) -> Room:
    """Open a room with a provider that answers with pictures."""
    room = Room(provider or FakeSynchronousProvider(grace=GRACE))
    await room.prepare()
    return room


async def test_a_picture_that_comes_with_the_reply_is_stored_and_settled() -> None:
    """One order; nothing is asked for or downloaded."""
    room = await a_room()

    attempt = await room.attempt()

    assert isinstance(attempt, PictureDone)
    assert room.files.files[attempt.picture.sha256] == PICTURE
    assert (await room.row()).state is LedgerState.SETTLED
    assert len(room.provider.orders) == 1
    assert room.provider.collected == room.provider.downloaded == []


@pytest.mark.parametrize("dies_at", range(1, 9))
async def test_wherever_an_attempt_dies_nothing_is_bought_again(dies_at: int) -> None:
    """Eight deaths, before and after each question to the ledger: done, or honestly unknown."""
    room = await a_room()
    with pytest.raises(Killed):
        await room.attempt(FragileLedger(room.state, dies_at=dies_at))
    was_sent = len(room.provider.orders)

    attempt = await room.attempt(heartbeat=room.told)

    if isinstance(attempt, PictureDone):
        assert len(room.provider.orders) == 1
        assert (await room.row()).state is LedgerState.SETTLED
    else:  # it died between `calling` and the reply
        assert len(room.provider.orders) == was_sent
        assert (await room.row()).state is LedgerState.UNKNOWN


async def test_a_crash_inside_the_call_leaves_it_unknown() -> None:
    """Nobody can be asked, so nobody buys again by themselves; the money is shown apart."""

    class Deadly(FakeSynchronousProvider):
        async def submit(self, order: PictureOrder) -> Bought:
            await super().submit(order)
            raise Killed

    room = await a_room(Deadly(grace=GRACE))
    with pytest.raises(Killed):
        await room.attempt()

    attempt = await room.attempt()

    assert isinstance(attempt, PictureFailed)
    assert (attempt.failure.code, attempt.failure.billing) == (ReplyLost.code, Billing.UNKNOWN)
    assert not attempt.opens_take
    assert len(room.provider.orders) == 1
    row = await room.row()
    assert bill([row], prompts_micros=0, estimated_micros=0).unknown_micros == row.price_micros


async def test_a_lost_reply_without_callbacks_is_unknown_at_once() -> None:
    """There is nothing to wait for; the grace period is for those who cannot know that."""
    lost = ReplyLost("connection reset", provider="nanobanana")
    room = await a_room(FakeSynchronousProvider(submits=[lost], grace=timedelta(hours=1)))

    first = await asyncio.wait_for(room.attempt(), timeout=5)
    second = await room.attempt()

    for attempt in (first, second):
        assert isinstance(attempt, PictureFailed)
        assert attempt.failure.code == ReplyLost.code
        assert attempt.failure.disposition is Disposition.FATAL
        assert not attempt.opens_take
    assert len(room.provider.orders) == 1
    assert (await room.row()).state is LedgerState.UNKNOWN


async def test_a_picture_is_in_the_file_store_before_the_ledger_is_told() -> None:
    """The ledger was away and then the process died: heartbeat and file store carry it over."""
    room = await a_room()
    with pytest.raises(Killed):
        await room.attempt(FragileLedger(room.state, dies_at=5))
    assert (await room.row()).state is LedgerState.CALLING
    assert PICTURE in room.files.files.values()

    attempt = await room.attempt(heartbeat=room.told)

    assert isinstance(attempt, PictureDone)
    assert len(room.provider.orders) == 1


async def test_stores_that_are_away_after_the_reply_only_delay_it() -> None:
    """Files and ledger both fail for a while: one order, one settlement."""
    room = await a_room()

    class AwayForAWhile(MemoryCallLedger):
        away = 2

        async def move(self, row: LedgerRow, to: LedgerState, changes: LedgerChanges) -> LedgerRow:
            moved = await super().move(row, to, changes)
            if to is LedgerState.STORED and self.away:
                self.away -= 1
                raise StoreUnavailable("it committed, but the answer was lost")
            return moved

    room.files.fail(2)
    attempt = await room.attempt(AwayForAWhile(room.state))

    assert isinstance(attempt, PictureDone)
    assert len(room.provider.orders) == 1


async def test_paid_bytes_that_are_no_picture_are_booked_and_need_another_take() -> None:
    """The bill has a row for it, so the ledger has one; and it is never asked for again."""
    room = Room(FakeSynchronousProvider(), pictures=UnimpressedCheck())
    await room.prepare()

    first, second = await room.attempt(), await room.attempt()

    for attempt in (first, second):
        assert isinstance(attempt, PictureFailed)
        assert attempt.opens_take
        assert attempt.failure.code == "result_unusable"
        assert attempt.failure.disposition is Disposition.RETRYABLE
    assert len(room.provider.orders) == 1
    row = await room.row()
    assert (row.state, row.picture) == (LedgerState.SETTLED, None)
    assert bill([row], prompts_micros=0, estimated_micros=0).spent_micros == row.price_micros


def costing(error: ProviderError) -> ProviderError:
    error.cost_micros = 1
    return error


@pytest.mark.parametrize(
    ("error", "state", "opens_take"),
    [
        (AnswerUnusable("only words", provider="nanobanana"), LedgerState.SETTLED, True),
        (costing(ContentRefused("withheld", provider="nanobanana")), LedgerState.SETTLED, True),
        (ContentRefused("blocked", provider="nanobanana"), LedgerState.REFUSED, True),
        (GenerationFailed("nothing drawn", provider="nanobanana"), LedgerState.INTENT, False),
    ],
    ids=["billed words", "billed refusal", "free refusal", "nothing drawn"],
)
async def test_the_ledger_says_of_every_answer_whether_it_was_billed(
    error: ProviderError, state: LedgerState, *, opens_take: bool
) -> None:
    """What was billed is spent whatever it is worth; what was not costs nothing."""
    room = await a_room(FakeSynchronousProvider(submits=[error], grace=GRACE))

    attempt = await room.attempt()

    assert isinstance(attempt, PictureFailed)
    assert (attempt.failure.code, attempt.opens_take) == (error.code, opens_take)
    assert attempt.failure.disposition is error.disposition
    row = await room.row()
    assert row.state is state
    is_billed = state is LedgerState.SETTLED
    assert (attempt.failure.billing is Billing.BILLED) is is_billed
    spent = bill([row], prompts_micros=0, estimated_micros=0).spent_micros
    assert spent == (row.price_micros if is_billed else 0)


async def test_a_useless_answer_is_booked_by_whoever_comes_next() -> None:
    """The process died before the ledger knew of the bill; the heartbeat did."""
    useless = costing(ContentRefused("withheld", provider="nanobanana"))
    room = await a_room(FakeSynchronousProvider(submits=[useless], grace=GRACE))
    with pytest.raises(Killed):
        await room.attempt(FragileLedger(room.state, dies_at=5))

    attempt = await room.attempt(heartbeat=room.told)

    assert isinstance(attempt, PictureFailed)
    assert (attempt.failure.code, attempt.failure.billing) == ("content_refused", Billing.BILLED)
    assert (await room.row()).state is LedgerState.SETTLED
    assert len(room.provider.orders) == 1


async def test_attempts_side_by_side_never_both_buy() -> None:
    """Three attempts at once, in thirty interleavings: one order, and the overtaken have left."""

    async def three_attempts(seed: int) -> None:
        room = await a_room(FakeSynchronousProvider(grace=timedelta(seconds=2)))
        ended = await asyncio.gather(
            *(room.attempt(FragileLedger(room.state, seed=3 * seed + n)) for n in range(3)),
            return_exceptions=True,
        )
        assert len(room.provider.orders) == 1
        assert (await room.row()).state is LedgerState.SETTLED
        assert all(isinstance(end, PictureDone | FenceLost) for end in ended)

    await asyncio.gather(*(three_attempts(seed) for seed in range(30)))


@pytest.mark.parametrize("gave_up", [False, True])
async def test_a_picture_that_reaches_an_overtaken_attempt_is_not_lost(*, gave_up: bool) -> None:
    """The successor waits, or has given up; the sender alone has the bytes, and books them."""
    room = await a_room(slow := SlowSynchronousProvider())
    overtaken = asyncio.create_task(room.attempt())
    await eventually(lambda: slow.orders, what="the order")
    row = await room.ledger.open(SUCCESSOR)
    if gave_up:
        await room.ledger.move(row, LedgerState.UNKNOWN, NO_CHANGES)
    slow.may_answer.set()
    with pytest.raises(FenceLost):
        await overtaken

    assert (await room.row()).state is LedgerState.STORED
    attempt = await room.attempt()

    assert isinstance(attempt, PictureDone)
    assert len(slow.orders) == 1


async def test_an_overtaken_attempt_books_nothing_on_somebody_elses_call() -> None:
    """The take was sent again meanwhile: this row is about another POST."""
    room = await a_room(slow := SlowSynchronousProvider())
    overtaken = asyncio.create_task(room.attempt())
    await eventually(lambda: slow.orders, what="the order")
    row = await room.ledger.open(SUCCESSOR)
    assert row.called_at is not None
    await room.ledger.withdraw(TAKE, row.called_at)
    later = LedgerChanges(called_at=datetime.now(UTC) + timedelta(seconds=1))
    await room.ledger.move(replace(row, state=LedgerState.INTENT), LedgerState.CALLING, later)
    slow.may_answer.set()

    with pytest.raises(FenceLost):
        await overtaken

    assert (await room.row()).state is LedgerState.CALLING


async def test_a_cancel_lets_the_reply_come_and_keeps_the_picture() -> None:
    """It is paid for; the purchase is marked as one that nobody waits for any more."""
    room = await a_room(slow := SlowSynchronousProvider())
    env = ActivityEnvironment()
    running = asyncio.create_task(room.attempt_in(env))
    await eventually(lambda: slow.orders, what="the order")
    env.cancel(ActivityCancellationDetails(cancel_requested=True))
    slow.may_answer.set()

    with pytest.raises(asyncio.CancelledError):
        await running

    row = await room.row()
    assert (row.state, row.abandoned) == (LedgerState.STORED, True)
    assert PICTURE in room.files.files.values()


async def test_a_photo_that_is_gone_ends_the_attempt_before_anything_is_sent() -> None:
    """What cannot be sent whole is not sent at all."""

    class WithoutPhoto(FakeSynchronousProvider):
        async def prepare(self, order: PictureOrder) -> PictureOrder:
            raise FileMissing(f"a photo of {order.call} is gone; upload it again")

    room = await a_room(WithoutPhoto())

    attempt = await room.attempt()

    assert isinstance(attempt, PictureFailed)
    assert (attempt.failure.code, attempt.failure.billing) == ("file_missing", Billing.NONE)
    assert (await room.row()).state is LedgerState.INTENT
    assert room.provider.orders == []


async def test_photos_that_cannot_be_read_yet_only_delay_the_order() -> None:
    """The barrier is before the POST, also for files."""

    class SlowShelf(FakeSynchronousProvider):
        away = 2

        async def prepare(self, order: PictureOrder) -> PictureOrder:
            if self.away:
                self.away -= 1
                raise FilesUnavailable("the shelf is locked; ask again")
            return order

    room = await a_room(SlowShelf())

    assert isinstance(await room.attempt(), PictureDone)
    assert len(room.provider.orders) == 1
