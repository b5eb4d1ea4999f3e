"""`/v1/admin/reconcile` where no worker is: it says what is missing, and refuses what is wrong."""

from datetime import timedelta

import pytest

from activities.reconcile import ReconcileActivities
from darkroom.domain.drift import DriftExample, DriftKind, DriftReport, ReconcileReport
from tests.support.builders import NOW
from tests.support.gateways import ADA_KEY, OPERATOR_KEY, House, RunningGateway

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

EXAMPLE = DriftExample(target="job_1", why="the job is processing", repaired="started again")
REPORT = ReconcileReport(
    by="ada",
    dry_run=False,
    started_at=NOW,
    ended_at=NOW,
    rounds=(
        DriftReport(
            kind=DriftKind.LOST_WORKFLOW, looked_at=3, found=1, repaired=1, examples=(EXAMPLE,)
        ),
    ),
    unfinished=(DriftExample(target="lost_file", why="the file store is away"),),
)


async def test_before_the_first_reconciliation_there_is_no_report(gateway: RunningGateway) -> None:
    """The answer says how to get one."""
    async with gateway.calling(OPERATOR_KEY) as operator:
        answer = await operator.get("/v1/admin/reconcile")

    assert answer.status_code == 404
    assert "POST /v1/admin/reconcile" in answer.json()["remedy"]


async def test_the_last_report_is_read_from_the_audit_log(gateway: RunningGateway) -> None:
    """Whoever asked for it, every field is there."""
    await ReconcileActivities({}, gateway.stores.audit).file_report(REPORT)

    async with gateway.calling(OPERATOR_KEY) as operator:
        answer = await operator.get("/v1/admin/reconcile")

    report = answer.json()
    assert (report["by"], report["dryRun"]) == ("ada", False)
    assert report["startedAt"] == report["endedAt"] == "2026-03-14T15:09:26.535Z"
    assert report["drifts"] == [
        {
            "kind": "lost_workflow",
            "lookedAt": 3,
            "found": 1,
            "repaired": 1,
            "failed": 0,
            "examples": [
                {
                    "target": "job_1",
                    "why": "the job is processing",
                    "repaired": "started again",
                }
            ],
        }
    ]
    assert [one["target"] for one in report["unfinished"]] == ["lost_file"]


async def test_a_long_report_keeps_its_counts_and_as_many_examples_as_fit(
    gateway: RunningGateway,
) -> None:
    """An audit entry has 4 KiB; what is counted is never cut."""
    long = DriftExample(target="job_1", why="w" * 600)
    rounds = tuple(
        DriftReport(kind=kind, found=10, examples=(long,) * 10) for kind in list(DriftKind)
    )
    report = ReconcileReport(by="ada", dry_run=True, started_at=NOW, ended_at=NOW, rounds=rounds)
    await ReconcileActivities({}, gateway.stores.audit).file_report(report)

    async with gateway.calling(OPERATOR_KEY) as operator:
        answer = await operator.get("/v1/admin/reconcile")

    drifts = answer.json()["drifts"]
    assert [one["found"] for one in drifts] == [10] * len(DriftKind)
    assert {len(one["examples"]) for one in drifts} == {0}


async def test_without_a_worker_a_reconciliation_waits_and_says_so(house: House) -> None:
    """It is not lost: repeated, the request joins it."""
    house.heard_within = timedelta(seconds=0.3)
    gateway = await house.gateway()
    async with gateway.calling(OPERATOR_KEY) as operator:
        answers = [await operator.post("/v1/admin/reconcile?dryRun=true") for _ in range(2)]
    started = [
        execution.id
        async for execution in gateway.temporal.list_workflows("WorkflowType = 'reconcile'")
    ]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert "reconcile-dry-run" in answers[0].json()["detail"]
    assert started in ([], ["reconcile-dry-run"])
    await gateway.temporal.get_workflow_handle("reconcile-dry-run").terminate()


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        (None, "/v1/admin/reconcile", 401),
        (ADA_KEY, "/v1/admin/reconcile", 403),
        (OPERATOR_KEY, "/v1/admin/reconcile?dryRun=perhaps", 422),
        (OPERATOR_KEY, "/v1/admin/reconcile?dry=true", 422),
    ],
)
async def test_what_is_wrong_starts_nothing(
    gateway: RunningGateway, key: str | None, path: str, status: int
) -> None:
    """No key, a caller's key, a value or a name that is not known."""
    async with gateway.calling(key) as client:
        answer = await client.post(path)

    assert answer.status_code == status
