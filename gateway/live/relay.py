"""Doorbell -> log -> sockets. The doorbell is a hint; the log decides what is sent.

Nothing is queued here: whoever is behind is read for again from the log.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from darkroom.domain.errors import DarkroomError, StoreUnavailable
from darkroom.domain.events import JobEvent
from darkroom.domain.job import JobId
from darkroom.domain.ports import Doorbell, Outbox
from gateway.live.messages import message_json
from gateway.live.subscriptions import Subscription, Subscriptions
from gateway.reading import Workflows
from gateway.wire import Json

log = structlog.get_logger()

SWEEP_SECONDS = 5.0  # durability.md rule 8
STORE_AGAIN_SECONDS = 1.0
MOST_HEADS = 1000  # asked for in one query
FEW_JOBS = 4  # so few logs are read at once; asking first which of them moved takes longer
PAGE = 200  # events read at once for one job
# A socket with more packets waiting gets nothing further until it has taken some; the cap on
# its queue is this and one page.
MOST_WAITING = 500
CROWDED_AGAIN_SECONDS = 0.05


class Sockets(Protocol):
    """Where messages go."""

    async def send(self, sids: Sequence[str], message: Json) -> None:
        """Queue a message for each of these sockets that is still there, without a pause."""
        ...

    def waiting(self, sid: str) -> int:
        """Count the packets that a socket has not taken yet."""
        ...


class Relay:
    """Sends every event of a subscribed job to its subscribers, once and in order."""

    def __init__(
        self,
        *,
        subscriptions: Subscriptions,
        outbox: Outbox,
        doorbell: Doorbell,
        workflows: Workflows,
        sockets: Sockets,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self._subscriptions = subscriptions
        self._outbox = outbox
        self._doorbell = doorbell
        self._workflows = workflows
        self._sockets = sockets
        self._sweep_seconds = sweep_seconds
        self._rung: set[JobId] = set()
        self._is_anything_possible = False
        self._wake = asyncio.Event()
        self._hears = False

    async def check(self) -> None:
        """Ask whether the doorbell is heard.

        Raises:
            StoreUnavailable: not since it was last lost; the log is still read every few seconds.
        """
        if not self._hears:
            raise StoreUnavailable(
                f"the doorbell is not heard; updates may take {self._sweep_seconds:g} s"
            )

    async def run(self) -> None:
        """Relay until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._sweep())
            group.create_task(self._deliver())

    def look_at(self, job_id: JobId) -> None:
        """Read a job's log soon."""
        self._rung.add(job_id)
        self._wake.set()

    def open(self, subscription: Subscription) -> None:
        """Let deltas flow after the number a subscriber has."""
        subscription.is_open = True
        self.look_at(subscription.job_id)

    async def _listen(self) -> None:
        while True:
            try:
                async for ring in self._doorbell.rings():
                    self._hears = True
                    if ring.job_id is not None and self._subscriptions.has_job(ring.job_id):
                        self.look_at(ring.job_id)
                    elif ring.job_id is None and ring.call is None:
                        self._look_everywhere()
            except Exception as deaf:  # noqa: BLE001 -- without the doorbell the sweep still reads
                log.warning("doorbell_lost", reason=str(deaf))
            self._hears = False
            await asyncio.sleep(STORE_AGAIN_SECONDS)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds)
            self._look_everywhere()

    def _look_everywhere(self) -> None:
        self._is_anything_possible = True
        self._wake.set()

    async def _deliver(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for job_id in await self._behind():
                await self._try_to_advance(job_id)

    async def _behind(self) -> set[JobId]:
        """Take the jobs that rang, and find those that moved without our hearing it."""
        rung, self._rung = self._rung, set()
        if not self._is_anything_possible:
            return rung
        self._is_anything_possible = False
        jobs = self._subscriptions.jobs()
        if len(jobs) <= FEW_JOBS:
            return rung | set(jobs)
        try:
            heads = await self._heads(jobs)
        except Exception as error:  # noqa: BLE001 -- whatever it was, the relay must live
            log.warning("heads_unknown", reason=str(error))
            self._later(STORE_AGAIN_SECONDS, self._look_everywhere)
            return rung | set(jobs)
        return rung | {job_id for job_id, head in heads.items() if self._has_behind(job_id, head)}

    async def _heads(self, jobs: Sequence[JobId]) -> dict[JobId, int]:
        heads: dict[JobId, int] = {}
        for start in range(0, len(jobs), MOST_HEADS):
            heads |= await self._outbox.heads(jobs[start : start + MOST_HEADS])
        return heads

    def _has_behind(self, job_id: JobId, head: int) -> bool:
        return any(one.cursor < head for one in self._subscriptions.of_job(job_id))

    async def _try_to_advance(self, job_id: JobId) -> None:
        try:
            await self._advance(job_id)
        except Exception as error:  # one job's trouble must not end everybody's relay
            code = error.code if isinstance(error, DarkroomError) else type(error).__name__
            log.exception("relay_failed", job_id=job_id, code=code)
            self._later(STORE_AGAIN_SECONDS, lambda: self.look_at(job_id))

    async def _advance(self, job_id: JobId) -> None:
        """Bring a job's subscribers one page further."""
        listeners = self._with_room(job_id)
        if not listeners:
            return
        lowest = min(one.cursor for one in listeners)
        events = await self._events_after(job_id, lowest)
        sent = [await self._send(event, job_id, listeners) for event in events]
        if len(events) >= PAGE and any(sent):
            self.look_at(job_id)

    def _with_room(self, job_id: JobId) -> list[Subscription]:
        everybody = self._subscriptions.of_job(job_id)
        roomy = [one for one in everybody if self._sockets.waiting(one.sid) < MOST_WAITING]
        if len(roomy) < len(everybody):
            self._later(CROWDED_AGAIN_SECONDS, lambda: self.look_at(job_id))
        return roomy

    async def _events_after(self, job_id: JobId, seq: int) -> Sequence[JobEvent]:
        """Read the log; while the store is down, what the workflow could not flush."""
        try:
            return await self._outbox.events_after(job_id, seq, limit=PAGE)
        except StoreUnavailable:
            self._later(STORE_AGAIN_SECONDS, lambda: self.look_at(job_id))
            live = await self._workflows.live(job_id)
            return live.unflushed if live else ()

    async def _send(
        self, event: JobEvent, job_id: JobId, listeners: Sequence[Subscription]
    ) -> bool:
        """Send an event to those who have heard the one before it; False if there is nobody."""
        due = [
            one
            for one in listeners
            if one.cursor == event.seq - 1 and self._subscriptions.is_current(one)
        ]
        if not due:
            return False
        for one in due:
            one.cursor = event.seq
        await self._sockets.send([one.sid for one in due], message_json(job_id, event))
        return True

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, call)
