"""Every gate board keeps these promises, together with the ledger that asks it."""

import asyncio
from datetime import timedelta

import pytest

from darkroom.domain.audit import AuditEntry
from darkroom.domain.breakers import (
    OPENED_BY_HAND,
    BreakerPlan,
    FailedCall,
    Gate,
    GateKey,
    GateState,
    Hand,
    HandMove,
)
from darkroom.domain.errors import CreditsExhausted, Disposition, IllegalTransition
from darkroom.domain.ledger import NO_CHANGES, LedgerRow, LedgerState
from darkroom.domain.permits import (
    PROVIDER_BUSY,
    PROVIDER_PARKED,
    UNLIMITED,
    CallLimits,
    CallTerms,
    Held,
)
from tests.support.builders import NOW, a_call, a_failure, an_opening
from tests.support.databases import Stores

pytest_plugins = ["tests.support.databases"]

KEY = GateKey(provider="nanobanana", model="nano-banana-2")
OTHER = GateKey(provider="nanobanana", model="nano-banana-pro")
PLAN = BreakerPlan(failures=2, cooldown=timedelta(seconds=10), longest=timedelta(minutes=5))
LEASE = UNLIMITED.answered_within
TERMS = CallTerms(limits=UNLIMITED, called_at=NOW)
AFTER = NOW + timedelta(seconds=11)
LATER = CallTerms(limits=UNLIMITED, called_at=AFTER)
OUTAGE = a_failure(retry_after=None)
BROKE = a_failure(code=CreditsExhausted.code, disposition=Disposition.WAIT, retry_after=None)


def a_failed_call(call: str = "job/0001/prompt", **changes: object) -> FailedCall:
    """Fail one call to the model of these tests, by default because of an outage."""
    told = {"key": KEY, "call": call, "failure": OUTAGE, "at": NOW, **changes}
    return FailedCall(**told)  # pyright: ignore[reportArgumentType] -- a builder takes what a test changes


async def trip(stores: Stores) -> Gate:
    """Fail as often as it takes to open the gate."""
    for _ in range(PLAN.failures):
        await stores.gates.failed(a_failed_call(), PLAN)
    gate = await stores.gates.gate(KEY)
    assert gate.state is GateState.OPEN
    return gate


async def opened(stores: Stores, item: str = "0001") -> LedgerRow:
    """Open a purchase that nobody has sent."""
    return await stores.ledger.open(an_opening(key=a_call(item=item)))


async def test_a_gate_that_nothing_moved_is_closed(stores: Stores) -> None:
    """Nobody has to create a gate before the first call."""
    assert await stores.gates.gate(KEY) == Gate(key=KEY)
    assert await stores.gates.gates() == ()
    assert await stores.gates.ask(KEY, "a call", TERMS) is None


async def test_failures_in_a_row_open_a_gate(stores: Stores) -> None:
    """Everything about the opening is kept, for this model only."""
    gate = await trip(stores)

    assert await stores.gates.gate(KEY) == gate
    assert (gate.opened_at, gate.until) == (NOW, NOW + PLAN.cooldown)
    assert gate.failure == OUTAGE
    assert await stores.gates.gate(OTHER) == Gate(key=OTHER)
    assert await stores.gates.gates() == (gate,)


async def test_failures_at_once_are_all_counted(stores: Stores) -> None:
    """Two workers that fail in the same moment do not count as one."""
    plan = BreakerPlan(failures=20)

    await asyncio.gather(*(stores.gates.failed(a_failed_call(), plan) for _ in range(12)))

    assert (await stores.gates.gate(KEY)).failures == 12


async def test_a_success_forgets_failures(stores: Stores) -> None:
    """Only failures in a row count."""
    await stores.gates.failed(a_failed_call(), PLAN)

    await stores.gates.succeeded(KEY, "another call")

    assert await stores.gates.gate(KEY) == Gate(key=KEY)


async def test_an_answered_purchase_forgets_failures(stores: Stores) -> None:
    """The ledger tells the gate by itself, in the transaction that books the answer."""
    await stores.gates.failed(a_failed_call(), PLAN)
    called = await stores.ledger.call(await opened(stores), TERMS)
    assert isinstance(called, LedgerRow)

    await stores.ledger.move(called, LedgerState.ACCEPTED, NO_CHANGES)

    assert (await stores.gates.gate(KEY)).is_quiet


async def test_an_open_gate_holds_every_call_back(stores: Stores) -> None:
    """Purchases and prompts alike, and both hear until when."""
    gate = await trip(stores)
    row = await opened(stores)

    held = await stores.ledger.call(row, TERMS)

    assert isinstance(held, Held)
    assert (held.code, held.until) == (PROVIDER_PARKED, gate.until)
    assert OUTAGE.message in held.why
    assert await stores.gates.ask(KEY, "a prompt", TERMS) == held
    assert await stores.ledger.rows([row.key]) == (row,)


async def test_another_model_is_not_held_back(stores: Stores) -> None:
    """A gate is one model's."""
    await trip(stores)
    row = await stores.ledger.open(an_opening(model=OTHER.model))

    assert isinstance(await stores.ledger.call(row, TERMS), LedgerRow)


@pytest.mark.parametrize("limits", [UNLIMITED, CallLimits(concurrency=50)])
async def test_one_call_of_many_is_the_canary(stores: Stores, limits: CallLimits) -> None:
    """After the cooldown exactly one call passes, however many ask at once."""
    await trip(stores)
    rows = [await opened(stores, f"{number:04}") for number in range(1, 31)]
    terms = CallTerms(limits=limits, called_at=AFTER)

    answers = await asyncio.gather(*(stores.ledger.call(row, terms) for row in rows))

    (called,) = [answer for answer in answers if isinstance(answer, LedgerRow)]
    gate = await stores.gates.gate(KEY)
    assert (gate.state, gate.canary) == (GateState.HALF_OPEN, str(called.key))
    assert gate.lease_until == AFTER + LEASE
    assert {answer.until for answer in answers if isinstance(answer, Held)} == {gate.lease_until}


