"""A job's workflow reduced to what the slot pool is about: ask, work, give back.

What is true of it at one moment is seen on the shop floor, outside Temporal: who stands there
works, whatever the pool's books say.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

from activities.heartbeats import HEARTBEAT_EVERY
from darkroom.domain.admission import SlotClaim, SlotGrant, SlotQuestion
from darkroom.domain.job import JobKind, JobStart, Priority
from darkroom.domain.names import SET_PRIORITY, SLOT, SLOT_GRANTED_SIGNAL
from workflows.options import HEARTBEAT_TIMEOUT
from workflows.slot_lease import SlotLease


@dataclass(slots=True)
class ShopFloor:
    """Who works now, who ever did, and how many at most at a time."""

    at_work: list[str] = field(default_factory=list[str])
    began: list[str] = field(default_factory=list[str])
    most: int = 0
    seconds: float = 0.0  # that work takes; with less than 0 it ends when the test says so
    homeward: set[str] = field(default_factory=set[str])

    @activity.defn
    async def work(self, job_id: str) -> None:
        """Stand on the floor for as long as the work takes."""
        self.at_work.append(job_id)
        self.began.append(job_id)
        self.most = max(self.most, len(self.at_work))
        try:
            await self._work(job_id)
        finally:
            self.at_work.remove(job_id)

    async def _work(self, job_id: str) -> None:
        if self.seconds >= 0:
            await asyncio.sleep(self.seconds)
            return
        while job_id not in self.homeward:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_EVERY.total_seconds() / 10)

    def send_home(self, *job_ids: str) -> None:
        """Let jobs finish their work."""
        self.homeward.update(job_ids)

    def times_begun(self) -> Counter[str]:
        """Count how often each job began to work."""
        return Counter(self.began)


@workflow.defn(name=JobKind.IMAGE_GENERATION, sandboxed=False)
class SlotJob:
    """Works once, when it has a slot; never without."""

    @workflow.init
    def __init__(self, start: JobStart) -> None:
        self._lease = SlotLease(start)
        self._is_paused = False

    @workflow.run
    async def run(self, start: JobStart) -> None:
        """Ask for a slot, work, and give it back."""
        try:
            while not self._lease.is_held:
                await workflow.wait_condition(lambda: not self._is_paused)
                await self._lease.acquire()
            await workflow.execute_activity_method(
                ShopFloor.work,
                start.job_id,
                start_to_close_timeout=timedelta(minutes=5),
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
        finally:
            await self._lease.give_back()
            await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.signal(name=SLOT_GRANTED_SIGNAL)
    async def slot_granted(self, grant: SlotGrant) -> None:
        """Take the slot, or have it given back."""
        await self._lease.grant(grant)

    @workflow.query(name=SLOT)
    def slot(self, question: SlotQuestion) -> SlotClaim:
        """Tell a pool that has lost its memory."""
        del question
        return self._lease.claim()

    @workflow.signal(name="pause")
    async def pause(self) -> None:
        """Want no slot for the time being."""
        self._is_paused = True
        await self._lease.give_back()

    @workflow.signal(name="resume")
    def resume(self) -> None:
        """Want a slot again."""
        self._is_paused = False

    @workflow.signal(name=SET_PRIORITY)
    async def set_priority(self, priority: Priority) -> None:
        """Move in the line."""
        self._lease.change_priority(priority)
