"""What becomes of an order to an open job: its record afterwards, or why it was refused."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import structlog

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.control import Controlled
from darkroom.domain.job import JobId
from darkroom.domain.lifecycle import JobState
from gateway.auth import Caller
from gateway.commands import NotOpen, OrderRefused, OrderUnheard
from gateway.deps import Gateway
from gateway.errors import JOB_FINISHED, WRONG_STATE, Problem, unheard

log = structlog.get_logger()

Order: TypeAlias = Callable[[JobId], Awaitable[Controlled]]


async def steered(gateway: Gateway, caller: Caller, job_id: str, order: Order) -> JobRecord:
    """Give an order, and read the job as it is then.

    Raises:
        Problem: not_found, job_finished, wrong_state, or unavailable while nobody hears it.
    """
    record = await open_record(gateway, caller, job_id)
    try:
        controlled = await order(record.start.job_id)
    except NotOpen:
        raise await over(gateway, caller, job_id) from None
    except OrderRefused as refused:
        raise await _refusal(gateway, caller, job_id, str(refused)) from refused
    except OrderUnheard as silence:
        raise _unheard(job_id) from silence
    if controlled.changed:
        gateway.queue.forget()
        log.info("job_steered", job_id=job_id, by=caller.owner, state=controlled.state)
    return (await gateway.reader.live(job_id, caller.sees)).record


async def open_record(gateway: Gateway, caller: Caller, job_id: str) -> JobRecord:
    """Read a job that is not over.

    Raises:
        Problem: not_found or job_finished.
    """
    record = await gateway.reader.record(job_id, caller.sees)
    if record.snapshot.state.is_terminal:
        raise finished(record)
    return record


def finished(record: JobRecord) -> Problem:
    """Answer for a job that is over."""
    job_id, state = record.start.job_id, record.snapshot.state
    retries = "retry it with POST .../retry, or " if state is not JobState.COMPLETED else ""
    return Problem(
        JOB_FINISHED,
        f"job {job_id} is {state}; there is nothing left to steer",
        remedy=f"{retries}read it with GET; its pictures stay",
    )


async def over(gateway: Gateway, caller: Caller, job_id: str) -> Problem:
    """Answer when Temporal has no open run: the job ended just now, or its run was lost."""
    record = (await gateway.reader.live(job_id, caller.sees)).record
    if record.snapshot.state.is_terminal:
        return finished(record)
    return unheard(
        f"job {job_id} is {record.snapshot.state}, but no run of it is open",
        remedy="try again in a minute: the reconcile run finds such jobs and takes them up",
    )


async def _refusal(gateway: Gateway, caller: Caller, job_id: str, reason: str) -> Problem:
    record = (await gateway.reader.live(job_id, caller.sees)).record
    if record.snapshot.state.is_terminal:
        return finished(record)
    return Problem(
        WRONG_STATE,
        f"job {job_id} is {record.snapshot.state}: {reason}",
        remedy="read the job with GET and send what its status allows; nothing was changed",
    )


def _unheard(job_id: str) -> Problem:
    return unheard(
        f"job {job_id} does not hear the order: no worker answers",
        remedy="read the job before you repeat this: the order may still reach it when a worker "
        "is back, and repeated it changes nothing. Only cancel with mode now needs no worker",
    )