async def test_a_canary_that_is_answered_closes_the_gate(stores: Stores) -> None:
    """From then on everybody passes, and nothing is remembered of the outage."""
    await trip(stores)
    canary = await stores.ledger.call(await opened(stores), LATER)
    assert isinstance(canary, LedgerRow)

    await stores.ledger.move(canary, LedgerState.ACCEPTED, NO_CHANGES)

    assert await stores.gates.gate(KEY) == Gate(key=KEY)
    assert await stores.gates.ask(KEY, "a prompt", LATER) is None


async def test_a_prompt_can_be_the_canary(stores: Stores) -> None:
    """Language models have gates too."""
    await trip(stores)
    assert await stores.gates.ask(KEY, "a prompt", LATER) is None
    assert isinstance(await stores.gates.ask(KEY, "another", LATER), Held)

    await stores.gates.succeeded(KEY, "another")
    assert (await stores.gates.gate(KEY)).canary == "a prompt"
    await stores.gates.succeeded(KEY, "a prompt")

    assert await stores.gates.gate(KEY) == Gate(key=KEY)


async def test_a_canary_that_fails_opens_the_gate_for_longer(stores: Stores) -> None:
    """The wait doubles with each opening in a row."""
    await trip(stores)
    await stores.gates.ask(KEY, "a prompt", LATER)

    gate = await stores.gates.failed(a_failed_call("a prompt", at=AFTER), PLAN)

    assert (gate.state, gate.trips) == (GateState.OPEN, 2)
    assert gate.until == AFTER + 2 * PLAN.cooldown


async def test_the_lease_of_a_lost_canary_passes_on(stores: Stores) -> None:
    """A canary whose worker died does not keep the gate half open for ever."""
    await trip(stores)
    await stores.gates.ask(KEY, "lost", LATER)

    next_terms = CallTerms(limits=UNLIMITED, called_at=AFTER + LEASE)
    assert await stores.gates.ask(KEY, "next", next_terms) is None

    assert (await stores.gates.gate(KEY)).canary == "next"


async def test_an_empty_account_opens_the_gate_until_somebody_acts(stores: Stores) -> None:
    """One refusal is enough, and time does not heal it."""
    await stores.gates.failed(a_failed_call(failure=BROKE), PLAN)

    in_a_year = CallTerms(limits=UNLIMITED, called_at=NOW + timedelta(days=365))
    held = await stores.gates.ask(KEY, "a prompt", in_a_year)

    assert held is not None
    assert held.until is None


async def test_operators_open_and_close_gates(stores: Stores) -> None:
    """Closing by hand asks one call to find out, and says who did it."""
    hold = HandMove(key=KEY, hand=Hand.OPEN, by="ada", reason="maintenance", at=NOW)
    gate = await stores.gates.move(hold)
    assert (gate.state, gate.until, gate.by) == (GateState.OPEN, None, "ada")
    assert gate.failure is not None
    assert (gate.failure.code, "maintenance" in gate.failure.message) == (OPENED_BY_HAND, True)

    closed = await stores.gates.move(HandMove(key=KEY, hand=Hand.CLOSE, by="bob", at=AFTER))

    assert (closed.state, closed.canary, closed.by) == (GateState.HALF_OPEN, None, "bob")
    assert await stores.gates.ask(KEY, "a prompt", LATER) is None
    assert isinstance(await stores.gates.ask(KEY, "another", LATER), Held)


async def test_moves_by_hand_are_audited_once(stores: Stores) -> None:
    """The same order carried out twice, after an answer that was lost, is one deed."""
    hold = HandMove(key=KEY, hand=Hand.OPEN, by="ada", reason="maintenance", at=NOW)

    await stores.gates.move(hold)
    await stores.gates.move(hold)

    (record,) = await stores.audit.entries("gate-nanobanana-nano-banana-2", limit=10)
    assert record.entry == AuditEntry(
        at=NOW,
        actor="ada",
        action="open_gate",
        target="gate-nanobanana-nano-banana-2",
        reason="maintenance",
        detail='{"was":"closed"}',
    )


async def test_a_closed_gate_cannot_be_closed(stores: Stores) -> None:
    """A refused order changes nothing and leaves no deed behind."""
    with pytest.raises(IllegalTransition, match="closed already"):
        await stores.gates.move(HandMove(key=KEY, hand=Hand.CLOSE, by="ada", at=NOW))

    assert await stores.gates.gates() == ()
    assert await stores.audit.entries(limit=10) == ()


async def test_prompts_are_counted_where_there_are_rates(stores: Stores) -> None:
    """The sixth call of a minute that allows five hears when the first is old enough."""
    limits = CallLimits(per_minute=5, per_hour=100)
    for second in range(5):
        terms = CallTerms(limits=limits, called_at=NOW + timedelta(seconds=second))
        assert await stores.gates.ask(KEY, f"prompt {second}", terms) is None

    sixth = CallTerms(limits=limits, called_at=NOW + timedelta(seconds=30))
    held = await stores.gates.ask(KEY, "prompt 6", sixth)
    in_time = CallTerms(limits=limits, called_at=NOW + timedelta(seconds=60))

    assert held is not None
    assert (held.code, held.until) == (PROVIDER_BUSY, NOW + timedelta(seconds=60))
    assert await stores.gates.ask(KEY, "prompt 6", in_time) is None
