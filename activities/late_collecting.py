"""Take in what was paid for and never fetched. Asks once, waits for nothing, never buys."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from activities.keeping import PictureKeeper
from darkroom.domain.errors import (
    Billing,
    Disposition,
    Failure,
    FenceLost,
    PictureUnusable,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    ReplyLost,
    ResultGone,
    ResultUnusable,
    failure_of,
)
from darkroom.domain.ledger import (
    AwaitAdoption,
    Collect,
    Download,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    Settle,
    TakeOpening,
    next_step,
)
from darkroom.domain.ports import CallLedger, ImageProvider, Inventory

# Asking again would change nothing: what was paid for will never be ours.
HOPELESS = frozenset({ResultGone.code, ResultUnusable.code})


@dataclass(frozen=True, slots=True, kw_only=True)
class LateCollecting:
    """Idempotent by (job, item, take): takes a fence, as an attempt of the job would."""

    ledger: CallLedger
    inventory: Inventory
    providers: Mapping[str, ImageProvider]
    keeper: PictureKeeper

    async def collect(self, found: LedgerRow) -> str:
        """Bring one purchase as far as it will go now; answers what was reached, if anything."""
        row = await self.ledger.open(_opening(found))
        before = row.state
        try:
            while after := await self._step(row, self.providers[row.provider]):
                row = after
        except FenceLost:
            return ""  # somebody of the job itself has it
        except ProviderError as error:
            return await self._given_up(row, failure_of(error))
        except PictureUnusable as error:
            unusable = ResultUnusable(f"picture {row.key}: {error}", provider=row.provider)
            return await self._given_up(row, failure_of(unusable))
        return f"{before} -> {row.state}" if row.state is not before else ""

    async def _step(self, row: LedgerRow, provider: ImageProvider) -> LedgerRow | None:
        """Make one transition, or none when there is nothing to be had now."""
        match next_step(row, grace=provider.grace):
            case AwaitAdoption(until=until):
                return await self._give_up_waiting(row) if datetime.now(UTC) > until else None
            case Collect(task_id=task_id):
                return await self._ask(row, provider, task_id)
            case Download(url=url):
                picture = await self.keeper.keep(await self._fetch(row, provider, url))
                return await self._move(row, LedgerState.STORED, LedgerChanges(picture=picture))
            case Settle():
                return await self._move(row, LedgerState.SETTLED, LedgerChanges())
            case _:
                return None

    async def _give_up_waiting(self, row: LedgerRow) -> LedgerRow:
        lost = ReplyLost(
            f"picture {row.key}: its job ended before anybody told what became of the call; "
            "it may have been charged",
            provider=row.provider,
        )
        changes = LedgerChanges(failure=failure_of(lost))
        return await self._move(row, LedgerState.UNKNOWN, changes)

    async def _ask(self, row: LedgerRow, provider: ImageProvider, task_id: str) -> LedgerRow | None:
        try:
            ready = await provider.collect(task_id)
        except (ProviderUnavailable, RateLimited):
            raise  # these say nothing of the task
        except ProviderError as error:
            failure = failure_of(error)
            if failure.billing is not Billing.NONE or failure.disposition is Disposition.WAIT:
                raise
            return await self._move(row, LedgerState.REFUSED, LedgerChanges(failure=failure))
        if ready is None:
            return None
        return await self._move(row, LedgerState.READY, LedgerChanges(result_url=ready.url))

    async def _fetch(self, row: LedgerRow, provider: ImageProvider, url: str) -> bytes:
        """Download; an expired address is asked for once more."""
        try:
            return await provider.download(url)
        except ResultGone:
            ready = await provider.collect(row.task_id or "")
            if ready is None or ready.url == url:
                raise
            return await provider.download(ready.url)

    async def _given_up(self, row: LedgerRow, failure: Failure) -> str:
        """Write down that a picture will never be had, so that nobody asks for it again."""
        if failure.code not in HOPELESS:
            return ""  # the provider is away, or asks to wait: the next round asks again
        noted = await self.inventory.note(row, failure)
        return f"given up: {failure.message}" if noted else ""

    async def _move(self, row: LedgerRow, to: LedgerState, changes: LedgerChanges) -> LedgerRow:
        return await self.ledger.move(row, to, changes)


def _opening(row: LedgerRow) -> TakeOpening:
    return TakeOpening(
        key=row.key,
        owner=row.owner,
        provider=row.provider,
        model=row.model,
        price_micros=row.price_micros,
    )
