"""Triage of dead letters over HTTP, with a real database and Temporal."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import WorkflowExecutionStatus

from darkroom.domain.dead_letters import LetterState
from darkroom.domain.errors import Disposition
from darkroom.domain.job import JobId, JobStart
from darkroom.domain.lifecycle import JobState
from darkroom.domain.stages import Stage
from gateway import admin_answers
from tests.support.builders import (
    a_batch,
    a_claim,
    a_failed_end,
    a_failure,
    a_job_id,
    a_letter,
    a_snapshot,
    a_start,
)
from tests.support.gateways import OPERATOR_KEY, House, RunningGateway

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

LETTERS = "/v1/admin/dead-letters"
REFUSED = a_failure(code="content_refused", disposition=Disposition.FATAL)
NUMBERS = iter(range(1, 10_000))


def fresh_id() -> JobId:
    """Name a job that no other test of this module's server has started."""
    return a_job_id(7_000_000 + next(NUMBERS))


async def failed_job(
    gateway: RunningGateway, *, age: timedelta = timedelta(0), failure: Any = REFUSED
) -> JobId:
    """Have a job fail, as its workflow would have written it."""
    job_id = fresh_id()
    at = datetime.now(UTC) - age
    await gateway.stores.jobs.claim(a_claim(a_start(job_id=job_id, submitted_at=at)))
    end = a_failed_end(1, at=at, failure=failure)
    snapshot = a_snapshot(1, state=JobState.FAILED, failure=failure, completed_at=at)
    await gateway.stores.outbox.append(a_batch(end, job_id=job_id, snapshot=snapshot))
    return job_id


async def state_of(gateway: RunningGateway, job_id: JobId) -> LetterState:
    """Read what became of a job's letter."""
    record = await gateway.stores.letters.letter(job_id)
    assert record is not None
    return record.state


async def actions(gateway: RunningGateway, job_id: JobId) -> list[str]:
    """List what was done to a job, in order."""
    deeds = await gateway.stores.audit.entries(job_id, limit=100)
    return [deed.entry.action for deed in reversed(deeds)]


async def start_of(gateway: RunningGateway, job_id: JobId) -> JobStart:
    """Read what the job's latest run was given."""
    history = await gateway.temporal.get_workflow_handle(job_id).fetch_history()
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    (start,) = await gateway.temporal.data_converter.decode(payloads, [JobStart])
    return start


def ids(answer: httpx.Response) -> list[str]:
    """List the jobs of a page of letters."""
    return [letter["jobId"] for letter in answer.json()["deadLetters"]]


async def test_letter_says_what_went_wrong_and_the_remedy(gateway: RunningGateway) -> None:
    """Enough for triage without opening the job."""
    job_id = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as http:
        answer = await http.get(f"{LETTERS}/{job_id}")

    letter = answer.json()
    assert answer.status_code == 200
    admin_answers.Letter.model_validate(letter)
    assert letter["error"]["code"] == "content_refused"
    assert letter["error"]["provider"] == "nanobanana"
    assert (letter["stage"], letter["item"]) == ("image_generation", "0001")
    assert (letter["status"], letter["run"], letter["level"]) == ("parked", 1, 0)
    assert letter["owner"] == "ada"
    assert "another prompt" in letter["remedy"]


async def test_letters_are_listed_and_counted_by_filter(gateway: RunningGateway) -> None:
    """Page by page, oldest first; each filter narrows."""
    hour = timedelta(hours=1)
    old = await failed_job(gateway, age=2 * hour)
    middle = await failed_job(gateway, age=hour, failure=a_failure())
    young = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as http:
        first = await http.get(LETTERS, params={"limit": 2})
        rest = await http.get(first.headers["link"].split("<")[1].split(">")[0])
        refused = await http.get(LETTERS, params={"code": "content_refused"})
        aged = await http.get(LETTERS, params={"olderThanSeconds": 1800})
        strangers = await http.get(LETTERS, params={"owner": "bob"})
        counted = await http.get(f"{LETTERS}:count")

    admin_answers.LettersPage.model_validate(first.json())
    admin_answers.LetterCounts.model_validate(counted.json())
    assert (ids(first), ids(rest)) == ([old, middle], [young])
    assert rest.json()["nextCursor"] is None
    assert ids(refused) == [old, young]
    assert ids(aged) == [old, middle]
    assert ids(strangers) == []
    assert counted.json()["total"] == 3
    assert [(one["code"], one["count"]) for one in counted.json()["counts"]] == [
        ("content_refused", 2),
        ("provider_unavailable", 1),
    ]


