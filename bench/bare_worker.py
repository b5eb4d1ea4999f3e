"""Five activities that do nothing, and a worker for them: `python -m bench.bare_worker ADDRESS`.

It imports the SDK and nothing else: the sandbox imports a workflow's module anew for every
workflow, and whatever stood here would make bare Temporal slower than it is.
"""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bare"
STEPS = 5


@activity.defn
async def nothing(place: int) -> int:
    """Take no time."""
    return place


@workflow.defn
class FiveSteps:
    """Five activities, one after another."""

    @workflow.run
    async def run(self) -> int:
        """Run them all."""
        for place in range(STEPS):
            await workflow.execute_activity(
                nothing, place, start_to_close_timeout=timedelta(seconds=10)
            )
        return STEPS


async def serve(address: str) -> None:
    """Work until the process is told to end; there is nothing to bring to rest."""
    client = await Client.connect(address)
    worker = Worker(client, task_queue=QUEUE, workflows=[FiveSteps], activities=[nothing])
    await worker.run()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
