"""Flush a job's log to the store, in order, beside the story and without blocking it."""

import asyncio

from temporalio import workflow

from activities.record import RecordActivities
from darkroom.domain.journal import JobJournal
from workflows.durably import durably


def in_words(journal: JobJournal) -> str:
    """Say in Markdown what `temporal workflow describe` and the Web UI show of a job."""
    snapshot = journal.snapshot
    progress = snapshot.progress
    line = f"**{snapshot.state}**, {progress.stage}: {progress.percent} %, {progress.message}"
    return f"{line}\n\nwaiting: {snapshot.waiting.why}" if snapshot.waiting else line


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
            workflow.set_current_details(in_words(self._journal))
            batch = self._journal.batch()
            recorded = await durably(RecordActivities.record, batch)
            self._journal.acknowledge(batch, recorded)