async def test_redrive_starts_the_next_run_with_the_edits(gateway: RunningGateway) -> None:
    """The job goes on as edited; the letter is closed, and who did it stands in the audit."""
    job_id = await failed_job(gateway)
    edits = {"prompt": {"template": "A quiet lamp at {timeOfDay}, {weather}"}, "image": {"seed": 9}}
    async with gateway.calling(OPERATOR_KEY) as http:
        answer = await http.post(
            f"{LETTERS}/{job_id}/redrive", json={"edits": edits, "reason": "was too loud"}
        )
        letter = (await http.get(f"{LETTERS}/{job_id}")).json()
        deeds = (await http.get("/v1/admin/audit", params={"target": job_id})).json()

    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    assert (answer.json()["status"], answer.json()["run"]) == ("pending", 2)
    start = await start_of(gateway, job_id)
    assert start.expected_run == 1
    assert start.request.image.seed == 9
    assert start.request.prompt.template.startswith("A quiet lamp")
    assert (letter["status"], letter["closedBy"], letter["note"]) == (
        *("redriven", "operator", "was too loud"),
    )
    (deed,) = deeds["entries"]
    admin_answers.DeedsPage.model_validate(deeds)
    assert (deed["action"], deed["actor"], deed["reason"]) == (
        *("redrive_dead_letter", "operator", "was too loud"),
    )
    assert deed["detail"] == {"run": 1, "edits": edits}


async def test_letter_is_redriven_once(gateway: RunningGateway) -> None:
    """Of any number of redrives one starts a run; the others are told that it did."""
    job_id = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as http:
        first = await http.post(f"{LETTERS}/{job_id}/redrive")
        again = await http.post(f"{LETTERS}/{job_id}/redrive")

    assert (first.status_code, again.status_code) == (202, 409)
    assert again.json()["code"] == "wrong_state"
    assert "read the job" in again.json()["remedy"]
    handle = gateway.temporal.get_workflow_handle(job_id)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    assert (await start_of(gateway, job_id)).expected_run == 1


async def test_edit_outside_the_bounds_starts_nothing(gateway: RunningGateway) -> None:
    """The letter stays parked; that somebody tried stands in the audit."""
    job_id = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as http:
        answer = await http.post(
            f"{LETTERS}/{job_id}/redrive", json={"edits": {"image": {"provider": "crayon"}}}
        )

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["field"].startswith("edits.image")
    assert await state_of(gateway, job_id) is LetterState.PARKED
    assert await actions(gateway, job_id) == ["redrive_dead_letter", "refuse_redrive"]


async def test_discarded_letter_must_be_opened_again_to_be_redriven(
    gateway: RunningGateway,
) -> None:
    """A decision against a job is taken back by name before it is overruled."""
    job_id = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as http:
        discarded = await http.post(f"{LETTERS}/{job_id}/discard", json={"reason": "a test"})
        repeated = await http.post(f"{LETTERS}/{job_id}/discard", json={"reason": "again"})
        refused = await http.post(f"{LETTERS}/{job_id}/redrive")
        reopened = await http.post(f"{LETTERS}/{job_id}/reopen", json={"reason": "it matters"})
        redriven = await http.post(f"{LETTERS}/{job_id}/redrive")

    assert (discarded.status_code, discarded.json()["status"]) == (200, "discarded")
    assert discarded.json()["note"] == "a test"
    assert repeated.json() == discarded.json()
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert refused.json()["remedy"].endswith(f"{LETTERS}/{job_id}/reopen")
    assert (reopened.status_code, reopened.json()["status"]) == (200, "parked")
    assert redriven.status_code == 202
    assert await actions(gateway, job_id) == [
        *("discard_dead_letter", "reopen_dead_letter", "redrive_dead_letter"),
    ]


async def test_redriven_letter_cannot_be_discarded_or_opened(gateway: RunningGateway) -> None:
    """What was decided and done is history."""
    job_id = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as http:
        await http.post(f"{LETTERS}/{job_id}/redrive")
        discard = await http.post(f"{LETTERS}/{job_id}/discard", json={"reason": "late"})
        reopen = await http.post(f"{LETTERS}/{job_id}/reopen", json={"reason": "late"})

    for refused in (discard, reopen):
        assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert await state_of(gateway, job_id) is LetterState.REDRIVEN


