"""Submit, read, list, follow and cancel over HTTP, with a real database and Temporal."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.events import EventKind
from darkroom.domain.items import ItemState
from darkroom.domain.job import DifferenceRequest, DifferenceResult, JobKind, JobStart, Priority
from darkroom.domain.lifecycle import JobState
from darkroom.domain.names import SEARCH_ATTRIBUTES
from gateway.acceptance import accept
from gateway.idempotency import job_id_of
from gateway.schemas import JobBody
from tests.support.builders import (
    ADA,
    NOW,
    a_claim,
    a_failure,
    a_job_id,
    a_picture,
    a_request,
    a_start,
    an_item,
)
from tests.support.gateways import BOB_KEY, House, RunningGateway, a_body, written_job

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

JOB = a_job_id(1)
WITHIN_SECONDS = 10


async def test_submitted_job_is_accepted_and_can_be_read_at_once(gateway: RunningGateway) -> None:
    """202, an address, and the pending record, before any worker has seen the job."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body())
        read = await http.get(taken.headers["location"])

    record = taken.json()
    assert taken.status_code == 202
    assert taken.headers["location"] == f"/v1/jobs/{record['id']}"
    assert record["status"] == "pending"
    assert record["seq"] == 1
    assert record["owner"] == record["data"]["userId"] == "ada"
    assert record["cost"]["estimated"]["amountMicros"] > 8 * 20_000
    assert read.json() == record
    assert read.headers["etag"] == '"1"'


async def test_started_workflow_is_readable_for_operators(gateway: RunningGateway) -> None:
    """Type, priority, search attributes and words are made for the Temporal Web UI."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(priority="high"))

    handle = gateway.temporal.get_workflow_handle(taken.json()["id"])
    described = await handle.describe()
    assert described.workflow_type == JobKind.IMAGE_GENERATION
    assert described.status is WorkflowExecutionStatus.RUNNING
    assert described.task_queue == "darkroom"
    named = dict(described.search_attributes)
    assert set(named) >= set(SEARCH_ATTRIBUTES)
    assert named["DarkroomStatus"] == ["pending"]
    assert named["DarkroomOwner"] == ["ada"]
    assert named["DarkroomPriority"] == ["high"]
    assert named["DarkroomLabels"] == ["campaign:spring"]
    assert "8 pictures for ada" in (await described.static_summary() or "")
    assert "high priority" in (await described.static_details() or "")


async def test_started_workflow_gets_everything_it_needs(gateway: RunningGateway) -> None:
    """The door resolves plans into the input, because workflows read no settings."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(timeoutSeconds=30, maxRetries=1))

    handle = gateway.temporal.get_workflow_handle(taken.json()["id"])
    history = await handle.fetch_history()
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    (start,) = await gateway.temporal.data_converter.decode(payloads, [JobStart])
    assert start.owner == "ada"
    assert start.expected_run == 0
    assert start.plans.timeout == timedelta(seconds=30)
    assert start.plans.generate.max_retries == 1
    assert start.request.picture_count == 8


class Ponderer(MaximinDifferentiator):
    """Thinks until the test lets it go on."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()

    def choose(self, request: DifferenceRequest) -> DifferenceResult:
        """Answer at last."""
        self.may_answer.wait(WITHIN_SECONDS)
        return super().choose(request)


async def test_question_that_takes_too_long_is_left_to_the_analyze_stage(house: House) -> None:
    """A caller does not wait for a proof; the job is accepted and asks again."""
    ponderer = Ponderer()
    house.differentiator, house.choosing_patience_seconds = ponderer, 0.05
    gateway = await house.gateway()
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body())
        impossible = await http.post("/v1/jobs", json=a_body(count=65))
    ponderer.may_answer.set()

    assert taken.status_code == 202
    assert impossible.status_code == 202


async def test_repeated_submit_with_the_same_key_is_the_same_job(gateway: RunningGateway) -> None:
    """The answer is the first one, and nothing is started twice."""
    key = {"Idempotency-Key": "spring-1"}
    async with gateway.calling() as http:
        first = await http.post("/v1/jobs", json=a_body(), headers=key)
        again = await http.post("/v1/jobs", json=a_body(priority="normal"), headers=key)

    assert again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


async def test_fifty_concurrent_submits_with_one_key_start_one_job(
    gateway: RunningGateway,
) -> None:
    """The server settles the race; everybody gets the same record."""
    key = {"Idempotency-Key": "spring-2"}
    async with gateway.calling() as http:
        answers = await asyncio.gather(
            *(http.post("/v1/jobs", json=a_body(), headers=key) for _ in range(50))
        )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    fresh = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    assert len(fresh) == 1


async def test_same_key_with_another_request_is_refused(gateway: RunningGateway) -> None:
    """A key names one request for ever."""
    key = {"Idempotency-Key": "spring-3"}
    async with gateway.calling() as http:
        first = await http.post("/v1/jobs", json=a_body(), headers=key)
        other = await http.post("/v1/jobs", json=a_body(count=7), headers=key)

    problem = other.json()
    assert other.status_code == 422
    assert problem["code"] == "idempotency_mismatch"
    assert problem["field"] == "Idempotency-Key"
    assert problem["jobId"] == first.json()["id"]
    assert problem["remedy"]


async def test_key_is_remembered_by_the_store_after_temporal_forgot(
    gateway: RunningGateway,
) -> None:
    """The promise outlives Temporal's retention of closed workflows."""
    key = {"Idempotency-Key": "spring-4"}
    job_id = job_id_of(ADA, "spring-4")
    accepted = accept(JobBody.model_validate(a_body()), gateway.settings)
    await written_job(gateway.stores, job_id=job_id, request=accepted.request, plans=accepted.plans)
    async with gateway.calling() as http:
        again = await http.post("/v1/jobs", json=a_body(), headers=key)
        other = await http.post("/v1/jobs", json=a_body(count=7), headers=key)

    assert again.status_code == 202
    assert again.json()["id"] == job_id
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json()["code"] == "idempotency_mismatch"
    with pytest.raises(RPCError, match="not found"):
        await gateway.temporal.get_workflow_handle(job_id).describe()


