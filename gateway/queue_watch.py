"""How long the line is, from what the pool said a moment ago; asked by every submit.

One question a second, however many submits; while it is under way the answer before it is used.
A pool that does not answer is no reason to refuse a job: it asks for its slot itself.
"""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from darkroom.domain.admission import Place, QueueView
from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.job import JobId
from darkroom.domain.lifecycle import WaitingOn

FRESH = timedelta(seconds=1)
USABLE = timedelta(seconds=3)


class Queue(Protocol):
    """The pool, which may not answer."""

    async def view(self) -> QueueView | None:
        """Read the queue; None if nobody answers in time."""
        ...

    async def place(self, job_id: JobId) -> Place | None:
        """Read a waiting job's place; None if it does not wait, or nobody answers in time."""
        ...


class QueueWatch:
    """The last view of the queue, and what came in here since."""

    def __init__(self, queue: Queue, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._clock = clock
        self._view: QueueView | None = None
        self._seen_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._came_in = 0  # ever
        self._counted = 0  # of them, before the view was asked for

    async def view(self) -> QueueView | None:
        """Read the queue, at most some seconds late; None while the pool does not answer."""
        age = self._clock() - self._seen_at
        if age > FRESH.total_seconds() and self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        if age > USABLE.total_seconds() and self._asking is not None:
            await asyncio.shield(self._asking)
        return self._view

    def pending_count(self, view: QueueView) -> int:
        """Count the jobs that wait, with those that came in here and are not in line yet."""
        return view.waiting_count + self._came_in - self._counted

    @contextmanager
    def taking_in(self) -> Generator[None]:
        """Count a job from the moment in which the door opens for it, unless it fails."""
        self._came_in += 1
        try:
            yield
        except BaseException:
            self._came_in -= 1
            raise

    def forget(self) -> None:
        """Ask anew the next time: an order has just changed the queue."""
        self._seen_at = float("-inf")

    async def place_of(self, record: JobRecord) -> Place | None:
        """Find a job's place in line, if it waits for a slot and the pool answers."""
        if not is_in_line(record):
            return None
        view = await self.view()
        if view is None:
            return None
        listed = (one.place for one in view.waiting if one.job_id == record.start.job_id)
        return next(listed, None) or await self._queue.place(record.start.job_id)

    async def places_of(self, records: tuple[JobRecord, ...]) -> dict[JobId, Place]:
        """Find the places of those that stand near the front; asks nobody for each."""
        if not any(is_in_line(record) for record in records):
            return {}
        view = await self.view()
        waiting = {record.start.job_id for record in records if is_in_line(record)}
        listed = view.waiting if view else ()
        return {one.job_id: one.place for one in listed if one.job_id in waiting}

    async def _ask(self) -> None:
        counted = self._came_in
        try:
            self._view = await self._queue.view()
        finally:
            self._counted, self._seen_at, self._asking = counted, self._clock(), None


def is_in_line(record: JobRecord) -> bool:
    """Say whether a job waits for a slot."""
    waiting = record.snapshot.waiting
    return waiting is not None and waiting.on is WaitingOn.SLOT
