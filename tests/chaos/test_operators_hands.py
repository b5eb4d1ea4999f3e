"""What an operator types into Temporal's own tools while jobs run."""

import time
from pathlib import Path

import httpx

from darkroom.domain.job import JobId
from tests.chaos.conftest import Conclude
from tests.chaos.stage import (
    an_order,
    breakable_stack,
    purchases_are_named,
    seconds_until_told_again,
    submit_jobs,
)
from tests.support.stacks import Running
from tests.support.waiting import eventually


async def test_a_reset_in_the_middle_of_a_job_buys_nothing_again(
    tmp_path: Path, conclude: Conclude
) -> None:
    """`temporal workflow reset` tells the story again from its beginning; ledger and log stay."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=2.0) as running:
        job_id = await running.submit(**an_order("abbey", pictures=6))
        others = await submit_jobs(running, ("wharf", "lagoon"))
        await purchases_are_named(running, at_least=2)
        await running.typed(
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
    """`temporal workflow terminate` fails the job once it is reconciled; a retry delivers it."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=2.0) as running:
        job_id = await running.submit(**an_order("belfry", pictures=4))
        others = await submit_jobs(running, ("jetty", "grove"))
        await purchases_are_named(running, at_least=2)
        await running.typed(
            *("workflow", "terminate", "--workflow-id", job_id),
            *("--reason", "an operator tries it"),
        )
        ended_at = time.monotonic()
        answer = await running.operator.post("/v1/admin/reconcile", timeout=60)
        assert answer.status_code == httpx.codes.OK, answer.text
        assert (await running.closed(job_id))["status"] == "failed"
        await retried(running, job_id)
        seconds = time.monotonic() - ended_at

        jobs = [job_id, *others]
        await conclude(
            running, "`temporal workflow terminate`, reconciled", jobs=jobs, seconds=seconds
        )
        assert len(await running.bought()) == 4 + 2 * len(others)


async def retried(running: Running, job_id: JobId) -> None:
    """Ask for a failed job again, and wait until its next run has begun."""
    answer = await running.api.post(f"/v1/jobs/{job_id}/retry", json={})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text

    async def has_begun() -> bool:
        return (await running.job(job_id))["status"] != "failed"

    await eventually(has_begun, what="the retry")
