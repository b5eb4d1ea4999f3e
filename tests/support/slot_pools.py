"""A slot pool on the real server, jobs that do nothing but need a slot, and hands for both.

PYTEST_DONT_REWRITE: nothing is asserted here, and tests import it before pytest does.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.admission import PoolActivities, SlotActivities
from activities.heartbeats import HEARTBEAT_EVERY
from darkroom.domain.admission import (
    Place,
    PlaceQuestion,
    PoolPlan,
    PoolTerms,
    QueueChange,
    QueueQuestion,
    QueueTerms,
    QueueView,
)
from darkroom.domain.job import JobId, OwnerId, Priority
from darkroom.domain.names import CHANGE_QUEUE, PLACE, QUEUE, SLOT_POOL_ID
from darkroom.runtime.job_runs import TemporalJobRuns
from darkroom.runtime.queue_signals import TemporalQueueSignals
from darkroom.runtime.temporal import HOUSE_DATA_CONVERTER
from deploy.embedded.temporal_server import temporal_binary, tuning_arguments
from tests.support.builders import ADA, a_request, a_start
from tests.support.databases import memory_queues
from tests.support.fakes import MemoryState
from tests.support.slot_jobs import ShopFloor, SlotJob
from tests.support.waiting import eventually
from tests.support.workers import STRICT
from workflows.options import STICKY_QUEUE_TIMEOUT, WORKFLOW_TASK_TIMEOUT
from workflows.slot_pool import SlotPoolWorkflow

# The shortest timer of a server is a second; what a pool waits for is as short as that here.
QUICK = PoolPlan(
    grace=timedelta(seconds=1), look_every=timedelta(seconds=1), settle=timedelta(seconds=1)
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Client]:
    """A real server of the test's own: there is one pool in each."""
    async with await WorkflowEnvironment.start_local(  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's defaults has an open type
        data_converter=HOUSE_DATA_CONVERTER,
        dev_server_existing_path=temporal_binary(),
        dev_server_database_filename=str(tmp_path / "temporal.db"),
        dev_server_log_level="error",
        dev_server_extra_args=tuning_arguments(),
    ) as started:
        yield started.client


@dataclass(kw_only=True)
class House:
    """One queue of jobs."""

    client: Client
    floor: ShopFloor = field(default_factory=ShopFloor)
    state: MemoryState = field(default_factory=MemoryState)
    seeds: QueueTerms = field(default_factory=lambda: QueueTerms(concurrency=2))
    plan: PoolPlan = QUICK
    task_queue: str = "slots"

    @property
    def signals(self) -> TemporalQueueSignals:
        """The way to the pool."""
        return TemporalQueueSignals(
            self.client, task_timeout=WORKFLOW_TASK_TIMEOUT, task_queue=self.task_queue
        )

    @property
    def pool(self) -> WorkflowHandle[Any, Any]:
        """The pool, whichever run of it."""
        return self.client.get_workflow_handle(SLOT_POOL_ID)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Have a worker serve the queue, and guard the pool, until the block ends."""
        guarding = asyncio.create_task(self.signals.guard())
        try:
            async with self.serving():
                await self.counted()
                yield
        finally:
            guarding.cancel()

    def serving(self) -> Worker:
        """Make a worker; it serves while it is entered."""
        slots = SlotActivities(self.signals)
        pool = PoolActivities(
            seeds=PoolTerms(terms=self.seeds, plan=self.plan),
            queues=memory_queues(self.state),
            runs=TemporalJobRuns(self.client),
        )
        return Worker(
            self.client,
            task_queue=self.task_queue,
            workflows=[SlotPoolWorkflow, SlotJob],
            activities=[
                *(self.floor.work, slots.request, slots.release),
                *(pool.terms, pool.decide, pool.census, pool.look),
            ],
            workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
            sticky_queue_schedule_to_start_timeout=STICKY_QUEUE_TIMEOUT,
            max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
            default_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        )

    async def submit(
        self,
        name: str,
        *,
        owner: OwnerId = ADA,
        priority: Priority = Priority.NORMAL,
        submitted_at: datetime | None = None,
        **changes: Any,
    ) -> WorkflowHandle[Any, Any]:
        """Start a job."""
        start = a_start(
            job_id=JobId(name),
            owner=owner,
            submitted_at=submitted_at or datetime.now(UTC),
            request=a_request(priority=priority),
            **changes,
        )
        return await self.client.start_workflow(
            SlotJob.run,
            start,
            id=name,
            task_queue=self.task_queue,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
        )

    async def view(self) -> QueueView:
        """Ask the pool how the queue is."""
        return await self.pool.query(QUEUE, QueueQuestion(), result_type=QueueView)  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's overloads has an open type

    async def counted(self) -> QueueView:
        """Wait for a pool that is open and knows who works and who waits."""

        async def seen() -> QueueView | None:
            try:
                described = await self.pool.describe()
                view = await self.view()
            except RPCError:
                return None
            is_open = described.status is WorkflowExecutionStatus.RUNNING
            return view if is_open and not view.is_counting else None

        view = await eventually(seen, within_seconds=20, what="a pool that has counted")
        return view or await self.view()

    async def place(self, name: str) -> Place | None:
        """Ask the pool where a job stands."""
        asked: Awaitable[Place | None] = self.pool.query(  # pyright: ignore[reportUnknownMemberType] -- as above
            PLACE, PlaceQuestion(job_id=JobId(name)), result_type=Place
        )
        return await asked

    async def change(self, **changes: Any) -> QueueTerms:
        """Change the queue as an operator does."""
        return await self.pool.execute_update(  # pyright: ignore[reportUnknownMemberType] -- as above
            CHANGE_QUEUE, QueueChange(by="operator", **changes), result_type=QueueTerms
        )

    async def waiting(self, count: int) -> QueueView:
        """Wait until so many stand in line."""

        async def seen() -> QueueView | None:
            view = await self.view()
            return view if view.waiting_count == count else None

        view = await eventually(seen, what=f"a line of {count}")
        return view or await self.view()

    async def replayed(self, *jobs: WorkflowHandle[Any, Any]) -> None:
        """Replay what the pool and these jobs did, as a worker does that takes them over.

        Raises:
            NondeterminismError: a step depended on something that is not in the history.
        """
        replayer = Replayer(
            workflows=[SlotPoolWorkflow, SlotJob],
            workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
            data_converter=HOUSE_DATA_CONVERTER,
        )
        for handle in (self.pool, *jobs):
            await replayer.replay_workflow(await handle.fetch_history())

    async def at_work(self, *job_ids: str) -> None:
        """Wait until exactly these work, whatever the books say."""
        await eventually(
            lambda: sorted(self.floor.at_work) == sorted(job_ids), what=f"work of {job_ids}"
        )


async def all_over(jobs: list[WorkflowHandle[Any, Any]], *, within_seconds: float = 40.0) -> None:
    """Wait until every job has ended well."""
    async with asyncio.timeout(within_seconds):
        await asyncio.gather(*(job.result() for job in jobs))
