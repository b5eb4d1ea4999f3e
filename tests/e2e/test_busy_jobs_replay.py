"""What ran in a crowd, steered and asked about all the time, can be replayed from its history.

A job that cannot be replayed is stuck for ever once its worker dies. Orders and questions that
cross a job's own steps are what makes the order of things hard to come by a second time.
"""

import asyncio
import random
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from darkroom.domain.job import JobId
from darkroom.domain.names import SLOT_POOL_ID
from darkroom.runtime.temporal import HOUSE_DATA_CONVERTER
from tests.replay.test_histories import WORKFLOWS
from tests.support.stacks import Running, settled, started_stack
from tests.support.workers import STRICT

JOBS = 30
MOST_ORDERS = 6
LONGEST_PAUSE_SECONDS = 0.4
SEED = 20_261_124
ORDERS = ("read", "read", "pause", "resume", "rank")


async def harassed(running: Running, number: int, chance: random.Random) -> JobId:
    """Run one job while somebody keeps asking and ordering; answers when it is over."""
    template = f"Lamp {number} at {{timeOfDay}}, {{weather}}, {{location}}"
    job_id = await running.submit(count=chance.randint(1, 3), prompt={"template": template})
    for _ in range(chance.randint(0, MOST_ORDERS)):
        await settled(chance.uniform(0, LONGEST_PAUSE_SECONDS))
        match chance.choice(ORDERS):
            case "read":
                await running.job(job_id)
            case "rank":
                priority = chance.choice(["high", "normal", "low"])
                await running.api.patch(f"/v1/jobs/{job_id}", json={"priority": priority})
            case order:
                await running.api.post(f"/v1/jobs/{job_id}/{order}", json={})
    await running.api.post(f"/v1/jobs/{job_id}/resume", json={})
    await running.closed(job_id, within_seconds=120)
    return job_id


async def test_every_job_of_a_crowd_replays(tmp_path: Path) -> None:
    """Thirty jobs and the pool that admitted them come to the same commands again."""
    chance = random.Random(SEED)
    async with started_stack(tmp_path / "var") as running:
        crowd = (harassed(running, number, chance) for number in range(JOBS))
        job_ids = await asyncio.gather(*crowd)
        histories = [
            await running.temporal.get_workflow_handle(workflow_id).fetch_history()
            for workflow_id in (*job_ids, SLOT_POOL_ID)
        ]
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=HOUSE_DATA_CONVERTER,
        workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
    )

    for history in histories:
        read_again = WorkflowHistory.from_json(history.workflow_id, history.to_json())
        await replayer.replay_workflow(read_again)

    assert len(histories) == JOBS + 1
