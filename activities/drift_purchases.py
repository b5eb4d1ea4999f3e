"""Purchases that nobody works on any more: paid for and never fetched, or never made out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from activities.late_collecting import HOPELESS, LateCollecting
from activities.rounds import PAGE, Tally
from darkroom.domain.ledger import LedgerRow, LedgerState
from darkroom.domain.ports import CallPlace, Inventory, JobStore, JobTruth

LEFT_STATES = (
    LedgerState.CALLING,
    LedgerState.ACCEPTED,
    LedgerState.READY,
    LedgerState.STORED,
)
# An attempt of a job that ended just now may still be calling.
LEFT_PATIENCE = timedelta(minutes=2)
UNKNOWN_PATIENCE = timedelta(hours=1)
MICROS = 1_000_000


async def purchases_in(
    inventory: Inventory, state: LedgerState, *, called_before: datetime
) -> AsyncIterator[LedgerRow]:
    """Walk through all purchases of a state, oldest call first."""
    place = None
    while page := await inventory.purchases_in(
        state, called_before=called_before, after=place, limit=PAGE
    ):
        for row in page:
            yield row
        if not page[-1].called_at:
            return
        place = CallPlace(called_at=page[-1].called_at, key=page[-1].key)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnattachedPurchases:
    """Paid for, and its job ended without it. Kept, so that a retry attaches it at no cost."""

    inventory: Inventory
    jobs: JobStore
    truth: JobTruth
    collecting: LateCollecting
    patience: timedelta = LEFT_PATIENCE

    async def go(self, tally: Tally) -> None:
        """Look at every purchase that has not come to its end; abandoned ones are booked."""
        before = datetime.now(UTC) - self.patience
        for state in LEFT_STATES:
            async for row in purchases_in(self.inventory, state, called_before=before):
                tally.look()
                is_hopeless = row.failure is not None and row.failure.code in HOPELESS
                if is_hopeless or not await self._is_left(row):
                    continue
                why = f"{row.provider} {row.state}, {_usd(row)}, and its job is over"
                await tally.note(str(row.key), why, partial(self.collecting.collect, row))

    async def _is_left(self, row: LedgerRow) -> bool:
        """Say whether no run will ask for this purchase: its job is over, here and there."""
        record = await self.jobs.job(row.key.job)
        if record and not record.snapshot.state.is_terminal:
            return False
        run = await self.truth.run_of(row.key.job)
        return run is None or not run.is_running


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownPurchases:
    """Nobody can tell whether it was made. Only reported: the decision is an operator's."""

    inventory: Inventory
    patience: timedelta = UNKNOWN_PATIENCE

    async def go(self, tally: Tally) -> None:
        """List what has been unknown for long."""
        before = datetime.now(UTC) - self.patience
        state = LedgerState.UNKNOWN
        async for row in purchases_in(self.inventory, state, called_before=before):
            tally.look()
            since = f"{row.called_at:%Y-%m-%d %H:%M} UTC" if row.called_at else "long ago"
            why = f"unknown since {since}, {_usd(row)}: look it up at {row.provider}, then decide"
            await tally.note(str(row.key), why)


def _usd(row: LedgerRow) -> str:
    return f"{row.price_micros / MICROS:.4f} USD"
