"""A call waits a moment when its provider is busy, and an outage costs its job nothing."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from darkroom.domain.breakers import BreakerPlan, GateKey, GateState
from darkroom.domain.errors import (
    ContentRefused,
    CreditsExhausted,
    Disposition,
    Failure,
    FenceLost,
    StoreUnavailable,
)
from darkroom.domain.ledger import LedgerRow, LedgerState
from darkroom.domain.permits import (
    HOUR,
    PROVIDER_BUSY,
    PROVIDER_PARKED,
    CallLimits,
    CallTerms,
    Held,
)
from tests.support.builders import NOW, a_call, a_failure, a_job_id, an_opening
from tests.support.fake_gates import FakeGateSignals
from tests.support.fakes import MemoryCallLedger, MemoryState
from tests.support.passages import a_board, a_passage
from tests.support.waiting import eventually

KEY = GateKey(provider="nanobanana", model="nano-banana-2")
PLAN = BreakerPlan(failures=2, cooldown=timedelta(seconds=10))
OUTAGE = a_failure(retry_after=None)


class SlowLedger(MemoryCallLedger):
    """Answers a call when the test lets it, and may lose the answer."""

    def __init__(self, state: MemoryState, *, loses_answers: int = 0) -> None:
        super().__init__(state)
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._loses_answers = loses_answers

    async def call(self, row: LedgerRow, terms: CallTerms) -> LedgerRow | Held:
        self.asked.set()
        await self.may_answer.wait()
        answer = await super().call(row, terms)
        if self._loses_answers:
            self._loses_answers -= 1
            raise StoreUnavailable("the connection was cut after the commit")
        return answer


class Door:
    """One process's passage over a store in memory."""

    def __init__(self, limits: CallLimits | None = None, *, loses_answers: int = 0) -> None:
        self.state = MemoryState()
        self.ledger = SlowLedger(self.state, loses_answers=loses_answers)
        self.ledger.may_answer.set()
        self.board = a_board(self.state)
        self.signals = FakeGateSignals()
        self.passage = a_passage(
            self.state, ledger=self.ledger, signals=self.signals, plan=PLAN, limits=limits
        )

    async def opened(self, number: int = 1, *, job: int = 1) -> LedgerRow:
        """Open a purchase that nobody has sent."""
        key = a_call(job=a_job_id(job), item=f"{number:04}")
        return await self.ledger.open(an_opening(key=key))

    async def called(self, number: int = 1) -> LedgerRow:
        """Make a call that must get through."""
        answer = await self.passage.call(await self.opened(number))
        assert isinstance(answer, LedgerRow)
        return answer

    def row(self, row: LedgerRow) -> LedgerRow:
        """Read a purchase."""
        return self.state.purchases[row.key]

    @property
    def waiting(self) -> int:
        """Count who stands in line."""
        return len(self.state.doorway.line)


async def test_a_free_call_passes_at_once() -> None:
    """What comes back is `calling`, and is to be sent."""
    door = Door()
    row = await door.opened()

    called = await door.passage.call(row)

    assert isinstance(called, LedgerRow)
    assert called.state is LedgerState.CALLING
    assert door.row(row) == called


async def test_a_busy_provider_is_waited_for() -> None:
    """The call goes on as soon as a place is free, without going back to its job."""
    door = Door(CallLimits(concurrency=1))
    first = await door.called(1)
    second = asyncio.create_task(door.passage.call(await door.opened(2)))
    await eventually(lambda: door.waiting)

    await door.ledger.adopt(first.key, "task-1")
    door.passage.freed("nanobanana")

    answer = await second
    assert isinstance(answer, LedgerRow)
    assert answer.state is LedgerState.CALLING


async def test_a_freed_place_goes_to_the_older_job() -> None:
    """Whoever waits here for an older job is called first."""
    door = Door(CallLimits(concurrency=1, patience=timedelta(seconds=30)))
    first = await door.called(1)
    younger = asyncio.create_task(
        door.passage.call(await door.opened(2, job=1), admitted_at=NOW + timedelta(seconds=1))
    )
    await eventually(lambda: door.waiting == 1)
    older = asyncio.create_task(door.passage.call(await door.opened(2, job=2), admitted_at=NOW))
    await eventually(lambda: door.waiting == 2)

    await door.ledger.adopt(first.key, "task-1")
    door.passage.freed("nanobanana")

    assert isinstance(await older, LedgerRow)
    assert not younger.done()
    younger.cancel()


async def test_a_provider_that_stays_busy_is_left_to_the_job() -> None:
    """After a short while the job is told to come back; the call keeps its place in line."""
    door = Door(CallLimits(concurrency=1, patience=timedelta(milliseconds=60)))
    await door.called(1)

    answer = await door.passage.call(await door.opened(2))

    assert isinstance(answer, Failure)
    assert (answer.code, answer.disposition) == (PROVIDER_BUSY, Disposition.WAIT)
    assert answer.retry_after
    assert door.waiting == 1


