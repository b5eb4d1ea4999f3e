"""What an operator types into Temporal's own tools while jobs run."""

import asyncio
import sys
from pathlib import Path

from tests.chaos.conftest import Conclude
from tests.chaos.stage import (
    an_order,
    breakable_stack,
    purchases_are_named,
    seconds_until_told_again,
    submit_jobs,
)
from tests.support.stacks import Running


async def temporal(running: Running, *words: str) -> str:
    """Type a `temporal` command and read what it answers."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "temporal"),
        *("--address", running.layout.temporal_address),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return told.decode()


async def test_a_reset_in_the_middle_of_a_job_buys_nothing_again(
    tmp_path: Path, conclude: Conclude
) -> None:
    """`temporal workflow reset` tells the story again from its beginning; ledger and log stay."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=2.0) as running:
        job_id = await running.submit(**an_order("abbey", pictures=6))
        others = await submit_jobs(running, ("wharf", "lagoon"))
        await purchases_are_named(running, at_least=2)
        await temporal(
            running,
            *("workflow", "reset", "--workflow-id", job_id, "--type", "FirstWorkflowTask"),
            *("--reason", "an operator tries it", "--yes"),
        )
        seconds = await seconds_until_told_again(running, [job_id])

        jobs = [job_id, *others]
        await conclude(running, "`temporal workflow reset`", jobs=jobs, seconds=seconds)
        assert len(await running.bought()) == 6 + 2 * len(others)


async def test_a_terminated_job_takes_no_other_job_with_it(
    tmp_path: Path, conclude: Conclude
) -> None:
    """`temporal workflow terminate` leaves a job nobody runs: reconcile takes it up again."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=2.0) as running:
        job_id = await running.submit(**an_order("belfry", pictures=4))
        others = await submit_jobs(running, ("jetty", "grove"))
        await purchases_are_named(running, at_least=2)
        await temporal(
            running,
            *("workflow", "terminate", "--workflow-id", job_id),
            *("--reason", "an operator tries it"),
        )
        await temporal(
            running,
            *("workflow", "execute", "--type", "reconcile", "--task-queue", "darkroom"),
            *("--workflow-id", "reconcile-by-hand"),
        )
        seconds = await seconds_until_told_again(running, [job_id])

        jobs = [job_id, *others]
        await conclude(
            running, "`temporal workflow terminate`, reconciled", jobs=jobs, seconds=seconds
        )
        assert len(await running.bought()) == 4 + 2 * len(others)
