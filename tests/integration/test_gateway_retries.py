"""A retry over HTTP: what is started, what may be edited, and when it is refused."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from darkroom.domain.items import ItemState
from darkroom.domain.job import JobId, JobStart, PromptMode, RetryScope, RetryTerms
from darkroom.domain.lifecycle import JobState
from darkroom.domain.retries import IMMEDIATE, LINEAR
from tests.support.builders import (
    ADA,
    PLANS,
    REQUEST,
    a_claim,
    a_failure,
    a_picture,
    a_request,
    an_item,
)
from tests.support.gateways import OPERATOR_KEY, RunningGateway, a_body, written_job
from tests.support.obedient_jobs import END, obedient_worker
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]


@pytest.fixture
def job_id() -> JobId:
    """An id that no other test uses: all share one Temporal."""
    return JobId(f"job_{uuid.uuid4().hex}")


@pytest.fixture
async def failed(gateway: RunningGateway, job_id: JobId) -> RunningGateway:
    """A gateway with a job of Ada's that failed with one picture stored."""
    writer = await written_job(gateway.stores, job_id=job_id)
    items = (
        an_item(state=ItemState.STORED, picture=a_picture()),
        an_item(key="0002", state=ItemState.FAILED, failure=a_failure()),
    )
    await writer.append(items=items, state=JobState.FAILED)
    return gateway


async def started(temporal: Client, job_id: str) -> JobStart:
    """Read the input of a job's latest run."""
    history = await temporal.get_workflow_handle(job_id).fetch_history()
    attributes = history.events[0].workflow_execution_started_event_attributes
    (start,) = await temporal.data_converter.decode(attributes.input.payloads, [JobStart])
    return start


async def test_retry_starts_the_next_run_of_the_same_job(
    failed: RunningGateway, job_id: JobId
) -> None:
    """Nothing of the request changes, and the job keeps the place of its first submit."""
    before = await failed.stores.jobs.job(job_id)
    async with failed.calling() as http:
        answer = await http.post(f"/v1/jobs/{job_id}/retry")

    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    assert (job["status"], job["run"], job["retryCount"]) == ("pending", 2, 1)
    assert job["error"] is job["completedAt"] is job["outcome"] is None
    assert len(job["result"]["images"]) == 1
    assert before
    assert await started(failed.temporal, job_id) == replace(
        before.start, expected_run=1, retry=RetryTerms(by="ada")
    )


async def test_retry_that_a_worker_takes_up_answers_what_it_became(
    failed: RunningGateway, job_id: JobId
) -> None:
    """Whoever reads next does not read the failure any more."""
    async with failed.calling() as http:
        retrying = asyncio.create_task(http.post(f"/v1/jobs/{job_id}/retry"))
        start = await eventually(lambda: begun(failed, job_id), what="the start")
        assert start
        await failed.stores.jobs.claim(a_claim(start, writer="run-2"))
        answer = await retrying
        read = await http.get(f"/v1/jobs/{job_id}")

    assert answer.json()["run"] == read.json()["run"] == 2
    assert read.json()["status"] == "pending"


async def begun(gateway: RunningGateway, job_id: str) -> JobStart | None:
    """Read the input of a job's latest run, if it has one."""
    try:
        return await started(gateway.temporal, job_id)
    except RPCError:
        return None


async def test_edits_reach_the_run_and_say_what_they_renew(
    failed: RunningGateway, job_id: JobId
) -> None:
    """An operator may redraw everything with another prompt, seed and plan."""
    edits = {
        "prompt": {"template": "A lamp at {timeOfDay}", "mode": "precise"},
        "image": {"seed": 7, "size": "2K"},
        "retryStrategy": "immediate",
        "timeoutSeconds": 60,
        "onUnknown": "rebuy_once",
        "onImageFailure": "fail",
    }
    async with failed.calling(OPERATOR_KEY) as http:
        answer = await http.post(f"/v1/jobs/{job_id}/retry", json={"items": "all", "edits": edits})

    start = await started(failed.temporal, job_id)
    assert answer.status_code == 202, answer.text
    assert start.owner == ADA
    assert start.retry == RetryTerms(
        by="operator", scope=RetryScope.ALL, renews_prompts=True, opens_takes=True
    )
    prompt, image = start.request.prompt, start.request.image
    assert (prompt.template, prompt.mode) == ("A lamp at {timeOfDay}", PromptMode.PRECISE)
    assert (image.seed, image.size, image.model) == (7, "2K", "nano-banana-2")
    assert start.plans.timeout == timedelta(minutes=1)
    assert start.plans.enhance == start.plans.generate == IMMEDIATE
    assert start.plans.on_unknown == "rebuy_once"
    assert start.plans.estimated_micros > PLANS.estimated_micros
    assert start.request.dimensions == REQUEST.dimensions
    assert answer.json()["data"]["parameters"]["image"]["seed"] == 7


async def test_edit_of_one_plan_leaves_everything_else(
    failed: RunningGateway, job_id: JobId
) -> None:
    """More retries of the same strategy; nothing is bought anew."""
    async with failed.calling() as http:
        await http.post(f"/v1/jobs/{job_id}/retry", json={"edits": {"maxRetries": 1}})

    start = await started(failed.temporal, job_id)
    assert start.plans.generate == replace(LINEAR, max_retries=1)
    assert start.plans.timeout == PLANS.timeout
    assert start.request == a_request()
    assert start.retry == RetryTerms(by="ada")


