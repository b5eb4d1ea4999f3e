"""Act on a job's own run through Temporal, where a workflow cannot do it by itself."""

from temporalio import activity

from darkroom.domain.attempts import StopOrder
from darkroom.domain.ports import JobSignals


class ControlActivities:
    """Idempotent: a run that is being cancelled, or over, stays so."""

    def __init__(self, signals: JobSignals) -> None:
        self._signals = signals

    @activity.defn
    async def stop(self, order: StopOrder) -> None:
        """Ask Temporal to cancel one run."""
        await self._signals.cancel(order.workflow_id, order.run_id)
