"""A word to the slot pool's workflow, which is made when it is not there."""

import asyncio
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from darkroom.domain.admission import SlotRelease, SlotRequest
from darkroom.domain.names import (
    REFRESH_SIGNAL,
    RELEASE_SLOT_SIGNAL,
    REQUEST_SLOT_SIGNAL,
    SLOT_POOL,
    SLOT_POOL_ID,
    TASK_QUEUE,
)
from darkroom.domain.slot_book import PoolStart

log = structlog.get_logger()

GUARD_SECONDS = 5.0


class TemporalQueueSignals:
    """The port `QueueSignals`, over Temporal.

    Args:
        client: connected to where the jobs run.
        task_timeout: of the pool's workflow, as of all others.
        task_queue: where it is served.
    """

    def __init__(
        self, client: Client, *, task_timeout: timedelta, task_queue: str = TASK_QUEUE
    ) -> None:
        self._client = client
        self._task_timeout = task_timeout
        self._task_queue = task_queue

    async def request(self, request: SlotRequest) -> None:
        """Ask for a slot.

        Raises:
            RPCError: Temporal did not take it.
        """
        await self._say(REQUEST_SLOT_SIGNAL, request)

    async def release(self, release: SlotRelease) -> None:
        """Give a slot back, or leave the line.

        Raises:
            RPCError: Temporal did not take it.
        """
        await self._say(RELEASE_SLOT_SIGNAL, release)

    async def guard(self) -> None:
        """Keep a pool there for ever, whoever ends it; runs beside a worker.

        The first word has a pool that is there read its terms anew: this worker may have been
        started with other settings than the one before it.
        """
        word: str | None = REFRESH_SIGNAL
        while True:
            try:
                await self._say(word)
            except RPCError as error:
                log.warning("slot_pool_unreachable", error=str(error))
            else:
                word = None
            await asyncio.sleep(GUARD_SECONDS)

    async def _say(self, signal: str | None, *words: Any) -> None:
        await self._client.start_workflow(
            SLOT_POOL,
            PoolStart(),
            id=SLOT_POOL_ID,
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=self._task_timeout,
            start_signal=signal,
            start_signal_args=words,
            static_summary="who gets a slot",
        )
