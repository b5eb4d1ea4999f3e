"""`/v1/admin/queue`: how many jobs work at a time, who waits, and whether anybody may begin."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from darkroom.domain.admission import NO_OWNER_LIMIT, QueueChange
from gateway.answers import answered
from gateway.commands import NotOpen, OrderRefused, OrderUnheard
from gateway.deps import Gateway, Operating, Served
from gateway.errors import VALIDATION_FAILED, WRONG_STATE, Problem, invalid, unheard
from gateway.faults import Fault
from gateway.operating_answers import Queue, QueueTerms
from gateway.operating_schemas import QueueBody, QueueOrderBody
from gateway.operating_wire import queue_json, terms_json
from gateway.schemas import Unasked

router = APIRouter(prefix="/v1/admin", tags=["queue"], default_response_class=JSONResponse)

CHANGED = answered(QueueTerms, 401, 403, 409)


@router.get("/queue", responses=answered(Queue, 401, 403))
async def read_queue(gateway: Served, _operator: Operating, _query: Unasked) -> Response:
    """Read who works, and who waits in the order of their turns."""
    view = await gateway.pool.view()
    if view is None:
        raise unheard(
            "the slot pool does not answer",
            remedy="see that a worker runs: it makes the pool, and answers for it",
        )
    return JSONResponse(queue_json(view, max_pending=gateway.settings.queue_max_pending))


@router.patch("/queue", responses=CHANGED)
async def change_queue(
    gateway: Served, operator: Operating, _query: Unasked, body: QueueBody
) -> Response:
    """Change how many jobs work at a time, of all owners or of each; outlives restarts."""
    is_lifted = "owner_limit" in body.model_fields_set and body.owner_limit is None
    change = QueueChange(
        concurrency=body.concurrency,
        owner_limit=NO_OWNER_LIMIT if is_lifted else body.owner_limit,
        by=operator.owner,
        reason=body.reason,
    )
    return await _changed(gateway, change)


@router.post("/queue:pause", responses=CHANGED)
async def pause_queue(
    gateway: Served, operator: Operating, _query: Unasked, body: QueueOrderBody | None = None
) -> Response:
    """Give nobody a slot; jobs come in and wait, and those that work go on."""
    reason = body.reason if body else ""
    return await _changed(gateway, QueueChange(is_paused=True, by=operator.owner, reason=reason))


@router.post("/queue:drain", responses=CHANGED)
async def drain_queue(
    gateway: Served, operator: Operating, _query: Unasked, body: QueueOrderBody | None = None
) -> Response:
    """Take no more jobs in; those that are here are worked off."""
    reason = body.reason if body else ""
    return await _changed(gateway, QueueChange(is_draining=True, by=operator.owner, reason=reason))


@router.post("/queue:resume", responses=CHANGED)
async def resume_queue(
    gateway: Served, operator: Operating, _query: Unasked, body: QueueOrderBody | None = None
) -> Response:
    """End a pause, and take jobs in again."""
    reason = body.reason if body else ""
    change = QueueChange(is_paused=False, is_draining=False, by=operator.owner, reason=reason)
    return await _changed(gateway, change)


async def _changed(gateway: Gateway, change: QueueChange) -> Response:
    try:
        terms = await gateway.pool.change(change)
    except OrderRefused as refused:
        if refused.code == VALIDATION_FAILED.code:
            fault = Fault(field="body", message=str(refused), remedy="send what it names")
            raise invalid([fault]) from refused
        raise Problem(
            WRONG_STATE,
            f"the queue cannot be changed so: {refused}",
            remedy="read it with GET /v1/admin/queue; nothing was changed",
        ) from refused
    except (OrderUnheard, NotOpen) as silence:
        raise unheard(
            "the slot pool does not hear the order: no worker answers",
            remedy="see that a worker runs, read the queue, and repeat this: repeated it changes "
            "nothing",
        ) from silence
    gateway.queue.forget()
    return JSONResponse(terms_json(terms, max_pending=gateway.settings.queue_max_pending))
