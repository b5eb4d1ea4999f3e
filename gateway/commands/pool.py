"""What the gateway asks the slot pool, and what operators tell it."""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import QueryRejectCondition
from temporalio.service import RPCError

from darkroom.domain import names
from darkroom.domain.admission import (
    Place,
    PlaceQuestion,
    QueueChange,
    QueueQuestion,
    QueueTerms,
    QueueView,
)
from darkroom.domain.job import JobId
from gateway.commands.hearing import HEARD_WITHIN, heard
from gateway.commands.jobs import ANSWER_WITHIN

Answer = TypeVar("Answer")


class QueueCommands:
    """Speaks to the pool that gives slots to jobs."""

    def __init__(self, client: Client, *, within: timedelta = HEARD_WITHIN) -> None:
        self._client = client
        self._within = within

    async def view(self) -> QueueView | None:
        """Read the queue; None if nobody answers in time."""
        return await self._asked(names.QUEUE, QueueQuestion(), QueueView)

    async def place(self, job_id: JobId) -> Place | None:
        """Read a waiting job's place; None if it does not wait, or nobody answers in time."""
        return await self._asked(names.PLACE, PlaceQuestion(job_id=job_id), Place)

    async def change(self, change: QueueChange) -> QueueTerms:
        """Change how many may work, or whether anybody may begin; audited by the pool.

        Raises:
            OrderUnheard, OrderRefused, NotOpen: as they say.
            RPCError: Temporal does not answer.
        """
        handle = self._client.get_workflow_handle(names.SLOT_POOL_ID)
        telling = handle.execute_update(  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's overloads has an open type
            names.CHANGE_QUEUE, change, result_type=QueueTerms, rpc_timeout=self._within
        )
        return await heard(telling, who=names.SLOT_POOL_ID, within=self._within)

    async def _asked(self, name: str, question: Any, answer: type[Answer]) -> Answer | None:
        handle = self._client.get_workflow_handle(names.SLOT_POOL_ID)
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                return await handle.query(  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's overloads has an open type
                    name,
                    question,
                    result_type=answer,
                    reject_condition=QueryRejectCondition.NOT_OPEN,
                    rpc_timeout=ANSWER_WITHIN,
                )
        except (TimeoutError, RPCError, WorkflowQueryRejectedError, WorkflowQueryFailedError):
            return None
