"""A process that serves a task queue for a moment and leaves, as worker and gateway leave."""

import asyncio
import sys

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from darkroom.runtime.exits import leave
from darkroom.runtime.temporal import connect
from workflows.image_job import ImageJobWorkflow

TASK_QUEUE = "brief"
PASSED = SandboxRestrictions.default.with_passthrough_modules("activities", "darkroom", "structlog")


async def main(address: str) -> None:
    """Connect, poll, and stop polling."""
    client: Client = await connect(address=address, namespace="default")
    runner = SandboxedWorkflowRunner(restrictions=PASSED)
    async with Worker(
        client, task_queue=TASK_QUEUE, workflows=[ImageJobWorkflow], workflow_runner=runner
    ):
        await client.service_client.check_health()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    leave(0)