@pytest.mark.parametrize(
    ("edits", "field"),
    [
        ({"timeoutSeconds": 100_000}, "edits.timeoutSeconds"),
        ({"maxRetries": 21}, "edits.maxRetries"),
        ({"retryStrategy": "immediate", "maxRetries": 2}, "edits.maxRetries"),
        ({"image": {"provider": "elsewhere"}}, "edits.image.provider"),
        ({"image": {"model": "unheard-of"}}, "edits.image.model"),
        ({"image": {"seed": -1}}, "edits.image.seed"),
        ({"prompt": {"template": "A {car}"}}, "edits.prompt.template"),
        ({"prompt": {"template": ""}}, "edits.prompt.template"),
        ({"count": 3}, "edits.count"),
        ({"onUnknown": "guess"}, "edits.onUnknown"),
    ],
)
async def test_edit_outside_the_bounds_of_a_submit_is_refused(
    failed: RunningGateway, job_id: JobId, edits: dict[str, Any], field: str
) -> None:
    """422 names the field as the caller wrote it; no run is started."""
    async with failed.calling() as http:
        answer = await http.post(f"/v1/jobs/{job_id}/retry", json={"edits": edits})
        read = await http.get(f"/v1/jobs/{job_id}")

    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert answer.json()["remedy"]
    assert read.json()["status"] == "failed"
    assert await begun(failed, job_id) is None


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (JobState.COMPLETED, "use_fork"),
        (JobState.PROCESSING, "wrong_state"),
        (JobState.PENDING, "wrong_state"),
    ],
)
async def test_only_a_failed_or_cancelled_job_can_be_retried(
    gateway: RunningGateway, job_id: JobId, state: JobState, code: str
) -> None:
    """409 says what to do instead."""
    writer = await written_job(gateway.stores, job_id=job_id)
    await writer.append(state=state)
    async with gateway.calling() as http:
        answer = await http.post(f"/v1/jobs/{job_id}/retry")

    assert answer.status_code == 409
    assert answer.json()["code"] == code
    assert state in answer.json()["detail"]
    assert answer.json()["remedy"]


async def test_two_retries_at_once_start_one_run(failed: RunningGateway, job_id: JobId) -> None:
    """The same wish twice is the same run; another wish is told that it came second."""
    async with failed.calling() as http:
        alike = await asyncio.gather(*(http.post(f"/v1/jobs/{job_id}/retry") for _ in range(3)))
        other = await http.post(f"/v1/jobs/{job_id}/retry", json={"items": "all"})

    assert [answer.status_code for answer in alike] == [202, 202, 202]
    assert {answer.json()["run"] for answer in alike} == {2}
    assert other.status_code == 409
    assert "came first" in other.json()["detail"]
    assert (await started(failed.temporal, job_id)).retry == RetryTerms(by="ada")


async def test_retry_waits_for_the_run_that_is_still_closing(gateway: RunningGateway) -> None:
    """The store knows the end before Temporal does; the caller need not know of that."""
    async with obedient_worker(gateway.temporal), gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(count=2))
        job_id = taken.json()["id"]
        first = await started(gateway.temporal, job_id)
        writer = await written_job(gateway.stores, job_id=first.job_id, request=first.request)
        await writer.append(state=JobState.FAILED)
        retrying = asyncio.create_task(http.post(f"/v1/jobs/{job_id}/retry"))
        handle = gateway.temporal.get_workflow_handle(job_id)
        await handle.signal(END)
        answer = await retrying

    assert answer.status_code == 202
    assert (await started(gateway.temporal, job_id)).expected_run == 1


async def test_retry_of_a_run_that_does_not_close_is_a_conflict(gateway: RunningGateway) -> None:
    """After two seconds the caller is told that it is still closing."""
    async with obedient_worker(gateway.temporal), gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(count=2))
        first = await started(gateway.temporal, taken.json()["id"])
        writer = await written_job(gateway.stores, job_id=first.job_id, request=first.request)
        await writer.append(state=JobState.CANCELLED)
        answer = await http.post(f"/v1/jobs/{first.job_id}/retry")

    assert answer.status_code == 409
    assert answer.json()["code"] == "wrong_state"
    assert "closing" in answer.json()["detail"]


async def test_first_request_repeated_after_an_edited_retry_is_still_the_same_job(
    gateway: RunningGateway,
) -> None:
    """An Idempotency-Key remembers what was asked first, not what an edit made of it."""
    key = {"Idempotency-Key": "spring-1"}
    async with obedient_worker(gateway.temporal), gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(count=2), headers=key)
        job_id = taken.json()["id"]
        first = await started(gateway.temporal, job_id)
        writer = await written_job(gateway.stores, job_id=first.job_id, request=first.request)
        await writer.append(state=JobState.FAILED)
        await gateway.temporal.get_workflow_handle(job_id).signal(END)
        edits = {"prompt": {"template": "A lamp"}}
        await http.post(f"/v1/jobs/{job_id}/retry", json={"edits": edits})
        start = await started(gateway.temporal, job_id)
        await gateway.stores.jobs.claim(a_claim(start, writer="run-2"))
        again = await http.post("/v1/jobs", json=a_body(count=2), headers=key)
        other = await http.post("/v1/jobs", json=a_body(count=3), headers=key)

    assert again.status_code == 202
    assert again.json()["id"] == job_id
    assert other.json()["code"] == "idempotency_mismatch"
