"""Reconcile from outside: an operator ends a run, asks for repairs, and reads what was done."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from darkroom.domain.job import JobId
from darkroom.domain.ledger import LedgerState
from tests.support.stacks import Running, assert_bill_matches, assert_gapless, started_stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    """One whole stack for the file."""
    var_dir = tmp_path_factory.mktemp("stack") / "var"
    async with started_stack(var_dir, emulators_picture_seconds=2.0) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def running(stack: Running) -> Running:
    """The stack, with an empty bill and without faults."""
    await stack.emulated.forget()
    return stack


async def reconciled(running: Running, **query: Any) -> dict[str, dict[str, Any]]:
    """Reconcile now; answers what was found by kind."""
    answer = await running.operator.post("/v1/admin/reconcile", params=query, timeout=60)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["unfinished"] == []
    return {one["kind"]: one for one in report["drifts"]}


async def test_a_terminated_job_fails_and_its_retry_buys_nothing_again(running: Running) -> None:
    """What was paid for when the run was ended is collected by the retry, at no cost."""
    job_id = await running.submit(count=3)
    await eventually(lambda: bought(running, 3), what="three purchases")
    await running.typed("workflow", "terminate", "--workflow-id", job_id, "--reason", "too loud")
    dry = await reconciled(running, dryRun=True)
    found = await reconciled(running)
    failed = await running.closed(job_id)
    answer = await running.api.post(f"/v1/jobs/{job_id}/retry")
    assert answer.status_code == 202, answer.text
    record = await running.closed(job_id)

    assert [one["found"] for one in (dry["lost_workflow"], found["lost_workflow"])] == [1, 1]
    assert [one["repaired"] for one in (dry["lost_workflow"], found["lost_workflow"])] == [0, 1]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "workflow_lost")
    assert "too loud" in failed["error"]["message"]
    assert (record["status"], record["outcome"]) == ("completed", "full")
    rows = await running.ledger.of_job(job_id)
    assert {row.state for row in rows} == {LedgerState.SETTLED}
    assert_bill_matches(rows, await running.bought())
    assert len(rows) == 3
    assert_gapless(await running.events(job_id))


async def bought(running: Running, count: int) -> bool:
    """Say whether the provider has been paid for so many pictures."""
    return len(await running.bought()) == count


async def test_a_job_that_temporal_forgot_goes_on_by_itself(running: Running) -> None:
    """Its history is deleted under it: the scheduled reconciliation starts it again."""
    job_id = await running.submit(count=2)
    await eventually(lambda: bought(running, 2), what="two purchases")
    await running.typed("workflow", "delete", "--workflow-id", job_id, "--yes")
    await eventually(lambda: is_forgotten(running, job_id), what="the deletion")
    await running.typed("schedule", "trigger", "--schedule-id", "reconcile")
    record = await running.closed(job_id)

    assert (record["status"], record["outcome"]) == ("completed", "full")
    assert_bill_matches(await running.ledger.of_job(job_id), await running.bought())
    assert_gapless(await running.events(job_id))


async def is_forgotten(running: Running, job_id: JobId) -> bool:
    """Say whether Temporal knows nothing of the job any more."""
    told = await running.typed(
        "workflow", "list", "--query", f"WorkflowId = '{job_id}'", "--output", "json"
    )
    return json.loads(told or "[]") == []


async def test_a_reconciliation_started_by_hand_is_the_last_report(running: Running) -> None:
    """`temporal workflow start` needs no input, and GET shows what it found."""
    await running.typed(
        *("workflow", "start", "--type", "reconcile", "--task-queue", "darkroom"),
        *("--workflow-id", "reconcile-by-hand"),
    )
    told = await running.typed("workflow", "result", "--workflow-id", "reconcile-by-hand")
    answer = await running.operator.get("/v1/admin/reconcile")

    assert answer.status_code == 200
    report = answer.json()
    assert (report["by"], report["dryRun"], report["unfinished"]) == ("reconcile", False, [])
    assert len(report["drifts"]) == 8
    assert "COMPLETED" in told
    assert "lost_workflow" in told


async def test_some_kinds_are_looked_for_by_hand_without_changes(running: Running) -> None:
    """The input is JSON with any of three fields; the report names who asked."""
    asked = {"by": "eve", "dry_run": True, "kinds": ["lost_workflow", "lost_file"]}
    await running.typed(
        *("workflow", "execute", "--type", "reconcile", "--task-queue", "darkroom"),
        *("--workflow-id", "reconcile-some", "--input", json.dumps(asked)),
    )
    report = (await running.operator.get("/v1/admin/reconcile")).json()

    assert (report["by"], report["dryRun"]) == ("eve", True)
    assert [one["kind"] for one in report["drifts"]] == ["lost_workflow", "lost_file"]


async def test_only_operators_reconcile(running: Running) -> None:
    """The key of a caller is refused, whatever they ask."""
    answers = [
        await running.api.get("/v1/admin/reconcile"),
        await running.api.post("/v1/admin/reconcile"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
