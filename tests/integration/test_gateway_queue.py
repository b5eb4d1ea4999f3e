"""The queue as callers and operators see it, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from darkroom.domain.admission import Place, QueueTerms, QueueView, WaitingJob, WorkingJob
from darkroom.domain.events import EventKind
from darkroom.domain.job import Priority
from darkroom.domain.lifecycle import JobState, Waiting, WaitingOn
from tests.support.builders import ADA, BOB, JOB, NOW, a_job_id
from tests.support.gateways import (
    ADA_KEY,
    OPERATOR_KEY,
    House,
    RunningGateway,
    a_body,
    written_job,
)
from tests.support.obedient_jobs import obedient_pool

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

ADMIN: list[tuple[str, str, Any]] = [
    ("GET", "/v1/admin/queue", None),
    ("PATCH", "/v1/admin/queue", {"concurrency": 3}),
    ("POST", "/v1/admin/queue:pause", None),
    ("POST", "/v1/admin/queue:resume", None),
    ("POST", "/v1/admin/queue:drain", None),
    ("GET", "/v1/admin/providers", None),
    ("POST", "/v1/admin/providers/nanobanana/nano-banana-2/open", {"reason": "x"}),
    ("POST", "/v1/admin/providers/nanobanana/nano-banana-2/close", None),
]

WAITING = WaitingJob(
    job_id=JOB,
    owner=ADA,
    priority=Priority.LOW,
    effective_priority=Priority.NORMAL,
    submitted_at=NOW,
    place=Place(
        job_id=JOB, position=1, eta_p50_seconds=40, eta_p90_seconds=90, why="all 2 slots are taken"
    ),
)
VIEW = QueueView(
    terms=QueueTerms(concurrency=2, owner_limit=1),
    working=(WorkingJob(job_id=a_job_id(5), owner=BOB, granted_at=NOW),),
    waiting=(WAITING,),
    waiting_count=3,
    waiting_by_priority={Priority.LOW: 1, Priority.NORMAL: 2},
    waiting_by_owner={ADA: 1, BOB: 2},
    oldest_submitted_at=NOW,
)


@pytest.mark.parametrize(("method", "address", "body"), ADMIN)
async def test_house_is_run_by_operators_only(
    gateway: RunningGateway, method: str, address: str, body: Any
) -> None:
    """403 says whose key is needed; without any key it is 401."""
    async with gateway.calling(ADA_KEY) as ada, gateway.calling(None) as nobody:
        refused = await ada.request(method, address, json=body)
        unknown = await nobody.request(method, address, json=body)

    assert refused.status_code == 403
    assert refused.json()["code"] == "scope_missing"
    assert "DARKROOM_OPERATOR_KEY" in refused.json()["remedy"]
    assert unknown.status_code == 401


async def test_operator_reads_the_queue(gateway: RunningGateway) -> None:
    """Who works, who waits by priority and owner, since when, and until when."""
    async with obedient_pool(gateway.temporal, VIEW), gateway.calling(OPERATOR_KEY) as http:
        queue = (await http.get("/v1/admin/queue")).json()

    time = "2026-03-14T15:09:26.535Z"
    assert (queue["concurrency"], queue["ownerLimit"], queue["maxPending"]) == (2, 1, 1000)
    assert (queue["paused"], queue["draining"], queue["changedBy"]) == (False, False, None)
    assert queue["working"] == [
        {"jobId": a_job_id(5), "owner": "bob", "since": time, "silent": False, "freeAt": None}
    ]
    assert queue["waiting"]["count"] == 3
    assert queue["waiting"]["byPriority"] == {"low": 1, "normal": 2}
    assert queue["waiting"]["byOwner"] == {"ada": 1, "bob": 2}
    assert queue["waiting"]["oldestSubmittedAt"] == time
    (waiting,) = queue["waiting"]["jobs"]
    assert waiting["effectivePriority"] == "normal"
    assert (waiting["position"], waiting["etaP90Seconds"]) == (1, 90)


async def test_operator_changes_the_queue(gateway: RunningGateway) -> None:
    """Each change answers what holds now, and by whom."""
    async with obedient_pool(gateway.temporal, VIEW), gateway.calling(OPERATOR_KEY) as http:
        wider = await http.patch("/v1/admin/queue", json={"concurrency": 7, "ownerLimit": None})
        paused = await http.post("/v1/admin/queue:pause", json={"reason": "maintenance"})
        drained = await http.post("/v1/admin/queue:drain")
        resumed = await http.post("/v1/admin/queue:resume")

    assert (wider.json()["concurrency"], wider.json()["ownerLimit"]) == (7, None)
    assert wider.json()["changedBy"] == "operator"
    told = [(one.json()["paused"], one.json()["draining"]) for one in (paused, drained, resumed)]
    assert told == [(True, False), (True, True), (False, False)]
    assert resumed.json()["concurrency"] == 7


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 501}, "concurrency"),
        ({"ownerLimit": 0}, "ownerLimit"),
        ({"ownerLimit": "2"}, "ownerLimit"),
        ({"paused": True}, "paused"),
    ],
)
async def test_change_outside_the_bounds_is_refused(
    gateway: RunningGateway, body: dict[str, Any], field: str
) -> None:
    """422 names the field and what may be sent."""
    async with gateway.calling(OPERATOR_KEY) as http:
        refused = await http.patch("/v1/admin/queue", json=body)

    assert refused.status_code == 422
    assert refused.json()["field"] == field
    assert refused.json()["remedy"]


async def test_change_that_the_pool_refuses_is_a_conflict(gateway: RunningGateway) -> None:
    """409 with the pool's own reason."""
    async with obedient_pool(gateway.temporal, VIEW), gateway.calling(OPERATOR_KEY) as http:
        refused = await http.post("/v1/admin/queue:pause", json={"reason": "refuse this"})

    assert refused.status_code == 409
    assert refused.json()["code"] == "wrong_state"
    assert "the pool has its reasons" in refused.json()["detail"]


