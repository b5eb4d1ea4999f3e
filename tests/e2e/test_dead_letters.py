"""A job that fails for good, from outside: parked, told, looked at with Temporal, redriven."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from darkroom.domain.job import JobId
from tests.support.emulated import Rule
from tests.support.stacks import Running, assert_bill_matches, assert_gapless, started_stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

LETTERS = "/v1/admin/dead-letters"
ESCALATE = ("--schedule-id", "escalate-dead-letters")
SECOND_IS_REFUSED: Rule = {
    "endpoint": "generate",
    "action": "status",
    "status": 400,
    "when": {"nth": 2},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    """One whole stack for the file."""
    async with started_stack(tmp_path_factory.mktemp("stack") / "var") as started:
        yield started


async def operate(running: Running, method: str, path: str, **said: Any) -> Any:
    """Ask with the operator's key."""
    answer = await running.operator.request(method, path, **said)
    assert answer.is_success, answer.text
    return answer.json()


async def deeds(running: Running, job_id: JobId) -> list[str]:
    """List what was done to a job, in order."""
    page = await operate(running, "GET", "/v1/admin/audit", params={"target": job_id})
    return [deed["action"] for deed in reversed(page["entries"])]


async def test_failed_job_is_told_and_redriven_without_buying_anything_twice(
    running: Running,
) -> None:
    """From the failure to the pictures: one letter, one alert, one log, one bill."""
    await running.emulated.befall(SECOND_IS_REFUSED)
    job_id = await running.submit(count=3, onImageFailure="fail")
    failed = await running.closed(job_id)
    letter = await operate(running, "GET", f"{LETTERS}/{job_id}")
    await running.typed("schedule", "trigger", *ESCALATE)

    async def told() -> bool:
        return "escalate_dead_letter" in await deeds(running, job_id)

    await eventually(told, what="the alert")
    await running.emulated.befall()
    said = {"reason": "the provider is mended"}
    await operate(running, "POST", f"{LETTERS}/{job_id}/redrive", json=said)
    completed = await running.closed(job_id)

    assert failed["status"] == "failed"
    assert letter["status"] == "parked"
    assert letter["error"]["code"] == "request_refused"
    assert (completed["status"], completed["outcome"]) == ("completed", "full")
    assert (completed["run"], completed["retryCount"]) == (2, 1)
    assert await deeds(running, job_id) == ["escalate_dead_letter", "redrive_dead_letter"]
    closed = await operate(running, "GET", f"{LETTERS}/{job_id}")
    assert (closed["status"], closed["note"]) == ("redriven", said["reason"])
    log = (running.layout.log_dir / "worker.log").read_text().splitlines()
    assert len([line for line in log if "dead_letter_escalated" in line and job_id in line]) == 1
    assert_gapless(await running.events(job_id))
    assert_bill_matches(await running.ledger.of_job(job_id), await running.bought())


async def test_schedules_are_seen_and_steered_with_temporal(running: Running) -> None:
    """The commands of docs/operations.md, each typed."""
    listed = await running.typed("schedule", "list")
    await running.typed("schedule", "toggle", *ESCALATE, "--pause", "--reason", "moving")
    paused = await running.typed("schedule", "describe", *ESCALATE)
    await running.typed("schedule", "toggle", *ESCALATE, "--unpause", "--reason", "moved")
    await running.typed("schedule", "trigger", *ESCALATE)

    assert "escalate-dead-letters" in listed
    assert "reconcile" in listed
    assert "moving" in paused
    assert "Skip" in paused

    async def chores() -> str:
        query = "WorkflowType='escalate_dead_letters'"
        return await running.typed("workflow", "list", "--query", query, "--limit", "5")

    async def has_run() -> bool:
        return "Completed" in await chores()

    await eventually(has_run, what="the chore")
    jobs = await running.typed("workflow", "list", "--query", "DarkroomKind IS NOT NULL")
    assert "escalate" not in jobs