async def test_a_long_wait_is_left_to_the_job_at_once() -> None:
    """A rate that is used up for the hour is nothing to hold a worker's place for."""
    door = Door(CallLimits(per_hour=1))
    await door.called(1)

    answer = await door.passage.call(await door.opened(2))

    assert isinstance(answer, Failure)
    assert answer.retry_after
    assert HOUR - timedelta(minutes=1) < answer.retry_after <= HOUR


async def test_a_cancel_ends_the_wait_and_leaves_the_line() -> None:
    """Nothing was sent, so there is nothing to wait for."""
    door = Door(CallLimits(concurrency=1, patience=timedelta(minutes=1)))
    await door.called(1)
    row = await door.opened(2)
    waiting = asyncio.create_task(door.passage.call(row))
    await eventually(lambda: door.waiting)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert door.waiting == 0
    assert door.row(row) == row


async def test_a_cancel_in_the_middle_of_the_transaction_takes_the_call_back() -> None:
    """A purchase is never left in `calling` by somebody who will not send it."""
    door = Door()
    door.ledger.may_answer.clear()
    row = await door.opened()
    calling = asyncio.create_task(door.passage.call(row))
    await door.ledger.asked.wait()

    calling.cancel()
    door.ledger.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert door.row(row).state is LedgerState.INTENT


async def test_a_lost_answer_of_the_store_is_found_again() -> None:
    """The call was made under our fence at our moment, so it is ours to send."""
    door = Door(loses_answers=1)
    row = await door.opened()

    called = await ActivityEnvironment().run(door.passage.call, row)

    assert isinstance(called, LedgerRow)
    assert called.state is LedgerState.CALLING
    assert door.row(row) == called


async def test_an_overtaken_attempt_is_told_so() -> None:
    """Another one has the purchase."""
    door = Door()
    row = await door.opened()
    await door.opened()

    with pytest.raises(FenceLost):
        await door.passage.call(row)


async def test_an_outage_parks_the_job_instead_of_spending_its_attempts() -> None:
    """Failures before the gate opens are ordinary; from then on they are waits."""
    door = Door()

    first = await door.passage.failed(KEY, "a", OUTAGE)
    second = await door.passage.failed(KEY, "b", OUTAGE)
    third = await door.passage.failed(KEY, "c", OUTAGE)

    assert first == OUTAGE
    assert (second.code, second.disposition) == (PROVIDER_PARKED, Disposition.WAIT)
    assert (second.provider, second.model) == (KEY.provider, KEY.model)
    assert second.retry_after is not None
    assert OUTAGE.message in second.message
    assert third.code == PROVIDER_PARKED
    assert door.signals.watched == [KEY]


async def test_an_empty_account_parks_the_job_until_somebody_acts() -> None:
    """No moment is promised."""
    door = Door()
    broke = replace(OUTAGE, code=CreditsExhausted.code, disposition=Disposition.WAIT)

    told = await door.passage.failed(KEY, "a", broke)

    assert (told.code, told.retry_after) == (PROVIDER_PARKED, None)


async def test_a_refusal_stays_a_refusal() -> None:
    """A provider that is there answers for itself, also while others wait for an operator."""
    door = Door()
    refused = replace(OUTAGE, code=ContentRefused.code, disposition=Disposition.FATAL)
    await door.passage.failed(KEY, "a", OUTAGE)

    assert await door.passage.failed(KEY, "b", refused) == refused
    assert (await door.board.gate(KEY)).is_quiet


async def test_calls_before_an_open_gate_are_parked_at_once() -> None:
    """Purchases and prompts alike; nobody waits in a worker for an outage to end."""
    door = Door()
    for call in ("a", "b"):
        await door.passage.failed(KEY, call, OUTAGE)

    purchase = await door.passage.call(await door.opened())
    prompt = await door.passage.ask(KEY, "a prompt")

    assert isinstance(purchase, Failure)
    assert purchase.code == PROVIDER_PARKED
    assert prompt is not None
    assert prompt.code == PROVIDER_PARKED


async def test_a_prompt_that_succeeds_closes_the_gate() -> None:
    """The canary of a language model has no row in any ledger."""
    door = Door()
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    for call in ("a", "b"):
        await door.passage.failed(KEY, call, OUTAGE)
    gate = await door.board.gate(KEY)
    door.state.doorway.gates[KEY] = replace(gate, until=long_ago)

    assert await door.passage.ask(KEY, "canary") is None
    assert (await door.board.gate(KEY)).state is GateState.HALF_OPEN
    await door.passage.succeeded(KEY, "canary")

    assert (await door.board.gate(KEY)).is_quiet
