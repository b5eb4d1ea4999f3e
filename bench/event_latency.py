"""Stage change -> socket: how late a browser hears what happened.

A Socket.IO client listens to jobs of four pictures with chats of 50 ms and pictures of 200 ms:
first one job at a time, then three, which on two cores is all that the whole stack with its
emulators and this client can do. The latency of a message is the moment it reached the client
minus the moment its event bears, on the same clock.

- The moment of an event is `workflow.now()`, which is when its workflow task began. So the
  figure holds that task, the write to the store, the doorbell, the read by the gateway and the
  socket. An event that was noted while an earlier one was being written waits for that write,
  and this is in the figure too.
- The wire shows milliseconds, cut off. The log keeps microseconds, so moments are read from
  there afterwards instead of being guessed from the wire.
- What the acknowledgement of a subscription brought is not counted: nobody waited for it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import socketio

from bench.figures import Bound, Figure, Target, percentile, remark
from bench.load import MILLISECONDS, paced
from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.job import JobId
from tests.support.stacks import Running, started_stack

PACES = ((1, 30), (3, 60))  # so many at once, so many in all
WARM_UP_JOBS = 3
PICTURES = 4
CHAT_SECONDS = 0.05
PICTURE_SECONDS = 0.2
JOB_WITHIN_SECONDS = 60
NAMESPACE = "/jobs"
SERVER_EVENTS = ("job_update", "job_progress", "job_completed", "job_error")
STAGE_CHANGES = frozenset({EventKind.STAGE_STARTED, EventKind.STAGE_FINISHED})

P50 = Target(bound=Bound.AT_MOST, number=15)
P99 = Target(bound=Bound.AT_MOST, number=50)


@dataclass(slots=True)
class Ear:
    """One client, and when each message reached it."""

    client: Any = field(default_factory=socketio.AsyncClient)  # the library carries no types
    heard: dict[tuple[str, int], float] = field(default_factory=dict[tuple[str, int], float])
    over: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])

    async def connect(self, running: Running) -> None:
        """Connect, hearing every server event."""
        for name in SERVER_EVENTS:
            self.client.on(name, self._hear, namespace=NAMESPACE)
        await self.client.connect(
            running.layout.gateway_url,
            namespaces=[NAMESPACE],
            auth={"token": running.layout.dev_key},
            transports=["websocket"],
        )

    async def follow(self, job_id: JobId) -> None:
        """Listen to a job until it is over.

        Raises:
            RuntimeError: the gateway refused, or the job was over before we listened.
            TimeoutError: it did not complete in time.
        """
        over = self.over.setdefault(job_id, asyncio.Event())
        answer = await self.client.call("subscribe", {"jobId": job_id}, namespace=NAMESPACE)
        if not answer["ok"] or answer["snapshot"]["status"] == "completed":
            raise RuntimeError(f"{job_id} cannot be listened to: {answer}")
        async with asyncio.timeout(JOB_WITHIN_SECONDS):
            await over.wait()

    def _hear(self, message: dict[str, Any]) -> None:
        self.heard[message["jobId"], message["seq"]] = time.time()
        if message["type"] == "JOB_COMPLETED":
            self.over.setdefault(message["jobId"], asyncio.Event()).set()


async def measure() -> AsyncGenerator[Figure]:
    """Run both paces and tell how late their events were; about a minute."""
    pace: dict[str, Any] = {
        "emulators_chat_seconds": CHAT_SECONDS,
        "emulators_picture_seconds": PICTURE_SECONDS,
    }
    with TemporaryDirectory(prefix="darkroom-bench-") as folder:
        async with started_stack(Path(folder), **pace) as running:
            numbers = count()
            await _lateness(running, islice(numbers, WARM_UP_JOBS), at_once=1)
            for at_once, jobs in PACES:
                remark(f"{jobs} jobs of {PICTURES} pictures, {at_once} at once, one listener")
                late = await _lateness(running, islice(numbers, jobs), at_once=at_once)
                for figure in _figures(late, at_once):
                    yield figure


def _figures(late: list[tuple[EventKind, float]], at_once: int) -> Iterator[Figure]:
    changes = [seconds for kind, seconds in late if kind in STAGE_CHANGES]
    everything = [seconds for _, seconds in late]
    remark(f"{len(everything)} messages, {len(changes)} of them stage changes")
    for what, seconds, (p50, p99) in (
        ("stage change", changes, (P50, P99)),
        ("any event", everything, (None, None)),
    ):
        for percent, target in ((50, p50), (99, p99)):
            yield Figure(
                name=f"event_latency: {what} -> socket, {at_once} at once, p{percent}",
                figure=percentile(seconds, percent) * MILLISECONDS,
                unit="ms",
                target=target,
            )


async def _lateness(
    running: Running, numbers: Iterator[int], *, at_once: int
) -> list[tuple[EventKind, float]]:
    """Run the jobs; answers kind and latency in seconds of every message."""
    ear = Ear()
    await ear.connect(running)
    try:

        async def one(number: int) -> None:
            await _job(running, ear, number)

        await paced(one, numbers, at_once=at_once, pids={})
    finally:
        await ear.client.disconnect()
    job_ids = {JobId(job_id) for job_id, _ in ear.heard}
    logs = {job_id: await running.events(job_id) for job_id in job_ids}
    return [
        (event.kind, heard_at - event.at.timestamp())
        for job_id, events in logs.items()
        for event in events
        if (heard_at := ear.heard.get((job_id, event.seq))) is not None and _is_timed(event)
    ]


def _is_timed(event: JobEvent) -> bool:
    """Leave out the submission: it bears the door's moment, before there was a workflow."""
    return event.kind is not EventKind.JOB_SUBMITTED


async def _job(running: Running, ear: Ear, number: int) -> None:
    template = f"Street lamp number {number}, {{timeOfDay}}, {{weather}}, {{location}}"
    job_id = await running.submit(prompt={"template": template}, count=PICTURES)
    await ear.follow(job_id)
