"""A retry: the next run of a failed or cancelled job, from its checkpoint. It is a start.

An update cannot reach a run that is over. Of two retries at once one run claims the job; the
other never begins, or ends as a no-op (durability.md rules 5 and 18).
"""

import asyncio
from datetime import timedelta

import structlog

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.job import JobStart, RetryScope, RetryTerms
from darkroom.domain.lifecycle import JobState
from gateway.commands import AlreadyStarted
from gateway.deps import Gateway
from gateway.edits import next_start
from gateway.errors import USE_FORK, WRONG_STATE, Problem
from gateway.idempotency import request_digest
from gateway.schemas import RetryEdits
from gateway.wire import retried_record

log = structlog.get_logger()

CLOSING_WITHIN = timedelta(seconds=2)  # durability.md rule 18
CLAIMED_WITHIN_SECONDS = 1.0  # with a worker it takes some hundredths
CLAIM_ASKED_SECONDS = 0.02


async def retry(
    gateway: Gateway,
    record: JobRecord,
    edits: RetryEdits,
    *,
    by: str,
    scope: RetryScope = RetryScope.FAILED,
) -> JobRecord:
    """Start the next run of a job, and read the job as it is then.

    Args:
        gateway: whose settings bound the edits.
        record: of the job, with its latest run.
        edits: what to change of its request.
        by: who asks, for the job's log.
        scope: the pictures that are not there, or all of them anew.

    Raises:
        Problem: use_fork, wrong_state or validation_failed; then nothing was started.
        RPCError: Temporal does not answer; the retry may be repeated.
    """
    _check_ended(record)
    start = next_start(record, edits, RetryTerms(by=by, scope=scope), gateway.settings)
    if not await _started(gateway, start):
        await _check_same(gateway, start)
        return retried_record(record, start)
    log.info("job_retried", job_id=start.job_id, by=by, run=start.expected_run + 1)
    return await _claimed(gateway, start) or retried_record(record, start)


def _check_ended(record: JobRecord) -> None:
    job_id, state = record.start.job_id, record.snapshot.state
    match state:
        case JobState.FAILED | JobState.CANCELLED:
            return
        case JobState.COMPLETED:
            raise Problem(
                USE_FORK,
                f"job {job_id} is completed, and that is final",
                remedy="submit another job for the pictures you still want",
            )
        case JobState.PENDING | JobState.PROCESSING | JobState.PAUSED:
            raise Problem(
                WRONG_STATE,
                f"job {job_id} is {state}; only a failed or cancelled job can be retried",
                remedy="wait until it is over, or cancel it first",
            )


async def _started(gateway: Gateway, start: JobStart) -> bool:
    """Start the run, once the one before it has closed; False when another has begun."""
    known = await gateway.commands.submitted(start.job_id)
    # A repeat of the first request is known by what it asked then, not by what was edited.
    digest = (known and known.digest) or request_digest(start.request)
    try:
        await gateway.commands.start_job(start, digest=digest)
    except AlreadyStarted:
        if await _is_overtaken(gateway, start):
            return False
        await gateway.commands.ended(start.job_id, within=CLOSING_WITHIN)
    else:
        return True
    try:
        await gateway.commands.start_job(start, digest=digest)
    except AlreadyStarted:
        return False
    return True


async def _is_overtaken(gateway: Gateway, start: JobStart) -> bool:
    running = await gateway.commands.submitted(start.job_id)
    return running is not None and running.start.expected_run >= start.expected_run


async def _check_same(gateway: Gateway, start: JobStart) -> None:
    """Let a retry pass that is the one which came first.

    Raises:
        Problem: wrong_state.
    """
    running = await gateway.commands.submitted(start.job_id)
    if running is not None and running.start == start:
        return
    is_other = running is not None and running.start.expected_run >= start.expected_run
    message = "another retry of it came first" if is_other else "its last run is still closing"
    raise Problem(
        WRONG_STATE,
        f"job {start.job_id} cannot be retried now: {message}",
        remedy="read the job with GET, and try again when it is failed or cancelled",
    )


async def _claimed(gateway: Gateway, start: JobStart) -> JobRecord | None:
    """Wait a moment for the run to take the job over, so that whoever reads next sees it."""
    try:
        async with asyncio.timeout(CLAIMED_WITHIN_SECONDS):
            while True:
                row = await gateway.store.job(start.job_id)
                if row is not None and row.snapshot.run > start.expected_run:
                    return row
                await asyncio.sleep(CLAIM_ASKED_SECONDS)
    except (TimeoutError, StoreUnavailable):
        return None
