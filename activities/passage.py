"""What a paid call asks before it is made, and tells afterwards.

A call that is held back for a moment waits here; one that is held back for longer answers the
job, which then waits without a worker. Nothing was sent, so a cancel ends the wait at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import TypeVar

import structlog

from activities.patience import until_answered
from activities.turns import Turns
from darkroom.domain.breakers import (
    BreakerPlan,
    FailedCall,
    GateKey,
    GateState,
    Verdict,
    held_by,
    verdict,
)
from darkroom.domain.errors import Failure, FenceLost, StoreUnavailable
from darkroom.domain.ledger import CallKey, LedgerRow
from darkroom.domain.permits import (
    PROVIDER_BUSY,
    UNLIMITED,
    CallLimits,
    CallTerms,
    Held,
    held_failure,
)
from darkroom.domain.ports import CallLedger, GateBoard, GateSignals

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
PAUSE_FACTOR = 1.5
LEAVE_SECONDS = 2.0
EARLIEST = datetime.min.replace(tzinfo=UTC)

Answer = TypeVar("Answer")

log = structlog.get_logger()


class Passage:
    """One for a worker process: it also knows which of its calls wait for the same provider."""

    def __init__(
        self,
        *,
        ledger: CallLedger,
        board: GateBoard,
        signals: GateSignals,
        plan: BreakerPlan,
        limits: Mapping[str, CallLimits],
        chance: Random,
    ) -> None:
        self._ledger = ledger
        self._board = board
        self._signals = signals
        self._plan = plan
        self._limits = limits  # by provider; one that is not named has none
        self._chance = chance
        self._turns = Turns()

    async def call(
        self, row: LedgerRow, *, admitted_at: datetime | None = None
    ) -> LedgerRow | Failure:
        """Move a purchase to `calling`, or say why it must not be sent now.

        Returns:
            The row: `calling` is to be sent at once; in any other state a callback was quicker.

        Raises:
            FenceLost: a later attempt has taken over.
        """

        async def attempt() -> LedgerRow | Held:
            terms = self._terms(row.provider, admitted_at)
            return await until_answered(lambda: self._call_unbroken(row, terms))

        place = (admitted_at or datetime.now(UTC), str(row.key))
        try:
            answer = await self._patiently(row.provider, place, attempt)
        except asyncio.CancelledError:
            await self._step_aside(row.key)
            raise
        return answer if isinstance(answer, LedgerRow) else _told(answer, row.gate)

    async def ask(self, key: GateKey, call: str) -> Failure | None:
        """Let a call through that has no row in the ledger, or say why it must not be made."""

        async def attempt() -> Held | None:
            terms = self._terms(key.provider, None)
            return await until_answered(lambda: self._board.ask(key, call, terms))

        place = (datetime.now(UTC), call)
        held = await self._patiently(key.provider, place, attempt)
        return held and _told(held, key)

    async def succeeded(self, key: GateKey, call: str) -> None:
        """Tell that such a call was answered."""
        await until_answered(lambda: self._board.succeeded(key, call))

    async def failed(self, key: GateKey, call: str, failure: Failure) -> Failure:
        """Tell that a call failed, and hear what the job is to be told.

        Returns:
            The failure itself, or that the provider is parked: an outage spends no attempts.
        """
        told = FailedCall(
            key=key,
            call=call,
            failure=failure,
            at=datetime.now(UTC),
            chance=self._chance.random(),
        )
        gate = await until_answered(lambda: self._board.failed(told, self._plan))
        if gate.state is GateState.CLOSED:
            return failure
        if gate.opened_at == told.at:
            log.warning("calls_held_back", gate=str(key), call=call, error=failure.message)
            await self._signals.watch(key)
        if verdict(failure, self._plan) in {Verdict.AWAY, Verdict.NEEDS_OPERATOR}:
            return _told(held_by(gate), key)
        return failure

    def freed(self, provider: str) -> None:
        """Tell that a call of this process is not in flight any more."""
        self._turns.call(provider)

    def _terms(self, provider: str, admitted_at: datetime | None) -> CallTerms:
        limits = self._limits.get(provider, UNLIMITED)
        return CallTerms(limits=limits, called_at=datetime.now(UTC), admitted_at=admitted_at)

    async def _patiently(
        self,
        provider: str,
        place: tuple[datetime, str],
        attempt: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """Ask again for as long as the provider is busy and it is not for long."""
        give_up_at = datetime.now(UTC) + self._limits.get(provider, UNLIMITED).patience
        pause = FIRST_PAUSE_SECONDS
        with self._turns.waiting(provider, place) as turn:
            while True:
                answer = await attempt()
                if not isinstance(answer, Held) or answer.code != PROVIDER_BUSY:
                    return answer
                if max(datetime.now(UTC), answer.until or EARLIEST) >= give_up_at:
                    return answer
                await turn.within(pause)
                pause = min(pause * PAUSE_FACTOR, LONGEST_PAUSE_SECONDS)

    async def _call_unbroken(self, row: LedgerRow, terms: CallTerms) -> LedgerRow | Held:
        """Ask the ledger once; a cancel waits for its answer, and takes back what it did."""
        asking = asyncio.ensure_future(self._call_once(row, terms))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            await asyncio.wait({asking})
            if _may_have_called(asking):
                await until_answered(lambda: self._ledger.withdraw(row.key, terms.called_at))
            raise

    async def _call_once(self, row: LedgerRow, terms: CallTerms) -> LedgerRow | Held:
        try:
            return await self._ledger.call(row, terms)
        except FenceLost:
            # A callback needs no fence, and an answer that was lost may have been kept.
            (current,) = await self._ledger.rows([row.key])
            if current.fence != row.fence:
                raise
            return current

    async def _step_aside(self, key: CallKey) -> None:
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._ledger.step_aside(key)
        except (StoreUnavailable, TimeoutError):
            log.warning("line_not_left", call=str(key))  # it is forgotten within seconds


def _may_have_called(asked: asyncio.Future[LedgerRow | Held]) -> bool:
    if error := asked.exception():
        return isinstance(error, StoreUnavailable)
    return isinstance(asked.result(), LedgerRow)


def _told(held: Held, key: GateKey) -> Failure:
    return held_failure(held, provider=key.provider, model=key.model, now=datetime.now(UTC))