async def test_key_of_one_owner_means_nothing_to_another(gateway: RunningGateway) -> None:
    """Two owners may use the same words."""
    key = {"Idempotency-Key": "spring-5"}
    async with gateway.calling() as ada, gateway.calling(BOB_KEY) as bob:
        hers = await ada.post("/v1/jobs", json=a_body(), headers=key)
        his = await bob.post("/v1/jobs", json=a_body(count=7), headers=key)

    assert hers.status_code == his.status_code == 202
    assert hers.json()["id"] != his.json()["id"]


async def test_record_follows_the_log(gateway: RunningGateway) -> None:
    """What the store knows is what is read, with the number of its last event as version."""
    writer = await written_job(gateway.stores, job_id=JOB)
    items = (
        an_item(state=ItemState.STORED, picture=a_picture()),
        an_item(key="0002", state=ItemState.FAILED, failure=a_failure()),
    )
    await writer.append(2, items=items)
    async with gateway.calling() as http:
        read = await http.get(f"/v1/jobs/{JOB}")
        images = await http.get(f"/v1/jobs/{JOB}/images")

    record = read.json()
    assert read.headers["etag"] == '"3"'
    assert record["status"] == "processing"
    assert [image["item"] for image in record["result"]["images"]] == ["0001"]
    assert [error["item"] for error in record["result"]["errors"]] == ["0002"]
    assert images.json()["images"] == record["result"]["images"]


async def test_unchanged_record_is_not_sent_again(gateway: RunningGateway) -> None:
    """Polling costs little: 304 until there is a newer event."""
    writer = await written_job(gateway.stores, job_id=JOB)
    async with gateway.calling() as http:
        first = await http.get(f"/v1/jobs/{JOB}")
        known = {"If-None-Match": first.headers["etag"]}
        same = await http.get(f"/v1/jobs/{JOB}", headers=known)
        await writer.append()
        newer = await http.get(f"/v1/jobs/{JOB}", headers=known)

    assert same.status_code == 304
    assert same.content == b""
    assert newer.status_code == 200
    assert newer.json()["seq"] == 2


async def test_claimed_job_without_events_reads_as_submitted(gateway: RunningGateway) -> None:
    """Between claim and first event a caller sees no half-made record."""
    await gateway.stores.jobs.claim(a_claim(a_start(job_id=JOB)))
    async with gateway.calling() as http:
        read = (await http.get(f"/v1/jobs/{JOB}")).json()
        listed = (await http.get("/v1/jobs")).json()["jobs"][0]

    for record in (read, listed):
        assert record["seq"] == 1
        assert record["status"] == "pending"
        assert record["progress"]["images"]["total"] == 2


