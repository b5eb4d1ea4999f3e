"""`/v1/callbacks`: a provider reports a task. Its content is only a hint to ask again."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from darkroom.domain.attempts import CalledBack
from darkroom.domain.job import JobId
from darkroom.domain.ledger import ADOPTABLE, CallKey, LedgerRow, LedgerState
from darkroom.domain.tokens import callback_token, is_same_token
from gateway.answers import Booked, answered
from gateway.deps import Served
from gateway.errors import Problem, not_found
from gateway.schemas import CallbackQuery

TaskId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
Take = Annotated[int, Path(ge=1, le=1_000_000)]

router = APIRouter(prefix="/v1/callbacks", tags=["callbacks"])


class ReportedTask(BaseModel):
    """The one thing we take from a callback."""

    model_config = ConfigDict(extra="ignore")

    task_id: TaskId = Field(alias="taskId")


class CallbackBody(BaseModel):
    """What both shapes of providers.md 3.2 share; everything else is not ours to trust."""

    model_config = ConfigDict(extra="ignore")

    data: ReportedTask


@router.post("/nanobanana/{job}/{item}/{take}", responses=answered(Booked, 404, 413))
async def hear_nanobanana(
    job: str,
    item: str,
    take: Take,
    gateway: Served,
    body: CallbackBody,
    query: Annotated[CallbackQuery, Query()],
) -> Response:
    """Book that a purchase of ours was accepted, and wake whoever waits for it."""
    call = CallKey(job=JobId(job), item=item, take=take)
    if not is_same_token(query.t, callback_token(gateway.signing_secret, call)):
        raise _unknown(call)
    before = await gateway.ledger.rows([call])
    row = await gateway.ledger.adopt(call, body.data.task_id)
    if row is None:
        raise _unknown(call)
    if any(_was_missed(one) for one in before):
        await gateway.orders.called_back(call.job, CalledBack(item=item, take=take))
    return JSONResponse({"call": str(call), "state": row.state})


def _was_missed(row: LedgerRow) -> bool:
    """Say whether the job may have given the purchase's reply up, and must hear of it.

    An adopted one that calls back again may be so because we could not tell the job.
    """
    return row.state in ADOPTABLE or (row.state is LedgerState.ACCEPTED and row.hinted)


def _unknown(call: CallKey) -> Problem:
    """Answer alike for a forged address and for a purchase we never made."""
    return not_found("purchase", str(call)[:120])
