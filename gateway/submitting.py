"""The way of a submit: bounds, files, feasibility, and only then a workflow."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.errors import DifferenceInfeasible, StoreUnavailable
from darkroom.domain.job import (
    Combination,
    JobId,
    JobRequest,
    JobStart,
    OwnerId,
    difference_request,
)
from gateway.acceptance import accept
from gateway.commands import AlreadyStarted
from gateway.deps import Gateway
from gateway.door import refusal
from gateway.errors import (
    IDEMPOTENCY_MISMATCH,
    Problem,
    invalid,
    unavailable,
)
from gateway.faults import Fault
from gateway.idempotency import checked_key, fresh_job_id, job_id_of, request_digest
from gateway.infeasible import infeasible_problem
from gateway.schemas import JobBody
from gateway.wire import pending_record

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The accepted job; `is_replay` when an earlier request with the same key started it."""

    record: JobRecord
    is_replay: bool = False


async def submit(
    gateway: Gateway, owner: OwnerId, body: JobBody, *, idempotency_key: str | None
) -> Taken:
    """Start the job that a body asks for, once per key.

    Raises:
        Problem: validation_failed, difference_infeasible, idempotency_mismatch, queue_full or
            queue_draining; then nothing was started.
        RPCError: Temporal does not answer; with a key, the request may safely be repeated.
    """
    accepted = accept(body, gateway.settings)
    job_id = _job_id(owner, idempotency_key)
    start = JobStart(
        job_id=job_id,
        owner=owner,
        submitted_at=_now(),
        request=accepted.request,
        plans=accepted.plans,
    )
    if idempotency_key is not None:
        earlier = await _from_store(gateway, start)
        if earlier is not None:
            return earlier
    await _check_door(gateway, job_id, is_repeatable=idempotency_key is not None)
    with gateway.queue.taking_in():
        await _check_files(gateway, owner, accepted.request)
        await _check_difference(gateway, start)
        try:
            await gateway.commands.start_job(start, digest=request_digest(accepted.request))
        except AlreadyStarted:
            return await _from_temporal(gateway, start)
    log.info("job_submitted", job_id=job_id, owner=owner, pictures=start.request.picture_count)
    return Taken(record=pending_record(start))


async def _check_door(gateway: Gateway, job_id: JobId, *, is_repeatable: bool) -> None:
    """Refuse a job while the queue takes none, unless it is in there already.

    Raises:
        Problem: queue_full or queue_draining.
    """
    problem = await refusal(gateway.queue, most=gateway.settings.queue_max_pending)
    if problem is None or (is_repeatable and await gateway.commands.submitted(job_id)):
        return
    raise problem


def _job_id(owner: OwnerId, key: str | None) -> JobId:
    return fresh_job_id() if key is None else job_id_of(owner, checked_key(key))


def _now() -> datetime:
    """Read the clock in the milliseconds that the wire can show, so that every copy agrees."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


async def _from_store(gateway: Gateway, start: JobStart) -> Taken | None:
    """Find a job that this key started before; the store remembers longer than Temporal."""
    try:
        row = await gateway.store.job(start.job_id, owner=start.owner)
    except StoreUnavailable:
        return None
    if row is None:
        return None
    if row.start.retry is None:
        return _replayed(row.start, same=_digest(row.start) == _digest(start))
    # A retry may have edited the request; Temporal remembers what was asked first.
    submitted = await gateway.commands.submitted(start.job_id)
    return _replayed(row.start, same=submitted is None or submitted.digest == _digest(start))


async def _from_temporal(gateway: Gateway, start: JobStart) -> Taken:
    submitted = await gateway.commands.submitted(start.job_id)
    if submitted is None:  # forgotten in this very moment; a repeat will start it
        raise unavailable("Temporal")
    return _replayed(submitted.start, same=submitted.digest == _digest(start))


def _digest(start: JobStart) -> str:
    return request_digest(start.request)


def _replayed(earlier: JobStart, *, same: bool) -> Taken:
    if same:
        return Taken(record=pending_record(earlier), is_replay=True)
    message = f"this key already started {earlier.job_id} with another request"
    remedy = "send the first request again, or use a fresh key for this one"
    raise Problem(
        IDEMPOTENCY_MISMATCH,
        message,
        remedy=remedy,
        faults=[Fault(field="Idempotency-Key", message=message, remedy=remedy)],
        more={"jobId": earlier.job_id},
    )


async def _check_files(gateway: Gateway, owner: OwnerId, request: JobRequest) -> None:
    if not request.product:
        return
    found = await gateway.catalog.find(request.product)
    theirs = {file.file_id for file in found if file.owner == owner}
    missing = [
        Fault(
            field=f"product.{place}",
            message=f"no file {file_id!r} belongs to this key",
            remedy="upload it with POST /v1/files and send the id of the answer",
        )
        for place, file_id in enumerate(request.product)
        if file_id not in theirs
    ]
    if missing:
        raise invalid(missing)


async def _check_difference(gateway: Gateway, start: JobStart) -> None:
    """Ask what the analyze stage will ask, so that it need not be refused later.

    A question that takes too long is not worth a caller's wait: the stage will ask it again.
    """
    if start.request.combinations:
        return
    asking = asyncio.create_task(_choose(gateway, start))
    done, _ = await asyncio.wait({asking}, timeout=gateway.choosing_patience_seconds)
    if not done:
        log.info("difference_unchecked", job_id=start.job_id)
        asking.add_done_callback(_forget)
        return
    try:
        asking.result()
    except DifferenceInfeasible as infeasible:
        raise infeasible_problem(infeasible) from infeasible


async def _choose(gateway: Gateway, start: JobStart) -> None:
    history = await _history(gateway, start)
    async with gateway.choosing:
        asked = difference_request(start.request, job_id=start.job_id, history=history)
        await asyncio.to_thread(gateway.differentiator.choose, asked)


async def _history(gateway: Gateway, start: JobStart) -> tuple[Combination, ...]:
    """Read what the owner's jobs chose before; without the store, the stage alone will know."""
    if not start.request.avoid_history:
        return ()
    names = tuple(dimension.name for dimension in start.request.dimensions)
    try:
        return await gateway.store.combinations_of(
            start.owner, dimensions=names, but_not=start.job_id
        )
    except StoreUnavailable:
        return ()


def _forget(asked: asyncio.Task[None]) -> None:
    """Take an answer that nobody waits for any more, so that it is not called unheard."""
    if not asked.cancelled():
        asked.exception()