async def test_log_is_read_page_by_page(gateway: RunningGateway) -> None:
    """Every event once, in order, and a link to the next page."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(24)
    seqs: list[int] = []
    address: str | None = f"/v1/jobs/{JOB}/events?limit=10"
    async with gateway.calling() as http:
        while address:
            page = await http.get(address)
            seqs += [event["seq"] for event in page.json()["events"]]
            address = page.links["next"]["url"] if "next" in page.links else None

    assert seqs == list(range(1, 26))


async def test_log_after_a_number_holds_only_what_came_later(gateway: RunningGateway) -> None:
    """A poller continues where it stopped."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(4, kind=EventKind.IMAGE_STORED)
    async with gateway.calling() as http:
        page = (await http.get(f"/v1/jobs/{JOB}/events?after=3")).json()
        end = (await http.get(f"/v1/jobs/{JOB}/events?after=5")).json()

    assert [(event["seq"], event["type"]) for event in page["events"]] == [
        (4, "JOB_PROGRESS"),
        (5, "JOB_PROGRESS"),
    ]
    assert page["lastSeq"] == 5
    assert page["hasMore"] is False
    assert end == {"events": [], "lastSeq": 5, "hasMore": False}


async def test_list_goes_back_in_time_page_by_page(gateway: RunningGateway) -> None:
    """Newest first, every job once, also when a newer one arrives in between."""
    for number in range(1, 8):
        at = NOW + timedelta(seconds=number)
        await written_job(gateway.stores, job_id=a_job_id(number), submitted_at=at)
    seen: list[str] = []
    address: str | None = "/v1/jobs?limit=3&priority=normal"
    async with gateway.calling() as http:
        while address:
            page = await http.get(address)
            seen += [job["id"] for job in page.json()["jobs"]]
            address = page.links["next"]["url"] if "next" in page.links else None
            if len(seen) == 3:
                late = NOW + timedelta(minutes=1)
                await written_job(gateway.stores, job_id=a_job_id(99), submitted_at=late)

    assert seen == [a_job_id(number) for number in range(7, 0, -1)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1]),
        ("status=processing", [4, 2, 1]),
        ("status=failed", [3]),
        ("type=image_generation", [4, 3, 2, 1]),
        ("type=batch_processing", []),
        ("priority=high", [2]),
        ("label=campaign:autumn", [4]),
        ("status=processing&priority=normal", [4, 1]),
    ],
)
async def test_list_is_filtered(gateway: RunningGateway, query: str, expected: list[int]) -> None:
    """By status, type, priority and label, alone or together."""
    normal = a_request()
    requests = {
        1: normal,
        2: replace(normal, priority=Priority.HIGH),
        3: normal,
        4: replace(normal, labels={"campaign": "autumn"}),
    }
    for number, request in requests.items():
        at = NOW + timedelta(seconds=number)
        writer = await written_job(
            gateway.stores, job_id=a_job_id(number), request=request, submitted_at=at
        )
        if number == 3:
            await writer.append(kind=EventKind.JOB_FAILED, state=JobState.FAILED)
    async with gateway.calling() as http:
        page = (await http.get(f"/v1/jobs?{query}")).json()

    assert [job["id"] for job in page["jobs"]] == [a_job_id(number) for number in expected]
    assert page["nextCursor"] is None


async def test_cancel_reaches_the_workflow_and_may_be_repeated(gateway: RunningGateway) -> None:
    """Cancel is what `temporal workflow cancel` does."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body())
        job_id = taken.json()["id"]
        answers = [
            await http.post(f"/v1/jobs/{job_id}/cancel", json={"mode": "now"}),
            await http.post(f"/v1/jobs/{job_id}/cancel"),
        ]

    assert [answer.status_code for answer in answers] == [200, 200]
    history = await gateway.temporal.get_workflow_handle(job_id).fetch_history()
    asked = [
        event
        for event in history.events
        if event.HasField("workflow_execution_cancel_requested_event_attributes")
    ]
    assert len(asked) >= 1


@pytest.mark.parametrize(
    ("state", "status"),
    [(JobState.COMPLETED, 409), (JobState.FAILED, 409), (JobState.CANCELLED, 200)],
)
async def test_cancel_of_a_finished_job_says_so(
    gateway: RunningGateway, state: JobState, status: int
) -> None:
    """A cancelled job stays cancelled; any other end cannot be undone."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(state=state)
    async with gateway.calling() as http:
        answer = await http.post(f"/v1/jobs/{JOB}/cancel")

    assert answer.status_code == status
    if status == 409:
        assert answer.json()["code"] == "job_finished"
        assert answer.json()["remedy"]


async def test_job_that_has_not_heard_its_cancel_yet_still_reads_as_it_was(
    gateway: RunningGateway,
) -> None:
    """Nobody but the workflow changes a job's status."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body())
        cancelled = await http.post(f"{taken.headers['location']}/cancel")
        read = await http.get(taken.headers["location"])

    assert cancelled.json() == read.json() == taken.json()
