"""Flush a job's log to the store, in order, beside the story and without blocking it."""

import asyncio

from temporalio import workflow

from activities.record import RecordActivities
from darkroom.domain.journal import JobJournal
from workflows.durably import durably


class Recorder:
    """One flush at a time. Its task is not the story's, so a cancel does not reach it."""

    def __init__(self, journal: JobJournal) -> None:
        self._journal = journal
        self._flushing = asyncio.create_task(self._flush_for_ever())

    async def drained(self) -> None:
        """Wait until the store has everything, then stop."""
        await workflow.wait_condition(lambda: self._journal.is_flushed)
        self._flushing.cancel()

    async def _flush_for_ever(self) -> None:
        while True:
            await workflow.wait_condition(lambda: not self._journal.is_flushed)
            batch = self._journal.batch()
            recorded = await durably(RecordActivities.record, batch)
            self._journal.acknowledge(batch, recorded)
