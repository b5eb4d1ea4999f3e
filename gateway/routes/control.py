"""`/v1/jobs/{id}/...`: what its owner, or an operator, may tell a job."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.control import (
    CancelMode,
    CancelOrder,
    DecideOrder,
    PauseOrder,
    PriorityOrder,
    ResumeOrder,
)
from darkroom.domain.lifecycle import JobState
from gateway import answers
from gateway.answers import answered
from gateway.auth import Caller
from gateway.commands import NotOpen
from gateway.deps import Calling, Gateway, Served
from gateway.errors import invalid
from gateway.faults import Fault
from gateway.quotes import cancel_quote
from gateway.retrying import retry
from gateway.routes.jobs import whole
from gateway.schemas import (
    CancelBody,
    CancelQuery,
    ChangeBody,
    DecideBody,
    PauseBody,
    ResumeBody,
    RetryBody,
    Unasked,
)
from gateway.steering import finished, open_record, over, steered
from gateway.wire import quote_json

router = APIRouter(prefix="/v1/jobs", tags=["control"], default_response_class=JSONResponse)

STEERED = answered(answers.JobRecord, 401, 404, 409)
DRY_RUN = {200: {"model": answers.JobRecord | answers.CancelQuote}}


@router.post("/{job_id}/pause", responses=STEERED)
async def pause_job(
    job_id: str, gateway: Served, caller: Calling, _query: Unasked, body: PauseBody | None = None
) -> Response:
    """Have a job buy nothing more until it is resumed; what is in flight is collected."""
    order = PauseOrder(by=caller.owner, reason=body.reason if body else "")
    record = await steered(
        gateway, caller, job_id, lambda known: gateway.orders.pause(known, order)
    )
    return JSONResponse(await whole(gateway, record))


@router.post("/{job_id}/resume", responses=STEERED)
async def resume_job(
    job_id: str,
    gateway: Served,
    caller: Calling,
    _query: Unasked,
    _body: ResumeBody | None = None,
) -> Response:
    """Have a paused job go on; it kept its place in the queue."""
    order = ResumeOrder(by=caller.owner)
    record = await steered(
        gateway, caller, job_id, lambda known: gateway.orders.resume(known, order)
    )
    return JSONResponse(await whole(gateway, record))


@router.post("/{job_id}/cancel", responses=STEERED | DRY_RUN)
async def cancel_job(
    job_id: str,
    gateway: Served,
    caller: Calling,
    query: Annotated[CancelQuery, Query()],
    body: CancelBody | None = None,
) -> Response:
    """Stop a job for good: at once, or when what is in flight is collected.

    With mode `now` its status changes when its workflow has heard it. `?dry_run=true` changes
    nothing and answers what the cancel would bill and save.
    """
    mode = body.mode if body else CancelMode.NOW
    record = await gateway.reader.record(job_id, caller.sees)
    if record.snapshot.state is JobState.CANCELLED and not query.dry_run:
        return JSONResponse(await whole(gateway, record))
    if record.snapshot.state.is_terminal:
        raise finished(record)
    if query.dry_run:
        return await _quote(gateway, record, mode)
    return JSONResponse(await whole(gateway, await _cancelled(gateway, caller, record, mode)))


@router.patch("/{job_id}", responses=STEERED)
async def change_job(
    job_id: str, gateway: Served, caller: Calling, _query: Unasked, body: ChangeBody
) -> Response:
    """Move an open job up or down in the queue."""
    order = PriorityOrder(priority=body.priority, by=caller.owner)
    record = await steered(
        gateway, caller, job_id, lambda known: gateway.orders.set_priority(known, order)
    )
    return JSONResponse(await whole(gateway, record))


@router.post("/{job_id}/decide", responses=STEERED)
async def decide_about_job(
    job_id: str, gateway: Served, caller: Calling, _query: Unasked, body: DecideBody
) -> Response:
    """Settle purchases of which nobody knows whether they were made: buy again, or give up."""
    record = await open_record(gateway, caller, job_id)
    if body.item is not None and body.item not in {item.key for item in record.items}:
        raise invalid([_unknown_item(body.item, record)])
    order = DecideOrder(decision=body.decision, item=body.item, by=caller.owner)
    decided = await steered(
        gateway, caller, job_id, lambda known: gateway.orders.decide(known, order)
    )
    return JSONResponse(await whole(gateway, decided))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    responses=answered(answers.JobRecord, 401, 404, 409, status=202),
)
async def retry_job(
    job_id: str, gateway: Served, caller: Calling, _query: Unasked, body: RetryBody | None = None
) -> Response:
    """Start a failed or cancelled job again from its checkpoint, changed as the edits say."""
    asked = body or RetryBody()
    record = await gateway.reader.record(job_id, caller.sees)
    begun = await retry(gateway, record, asked.edits, by=caller.owner, scope=asked.items)
    return JSONResponse(
        await whole(gateway, begun),
        status_code=202,
        headers={"Location": f"/v1/jobs/{begun.start.job_id}"},
    )


async def _quote(gateway: Gateway, record: JobRecord, mode: CancelMode) -> Response:
    job_id = record.start.job_id
    rows = await gateway.ledger.of_job(job_id)
    prompts_micros = await gateway.prompts.spent_micros(job_id)
    quote = cancel_quote(record, rows, prompts_micros=prompts_micros, mode=mode)
    return JSONResponse(quote_json(job_id, quote))


async def _cancelled(
    gateway: Gateway, caller: Caller, record: JobRecord, mode: CancelMode
) -> JobRecord:
    job_id = record.start.job_id
    if mode is CancelMode.AFTER_CURRENT:
        order = CancelOrder(mode=mode, by=caller.owner)
        return await steered(
            gateway, caller, job_id, lambda known: gateway.orders.cancel(known, order)
        )
    try:
        await gateway.orders.cancel_now(job_id, by=caller.owner)
    except NotOpen:
        now = (await gateway.reader.live(job_id, caller.sees)).record
        if now.snapshot.state is not JobState.CANCELLED:
            raise await over(gateway, caller, job_id) from None
        return now
    return record


def _unknown_item(item: str, record: JobRecord) -> Fault:
    known = [one.key for one in record.items]
    remedy = f"name one of {known[0]} to {known[-1]}" if known else "wait until it has pictures"
    return Fault(field="item", message=f"{item} is not a picture of this job", remedy=remedy)