@pytest.mark.parametrize("body", [None, {}, {"reason": ""}, {"reason": "   "}, {"reason": 7}])
@pytest.mark.parametrize("deed", ["discard", "reopen"])
async def test_discarding_and_opening_want_a_reason(
    gateway: RunningGateway, deed: str, body: Any
) -> None:
    """Nobody closes somebody's job without saying why."""
    job_id = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as http:
        answer = await http.post(f"{LETTERS}/{job_id}/{deed}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert await state_of(gateway, job_id) is LetterState.PARKED


async def test_bulk_redrive_takes_the_oldest_that_answer_and_no_more(
    gateway: RunningGateway,
) -> None:
    """Each letter is answered for itself; repeated, it goes on with the next ones."""
    ages = (5, 4, 3, 2, 1)
    jobs = [await failed_job(gateway, age=timedelta(minutes=age)) for age in ages]
    other = await failed_job(gateway, failure=a_failure())
    body = {"filter": {"code": "content_refused"}, "limit": 3, "edits": {"image": {"seed": 5}}}
    async with gateway.calling(OPERATOR_KEY) as http:
        first = await http.post(f"{LETTERS}:redrive", json=body)
        second = await http.post(f"{LETTERS}:redrive", json=body)
        third = await http.post(f"{LETTERS}:redrive", json=body)

    for answer in (first, second, third):
        assert answer.status_code == 200, answer.text
        admin_answers.BulkResults.model_validate(answer.json())
    assert results(first) == [(job_id, "redriven", 2) for job_id in jobs[:3]]
    assert results(second) == [(job_id, "redriven", 2) for job_id in jobs[3:]]
    assert results(third) == []
    assert [answer.json()["hasMore"] for answer in (first, second, third)] == [True, False, False]
    assert (await start_of(gateway, jobs[4])).request.image.seed == 5
    assert await state_of(gateway, other) is LetterState.PARKED


def results(answer: httpx.Response) -> list[tuple[str, str, int | None]]:
    """List what became of each letter."""
    return [(one["jobId"], one["result"], one["run"]) for one in answer.json()["results"]]


async def test_bulk_redrives_at_once_start_each_job_once(gateway: RunningGateway) -> None:
    """Two operators press the same button; nobody's job runs twice."""
    jobs = [await failed_job(gateway) for _ in range(4)]
    body: dict[str, Any] = {"filter": {}, "limit": 10}
    async with gateway.calling(OPERATOR_KEY) as http:
        await asyncio.gather(*(http.post(f"{LETTERS}:redrive", json=body) for _ in range(3)))

    for job_id in jobs:
        assert (await start_of(gateway, job_id)).expected_run == 1
        assert await state_of(gateway, job_id) is LetterState.REDRIVEN


async def test_one_refusal_of_a_bulk_redrive_stops_none_of_the_others(
    gateway: RunningGateway,
) -> None:
    """A letter whose job is not there any more is refused with its reason."""
    orphan = replace(
        a_letter(), job_id=fresh_id(), parked_at=datetime.now(UTC) - timedelta(hours=1)
    )
    await gateway.stores.letters.park(orphan, by="test")
    job_id = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as http:
        answer = await http.post(f"{LETTERS}:redrive", json={"filter": {}, "limit": 10})

    assert results(answer) == [(orphan.job_id, "refused", None), (job_id, "redriven", 2)]
    assert answer.json()["results"][0]["code"] == "not_found"
    assert answer.json()["results"][0]["remedy"]


async def test_bulk_discard_closes_with_one_reason(gateway: RunningGateway) -> None:
    """Never more than asked for, and each is audited by itself."""
    jobs = [await failed_job(gateway, age=timedelta(minutes=age)) for age in (3, 2, 1)]
    body = {"filter": {"stage": Stage.GENERATE}, "limit": 2, "reason": "load test"}
    async with gateway.calling(OPERATOR_KEY) as http:
        answer = await http.post(f"{LETTERS}:discard", json=body)

    assert [result for _, result, _ in results(answer)] == ["discarded", "discarded"]
    states = [await state_of(gateway, job_id) for job_id in jobs]
    assert states == [LetterState.DISCARDED, LetterState.DISCARDED, LetterState.PARKED]
    assert await actions(gateway, jobs[0]) == ["discard_dead_letter"]


async def test_owner_may_retry_what_an_operator_discarded(house: House) -> None:
    """Discarding is about the operators' desk, not about the owner's job."""
    gateway = await house.gateway()
    job_id = await failed_job(gateway)
    async with gateway.calling(OPERATOR_KEY) as operator, gateway.calling() as owner:
        await operator.post(f"{LETTERS}/{job_id}/discard", json={"reason": "not ours"})
        retried = await owner.post(f"/v1/jobs/{job_id}/retry")

    assert retried.status_code == 202
    assert await state_of(gateway, job_id) is LetterState.DISCARDED


async def test_audit_is_read_page_by_page(gateway: RunningGateway) -> None:
    """Newest first, and nothing twice."""
    jobs: Sequence[JobId] = [await failed_job(gateway) for _ in range(3)]
    async with gateway.calling(OPERATOR_KEY) as http:
        for job_id in jobs:
            await http.post(f"{LETTERS}/{job_id}/discard", json={"reason": "x"})
        first = await http.get("/v1/admin/audit", params={"limit": 2})
        rest = await http.get(first.headers["link"].split("<")[1].split(">")[0])
        wrong = await http.get("/v1/admin/audit", params={"cursor": "x"})

    found = [deed["target"] for page in (first, rest) for deed in page.json()["entries"]]
    assert found == list(reversed(jobs))
    assert rest.json()["nextCursor"] is None
    assert (wrong.status_code, wrong.json()["field"]) == (422, "cursor")
