"""Close the books of a job: are its pictures where they belong, and what did it cost?"""

from temporalio import activity

from darkroom.domain.attempts import Finished, FinishOrder
from darkroom.domain.ledger import MAYBE_PAID, bill
from darkroom.domain.ports import CallLedger, FileStore, PromptCache, Reservations


class FinishActivities:
    """Idempotent by job: it reads, and frees again what is free already."""

    def __init__(
        self,
        *,
        ledger: CallLedger,
        cache: PromptCache,
        files: FileStore,
        reservations: Reservations,
    ) -> None:
        self._ledger = ledger
        self._cache = cache
        self._files = files
        self._reservations = reservations

    @activity.defn
    async def finish(self, order: FinishOrder) -> Finished:
        """Add up the ledger and look for every stored picture.

        A job that is cancelled before anything was paid leaves its combinations to others.

        Raises:
            StoreUnavailable, FilesUnavailable: Temporal tries again.
        """
        rows = await self._ledger.of_job(order.job_id)
        prompts_micros = await self._cache.spent_micros(order.job_id)
        if order.is_cancelled and not any(row.state in MAYBE_PAID for row in rows):
            await self._reservations.release(order.job_id)
        missing = [sha for sha in order.pictures if not await self._files.has(sha)]
        cost = bill(rows, prompts_micros=prompts_micros, estimated_micros=order.estimated_micros)
        return Finished(cost=cost, missing=tuple(missing))
