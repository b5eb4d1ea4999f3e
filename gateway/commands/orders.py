"""What an open job is told. Its workflow checks every order; a refused one changes nothing.

All but the plain cancel are updates, which a worker must answer. Temporal itself keeps a
cancel, so that one needs nobody.
"""

from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain import names
from darkroom.domain.attempts import CalledBack
from darkroom.domain.control import (
    CancelOrder,
    Controlled,
    DecideOrder,
    PauseOrder,
    PriorityOrder,
    ResumeOrder,
)
from darkroom.domain.job import JobId
from gateway.commands.hearing import HEARD_WITHIN, heard


class JobOrders:
    """Speaks to open jobs. Every method raises NotOpen, OrderUnheard, OrderRefused or RPCError."""

    def __init__(self, client: Client, *, within: timedelta = HEARD_WITHIN) -> None:
        self._client = client
        self._within = within

    async def pause(self, job_id: JobId, order: PauseOrder) -> Controlled:
        """Have a job buy nothing more until it is resumed."""
        return await self._told(job_id, names.PAUSE, order)

    async def resume(self, job_id: JobId, order: ResumeOrder) -> Controlled:
        """Have a paused job go on."""
        return await self._told(job_id, names.RESUME, order)

    async def cancel(self, job_id: JobId, order: CancelOrder) -> Controlled:
        """Have a job stop as the order's mode says."""
        return await self._told(job_id, names.CANCEL, order)

    async def set_priority(self, job_id: JobId, order: PriorityOrder) -> Controlled:
        """Move a job up or down in the queue."""
        return await self._told(job_id, names.SET_PRIORITY, order)

    async def decide(self, job_id: JobId, order: DecideOrder) -> Controlled:
        """Settle purchases of which nobody knows whether they were made."""
        return await self._told(job_id, names.DECIDE, order)

    async def cancel_now(self, job_id: JobId, *, by: str) -> None:
        """Ask a job to stop at once, as `temporal workflow cancel` does; needs no worker."""
        handle = self._client.get_workflow_handle(job_id)
        asking = handle.cancel(reason=f"asked for by {by}", rpc_timeout=self._within)
        await heard(asking, who=job_id, within=self._within)

    async def called_back(self, job_id: JobId, told: CalledBack) -> None:
        """Tell a job that a purchase of unknown outcome was made; harmless when it is over.

        Raises:
            RPCError: Temporal did not take it.
        """
        handle = self._client.get_workflow_handle(job_id)
        try:
            await handle.signal(names.CALLED_BACK_SIGNAL, told, rpc_timeout=self._within)
        except RPCError as refused:
            if refused.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def _told(self, job_id: JobId, name: str, order: Any) -> Controlled:
        handle = self._client.get_workflow_handle(job_id)
        telling = handle.execute_update(  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's overloads has an open type
            name, order, result_type=Controlled, rpc_timeout=self._within
        )
        return await heard(telling, who=job_id, within=self._within)
