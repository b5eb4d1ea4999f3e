"""What it costs to wait for a slot: grants a second, and events in the histories.

Every job is granted one of five slots, runs one activity that takes no time, and gives the slot
back. The same job without a slot takes turns with it, so that the ratio holds on any machine.
"""

import asyncio
import statistics
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporalio.client import Client, WorkflowHandle

from bench.bare import running_bare, tuned_command
from bench.figures import Bound, Figure, Target, remark
from bench.load import Pace, paced
from bench.slot_worker import SlotlessJob
from darkroom.domain.job import JobId, OwnerId
from darkroom.domain.names import SLOT_POOL_ID, TASK_QUEUE
from darkroom.runtime.temporal import connect
from tests.support.builders import a_start
from tests.support.slot_jobs import SlotJob
from workflows.options import WORKFLOW_TASK_TIMEOUT

ROUNDS = 3
JOBS_PER_ROUND = 150
WARM_UP_JOBS = 20
CALLERS = 50
OWNERS = 6
SAMPLED_JOBS = 20

# What the prototype of the design reached on a tuned server. Source: temporal.md 2.
GRANTS = Target(bound=Bound.AT_LEAST, number=53)
JOB_EVENTS = Target(bound=Bound.AT_MOST, number=19)
POOL_EVENTS = Target(bound=Bound.AT_MOST, number=7)


@dataclass(slots=True)
class Hall:
    """A server, a pool and a worker, and the jobs that were run there."""

    client: Client
    pids: dict[str, int]
    waited: int = 0  # jobs that waited for a slot

    async def with_slot(self, number: int) -> None:
        """Run a job that waits for a slot."""
        name = JobId(f"slot_{number}_{uuid.uuid4().hex}")
        owner = OwnerId(f"owner_{number % OWNERS}")
        start = a_start(job_id=name, owner=owner, submitted_at=datetime.now(UTC))
        self.waited += 1
        await self.client.execute_workflow(
            SlotJob.run, start, id=name, task_queue=TASK_QUEUE, task_timeout=WORKFLOW_TASK_TIMEOUT
        )

    async def without_slot(self, number: int) -> None:
        """Run the same job as it would be without any slots."""
        name = f"free_{number}_{uuid.uuid4().hex}"
        await self.client.execute_workflow(SlotlessJob.run, name, id=name, task_queue=TASK_QUEUE)

    async def paced(self, one: Callable[[int], Awaitable[None]], jobs: int) -> Pace:
        """Run so many jobs of one sort."""
        return await paced(one, range(jobs), at_once=CALLERS, pids=self.pids)

    async def events(self, prefix: str) -> float:
        """Count the events of a job, on average."""
        wanted = f"WorkflowId STARTS_WITH '{prefix}' AND ExecutionStatus = 'Completed'"
        runs = self.client.list_workflows(wanted, limit=SAMPLED_JOBS)
        return statistics.fmean([float(run.history_length) async for run in runs])

    async def pool_events(self) -> int:
        """Count the events of all runs of the pool."""
        runs = self.client.list_workflows(f"WorkflowId = '{SLOT_POOL_ID}'")
        handles: list[WorkflowHandle[Any, Any]] = [
            self.client.get_workflow_handle(run.id, run_id=run.run_id) async for run in runs
        ]
        described = await asyncio.gather(*(handle.describe() for handle in handles))
        return sum(one.history_length for one in described)


async def measure() -> AsyncGenerator[Figure]:
    """Let both sorts of jobs take turns; half a minute."""
    with TemporaryDirectory(prefix="darkroom-bench-") as folder:
        serving = running_bare(
            tuned_command, var_dir=Path(folder) / "var", worker="bench.slot_worker"
        )
        async with serving as bare:
            client = await connect(
                address=bare.client.service_client.config.target_host, namespace="default"
            )
            hall = Hall(client, bare.pids)
            remark(f"{ROUNDS} rounds of {JOBS_PER_ROUND} jobs from {CALLERS} callers")
            for figure in (*await _paces(hall), *await _histories(hall)):
                yield figure


async def _paces(hall: Hall) -> list[Figure]:
    await hall.paced(hall.with_slot, WARM_UP_JOBS)
    rounds = [
        (
            await hall.paced(hall.without_slot, JOBS_PER_ROUND),
            await hall.paced(hall.with_slot, JOBS_PER_ROUND),
        )
        for _ in range(ROUNDS)
    ]
    free = statistics.median(free.jobs_per_second for free, _ in rounds)
    slots = statistics.median(slots.jobs_per_second for _, slots in rounds)
    cpu = statistics.median(slots.cpu_ms_per_job - free.cpu_ms_per_job for free, slots in rounds)
    return [
        Figure(name="admission: grants", figure=slots, unit="grants/s", target=GRANTS),
        Figure(name="admission: the same job without a slot", figure=free, unit="jobs/s"),
        Figure(name="admission: CPU of a grant", figure=cpu, unit="ms/job"),
    ]


async def _histories(hall: Hall) -> list[Figure]:
    job, free = await hall.events("slot_"), await hall.events("free_")
    pool = await hall.pool_events() / hall.waited
    return [
        Figure(name="admission: history of a job", figure=job, unit="events", target=JOB_EVENTS),
        Figure(name="admission: history without a slot", figure=free, unit="events"),
        Figure(
            name="admission: history of the pool",
            figure=pool,
            unit="events/job",
            target=POOL_EVENTS,
        ),
    ]
