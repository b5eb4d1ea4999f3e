"""`/v1/admin/dead-letters`: triage of jobs that failed after their last attempt."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from darkroom.domain.dead_letters import LetterFilter, LetterRecord, LetterState
from darkroom.domain.job import OwnerId
from gateway import admin_answers as answers
from gateway.admin_schemas import (
    BulkBody,
    BulkDiscardBody,
    BulkRedriveBody,
    LetterQuery,
    LettersAsked,
    LettersCountQuery,
    LettersQuery,
    ReasonBody,
    RedriveBody,
)
from gateway.admin_wire import count_json, letter_json
from gateway.answers import JobRecord, answered
from gateway.cursors import cursor_after_letter, letter_place_of
from gateway.deps import Gateway, Operating, Served
from gateway.request_wire import Json
from gateway.routes.jobs import whole
from gateway.schemas import Unasked
from gateway.triage import (
    Decided,
    Decision,
    discard,
    discard_all,
    letter_of_job,
    redrive,
    redrive_all,
    reopen,
)

router = APIRouter(prefix="/v1/admin", tags=["dead letters"], default_response_class=JSONResponse)

DECIDED = answered(answers.Letter, 401, 403, 404, 409)


@router.get("/dead-letters", responses=answered(answers.LettersPage, 401, 403))
async def list_letters(
    gateway: Served, _operator: Operating, query: Annotated[LettersQuery, Query()]
) -> Response:
    """List dead letters, oldest first: parked ones, unless another status is asked for."""
    after = letter_place_of(query.cursor) if query.cursor else None
    wanted = replace(_filter(query, state=query.status), after=after)
    page, has_more = await _page(gateway, wanted, limit=query.limit)
    following = cursor_after_letter(page[-1]) if has_more else None
    asked = query.model_dump(mode="json", by_alias=True, exclude_unset=True)
    link = f'</v1/admin/dead-letters?{urlencode(asked | {"cursor": following})}>; rel="next"'
    return JSONResponse(
        {"deadLetters": [letter_json(record) for record in page], "nextCursor": following},
        headers={"Link": link} if following else None,
    )


@router.get("/dead-letters:count", responses=answered(answers.LetterCounts, 401, 403))
async def count_letters(
    gateway: Served, _operator: Operating, query: Annotated[LettersCountQuery, Query()]
) -> Response:
    """Count dead letters by error and stage, most first."""
    counts = await gateway.letters.counts(_filter(query, state=query.status))
    total = sum(counted.count for counted in counts)
    return JSONResponse({"counts": [count_json(one) for one in counts], "total": total})


@router.post("/dead-letters:redrive", responses=answered(answers.BulkResults, 401, 403))
async def redrive_letters(
    gateway: Served, operator: Operating, _query: Unasked, body: BulkRedriveBody
) -> Response:
    """Redrive the oldest parked letters that answer a filter, at most `limit` of them.

    Each is answered for itself. Repeated, it goes on with the next ones: what was redriven is
    not parked any more.
    """
    decision = Decision(by=operator.owner, reason=body.reason, edits=body.edits)
    page, has_more = await _parked(gateway, body)
    results = await redrive_all(gateway, page, decision)
    return JSONResponse(_results(results, "redriven", has_more=has_more))


@router.post("/dead-letters:discard", responses=answered(answers.BulkResults, 401, 403))
async def discard_letters(
    gateway: Served, operator: Operating, _query: Unasked, body: BulkDiscardBody
) -> Response:
    """Discard the oldest parked letters that answer a filter, at most `limit` of them."""
    decision = Decision(by=operator.owner, reason=body.reason)
    page, has_more = await _parked(gateway, body)
    results = await discard_all(gateway, page, decision)
    return JSONResponse(_results(results, "discarded", has_more=has_more))


@router.get("/dead-letters/{job_id}", responses=answered(answers.Letter, 401, 403, 404))
async def read_letter(
    job_id: str, gateway: Served, _operator: Operating, query: Annotated[LetterQuery, Query()]
) -> Response:
    """Read the dead letter of a job's latest failed run, or of the run asked for."""
    return JSONResponse(letter_json(await letter_of_job(gateway, job_id, run=query.run)))


@router.post(
    "/dead-letters/{job_id}/redrive",
    status_code=202,
    responses=answered(JobRecord, 401, 403, 404, 409, status=202),
)
async def redrive_letter(
    job_id: str,
    gateway: Served,
    operator: Operating,
    _query: Unasked,
    body: RedriveBody | None = None,
) -> Response:
    """Start the job of a parked letter again from its checkpoint, changed as the edits say."""
    asked = body or RedriveBody()
    decision = Decision(by=operator.owner, reason=asked.reason, edits=asked.edits)
    begun = await redrive(gateway, await letter_of_job(gateway, job_id), decision)
    return JSONResponse(
        await whole(gateway, begun),
        status_code=202,
        headers={"Location": f"/v1/jobs/{begun.start.job_id}"},
    )


@router.post("/dead-letters/{job_id}/discard", responses=DECIDED)
async def discard_letter(
    job_id: str, gateway: Served, operator: Operating, _query: Unasked, body: ReasonBody
) -> Response:
    """Close a parked letter for good. The job stays failed, and its owner may still retry it."""
    decision = Decision(by=operator.owner, reason=body.reason)
    closed = await discard(gateway, await letter_of_job(gateway, job_id), decision)
    return JSONResponse(letter_json(closed))


@router.post("/dead-letters/{job_id}/reopen", responses=DECIDED)
async def reopen_letter(
    job_id: str, gateway: Served, operator: Operating, _query: Unasked, body: ReasonBody
) -> Response:
    """Park a discarded letter again: it was discarded by mistake, or is to be redriven."""
    decision = Decision(by=operator.owner, reason=body.reason)
    parked = await reopen(gateway, await letter_of_job(gateway, job_id), decision)
    return JSONResponse(letter_json(parked))


async def _parked(gateway: Gateway, body: BulkBody) -> tuple[Sequence[LetterRecord], bool]:
    wanted = _filter(body.filter, state=LetterState.PARKED)
    return await _page(gateway, wanted, limit=body.limit)


async def _page(
    gateway: Gateway, wanted: LetterFilter, *, limit: int
) -> tuple[Sequence[LetterRecord], bool]:
    found = await gateway.letters.letters(wanted, limit=limit + 1)
    return found[:limit], len(found) > limit


def _filter(asked: LettersAsked, *, state: LetterState) -> LetterFilter:
    age = asked.older_than_seconds
    return LetterFilter(
        state=state,
        code=asked.code,
        stage=asked.stage,
        provider=asked.provider,
        owner=OwnerId(asked.owner) if asked.owner else None,
        kind=asked.type,
        parked_before=None if age is None else datetime.now(UTC) - timedelta(seconds=age),
    )


def _results(results: Sequence[Decided], done: str, *, has_more: bool) -> Json:
    return {"results": [_result_json(one, done) for one in results], "hasMore": has_more}


def _result_json(one: Decided, done: str) -> Json:
    problem = one.problem
    return {
        "jobId": one.record.letter.job_id,
        "result": "refused" if problem else done,
        "run": one.run,
        "code": problem and problem.kind.code,
        "detail": problem and problem.detail,
        "remedy": problem and problem.remedy,
        "errors": [fault.json() for fault in problem.faults] if problem else None,
    }
