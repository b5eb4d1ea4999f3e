"""What operators decide about dead letters: redrive, discard, or open one again.

A redrive is a retry of the job, so its owner's way and this one meet in `retry`. It is audited
before it begins: whatever dies in between, who asked for it is known.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from temporalio.service import RPCError

from darkroom.domain.audit import AuditEntry, detail_text
from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.dead_letters import LetterRecord, LetterState, LetterVerdict
from darkroom.domain.job import JobId
from gateway.deps import Gateway
from gateway.edits import UNEDITED
from gateway.errors import NOT_FOUND, WRONG_STATE, Problem, not_found, unavailable
from gateway.reading import JOB_ID
from gateway.retrying import retry
from gateway.schemas import RetryEdits

log = structlog.get_logger()

AT_A_TIME = 8  # redrives of one bulk deed, each of which mostly waits for Temporal


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who decides, why, and for a redrive what is changed."""

    by: str
    reason: str = ""
    edits: RetryEdits = UNEDITED

    def verdict(self, record: LetterRecord) -> LetterVerdict:
        """Pass it on one letter, now."""
        letter = record.letter
        return LetterVerdict(
            job_id=letter.job_id,
            run=letter.run,
            by=self.by,
            at=datetime.now(UTC),
            note=self.reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of one letter of a bulk deed: the job's run now, or why nothing was done."""

    record: LetterRecord
    run: int | None = None
    problem: Problem | None = None


async def letter_of_job(gateway: Gateway, job_id: str, *, run: int | None = None) -> LetterRecord:
    """Find the letter of a job's run, or of its latest that failed.

    Raises:
        Problem: not_found.
    """
    is_one = JOB_ID.fullmatch(job_id) is not None
    record = await gateway.letters.letter(JobId(job_id), run=run) if is_one else None
    if record is None:
        raise Problem(
            NOT_FOUND,
            f"no run of job {job_id[:80]!r} failed" if run is None else f"run {run} did not fail",
            remedy="list what there is with GET /v1/admin/dead-letters",
        )
    return record


async def redrive(gateway: Gateway, record: LetterRecord, decision: Decision) -> JobRecord:
    """Take a parked letter's job back into work, and read the job as it is then.

    Raises:
        Problem: wrong_state, not_found or validation_failed; then nothing was started.
        RPCError: Temporal does not answer; the redrive may be repeated.
    """
    letter = record.letter
    _check_parked(record)
    job = await gateway.store.job(letter.job_id)
    if job is None:
        raise not_found("job", letter.job_id)
    edits = decision.edits.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    changed = {"run": letter.run} | ({"edits": edits} if edits else {})
    await _audit(gateway, record, decision, "redrive_dead_letter", **changed)
    try:
        begun = await retry(gateway, job, decision.edits, by=decision.by)
    except Problem as refused:
        refusal = {"run": letter.run, "code": refused.kind.code, "detail": refused.detail}
        await _audit(gateway, record, decision, "refuse_redrive", **refusal)
        raise
    await gateway.letters.redriven(decision.verdict(record))
    log.info("dead_letter_redriven", job_id=letter.job_id, run=letter.run, by=decision.by)
    return begun


async def discard(gateway: Gateway, record: LetterRecord, decision: Decision) -> LetterRecord:
    """Close a parked letter for good; a repeat changes nothing. The job stays as it is.

    Raises:
        Problem: wrong_state.
    """
    if await gateway.letters.discard(decision.verdict(record)):
        letter = record.letter
        log.info("dead_letter_discarded", job_id=letter.job_id, run=letter.run, by=decision.by)
    now = await letter_of_job(gateway, record.letter.job_id, run=record.letter.run)
    if now.state is not LetterState.DISCARDED:
        _check_parked(now)
    return now


async def reopen(gateway: Gateway, record: LetterRecord, decision: Decision) -> LetterRecord:
    """Park a discarded letter again, so that operators are told of it; a parked one stays.

    Raises:
        Problem: wrong_state: it was redriven, or its job went on.
    """
    if await gateway.letters.reopen(decision.verdict(record)):
        letter = record.letter
        log.info("dead_letter_reopened", job_id=letter.job_id, run=letter.run, by=decision.by)
    now = await letter_of_job(gateway, record.letter.job_id, run=record.letter.run)
    if now.state is LetterState.DISCARDED:
        raise Problem(
            WRONG_STATE,
            f"job {now.letter.job_id} went on after run {now.letter.run} was discarded",
            remedy="read the job with GET; if its latest run failed, that has a letter of its own",
        )
    _check_parked(now)
    return now


async def redrive_all(
    gateway: Gateway, records: Sequence[LetterRecord], decision: Decision
) -> list[Decided]:
    """Redrive each letter, some side by side; one that is refused stops none of the others."""

    async def one(record: LetterRecord) -> Decided:
        job = await redrive(gateway, record, decision)
        return Decided(record=record, run=job.snapshot.run)

    return await _each(records, one)


async def discard_all(
    gateway: Gateway, records: Sequence[LetterRecord], decision: Decision
) -> list[Decided]:
    """Discard each letter; one that is refused stops none of the others."""

    async def one(record: LetterRecord) -> Decided:
        closed = await discard(gateway, record, decision)
        return Decided(record=closed, run=closed.letter.run)

    return await _each(records, one)


async def _each(
    records: Sequence[LetterRecord], decide: Callable[[LetterRecord], Awaitable[Decided]]
) -> list[Decided]:
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(record: LetterRecord) -> Decided:
        async with room:
            try:
                return await decide(record)
            except Problem as refused:
                return Decided(record=record, problem=refused)
            except RPCError:
                return Decided(record=record, problem=unavailable("Temporal"))

    return await asyncio.gather(*(one(record) for record in records))


def _check_parked(record: LetterRecord) -> None:
    """Refuse what somebody has decided about.

    Raises:
        Problem: wrong_state.
    """
    letter = record.letter
    match record.state:
        case LetterState.PARKED:
            return
        case LetterState.REDRIVEN:
            what = "was taken up again"
            remedy = "read the job with GET; if it failed again, its latest letter is parked"
        case LetterState.DISCARDED:
            what = "was discarded"
            remedy = f"open it again first: POST /v1/admin/dead-letters/{letter.job_id}/reopen"
    by = f" by {record.closed_by}" if record.closed_by else ""
    message = f"the dead letter of job {letter.job_id}, run {letter.run}, {what}{by}"
    raise Problem(WRONG_STATE, message, remedy=remedy)


async def _audit(
    gateway: Gateway, record: LetterRecord, decision: Decision, action: str, **changed: object
) -> None:
    entry = AuditEntry(
        at=datetime.now(UTC),
        actor=decision.by,
        action=action,
        target=record.letter.job_id,
        reason=decision.reason,
        detail=detail_text(changed),
    )
    await gateway.audit.add(entry)
