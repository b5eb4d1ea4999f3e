"""The slot pool, a job that needs a slot and one that needs none: `-m bench.slot_worker ADDRESS`.

Both jobs run one activity that takes no time. No store, no HTTP, nothing bought: what the one
takes longer than the other is the price of admission.
"""

import asyncio
import sys
from datetime import timedelta

import uvloop
from temporalio import workflow
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.admission import PoolActivities, SlotActivities
from darkroom.domain.admission import PoolPlan, PoolTerms, QueueTerms
from darkroom.domain.names import TASK_QUEUE
from darkroom.runtime.job_runs import TemporalJobRuns
from darkroom.runtime.queue_signals import TemporalQueueSignals
from darkroom.runtime.temporal import connect
from tests.support.databases import memory_queues
from tests.support.fakes import MemoryState
from tests.support.slot_jobs import ShopFloor, SlotJob
from worker import PASSED_THROUGH
from workflows.options import STICKY_QUEUE_TIMEOUT, WORKFLOW_TASK_TIMEOUT
from workflows.slot_pool import SlotPoolWorkflow

SLOTS = 5


@workflow.defn(sandboxed=False)
class SlotlessJob:
    """Works once, whenever it likes."""

    @workflow.run
    async def run(self, name: str) -> None:
        """Work."""
        await workflow.execute_activity_method(
            ShopFloor.work, name, start_to_close_timeout=timedelta(minutes=5)
        )


async def serve(address: str) -> None:
    """Work until the process is told to end; there is nothing to bring to rest."""
    client = await connect(address=address, namespace="default")
    queue = TemporalQueueSignals(client, task_timeout=WORKFLOW_TASK_TIMEOUT)
    floor, slots = ShopFloor(), SlotActivities(queue)
    pool = PoolActivities(
        seeds=PoolTerms(terms=QueueTerms(concurrency=SLOTS), plan=PoolPlan()),
        queues=memory_queues(MemoryState()),
        runs=TemporalJobRuns(client),
    )
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    working = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[SlotPoolWorkflow, SlotJob, SlotlessJob],
        activities=[
            *(floor.work, slots.request, slots.release),
            *(pool.terms, pool.decide, pool.census, pool.look),
        ],
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
        sticky_queue_schedule_to_start_timeout=STICKY_QUEUE_TIMEOUT,
    )
    await working.run()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