async def test_waiting_job_shows_its_place_and_when_its_turn_may_come(house: House) -> None:
    """The row says that it waits, the pool says where; a place is not answered from a cache."""
    gateway = await house.gateway()
    writer = await written_job(gateway.stores)
    waiting = Waiting(on=WaitingOn.SLOT, since=NOW, why="waits for a slot")
    await writer.append(kind=EventKind.JOB_WAITING, state=JobState.PENDING, waiting=waiting)
    async with obedient_pool(gateway.temporal, VIEW), gateway.calling() as http:
        read = await http.get(f"/v1/jobs/{JOB}")
        again = await http.get(f"/v1/jobs/{JOB}", headers={"If-None-Match": read.headers["etag"]})
        (listed,) = (await http.get("/v1/jobs")).json()["jobs"]

    placed = read.json()["waiting"]
    assert (placed["on"], placed["position"], placed["why"]) == ("slot", 1, "all 2 slots are taken")
    assert (placed["etaP50Seconds"], placed["etaP90Seconds"]) == (40, 90)
    assert again.status_code == 200
    assert listed["waiting"] == placed


async def test_without_a_pool_a_waiting_job_still_says_why(gateway: RunningGateway) -> None:
    """Nothing is guessed, and nobody waits for an answer that does not come."""
    writer = await written_job(gateway.stores)
    waiting = Waiting(on=WaitingOn.SLOT, since=NOW, why="waits for a slot")
    await writer.append(kind=EventKind.JOB_WAITING, state=JobState.PENDING, waiting=waiting)
    async with gateway.calling() as http, gateway.calling(OPERATOR_KEY) as operator:
        read = await http.get(f"/v1/jobs/{JOB}")
        queue = await operator.get("/v1/admin/queue")

    assert read.json()["waiting"].keys() == {"on", "since", "why"}
    assert queue.status_code == 503
    assert "worker" in queue.json()["remedy"]


async def test_full_queue_refuses_fresh_jobs_but_never_a_repeat(house: House) -> None:
    """429 with Retry-After; what a key started before is answered, stored or not."""
    gateway = await house.gateway()
    key = {"Idempotency-Key": "a-key-of-this-test"}
    async with gateway.calling() as http:
        first = await http.post("/v1/jobs", json=a_body(count=2), headers=key)
    full = await house.gateway(changes={"queue_max_pending": 3})
    async with obedient_pool(gateway.temporal, VIEW), full.calling() as http:
        refused = await http.post("/v1/jobs", json=a_body(count=2))
        other = await http.post(
            "/v1/jobs", json=a_body(count=2), headers={"Idempotency-Key": "another-key"}
        )
        repeated = await http.post("/v1/jobs", json=a_body(count=2), headers=key)

    assert refused.status_code == other.status_code == 429
    assert refused.json()["code"] == "queue_full"
    assert refused.headers["retry-after"] == "40"
    assert "3 jobs wait" in refused.json()["detail"]
    assert repeated.status_code == 202
    assert repeated.json()["id"] == first.json()["id"]


async def test_drained_queue_takes_jobs_in_again_when_resumed(gateway: RunningGateway) -> None:
    """At once, at the gateway where the operator says so."""
    async with (
        obedient_pool(gateway.temporal, VIEW),
        gateway.calling() as http,
        gateway.calling(OPERATOR_KEY) as operator,
    ):
        await operator.post("/v1/admin/queue:drain")
        refused = await http.post("/v1/jobs", json=a_body(count=2))
        await operator.post("/v1/admin/queue:resume")
        taken = await http.post("/v1/jobs", json=a_body(count=2))

    assert refused.status_code == 503
    assert refused.json()["code"] == "queue_draining"
    assert "operator" in refused.json()["detail"]
    assert refused.headers["retry-after"]
    assert taken.status_code == 202


async def test_change_that_no_worker_hears_is_unavailable(house: House) -> None:
    """503, not a promise."""
    house.heard_within = timedelta(milliseconds=200)
    gateway = await house.gateway()
    async with gateway.calling(OPERATOR_KEY) as http:
        queue = await http.post("/v1/admin/queue:pause")
        gate = await http.post("/v1/admin/providers/nanobanana/nano-banana-2/close")

    for refused in (queue, gate):
        assert refused.status_code == 503
        assert "worker" in refused.json()["remedy"]
