"""Write the log: events, the items they report, and the job's state, in one transaction."""

from temporalio import activity

from darkroom.domain.checkpoint import RecordBatch, Recorded
from darkroom.domain.ports import Outbox


class RecordActivities:
    """Idempotent by (job, seq): a repeated batch is a no-op."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @activity.defn
    async def record(self, batch: RecordBatch) -> Recorded:
        """Append a batch, or answer the head when other events stand there.

        Raises:
            StoreUnavailable: Temporal tries again.
        """
        return await self._outbox.append(batch)
