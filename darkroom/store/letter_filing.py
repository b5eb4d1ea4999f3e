"""Dead letters kept inside the transactions of others.

A job's failed end parks its letter with the very event that reports it, and the claim of its
next run closes it: neither can happen without the other.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, bindparam, func, or_, select, update

from darkroom.domain.checkpoint import Claim, RecordBatch
from darkroom.domain.dead_letters import DeadLetter, LetterState, letter_of
from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.job import JobKind, OwnerId
from darkroom.store.letter_rows import RENEW, letter_values
from darkroom.store.rows import DEAD_LETTERS, JOBS

WHOSE = select(JOBS.c.owner, JOBS.c.kind).where(JOBS.c.id == bindparam("of_job"))
UNDATED = and_(DEAD_LETTERS.c.state == LetterState.REDRIVEN, DEAD_LETTERS.c.closed_at.is_(None))
TAKEN_UP = (
    update(DEAD_LETTERS)
    .where(
        DEAD_LETTERS.c.job_id == bindparam("of_job"),
        or_(DEAD_LETTERS.c.state == LetterState.PARKED, UNDATED),
    )
    .values(
        state=LetterState.REDRIVEN,
        closed_at=bindparam("taken_at", type_=DEAD_LETTERS.c.closed_at.type),
        closed_by=func.coalesce(
            func.nullif(DEAD_LETTERS.c.closed_by, ""),
            bindparam("taken_by", type_=DEAD_LETTERS.c.closed_by.type),
        ),
    )
)


def keep_letters(connection: Connection, batch: RecordBatch, events: Sequence[JobEvent]) -> None:
    """Park and close what these events ask for, in the transaction that stores them."""
    for event in events:
        if event.kind is EventKind.JOB_FAILED:
            _park_failed(connection, batch, event)
        elif event.kind is EventKind.JOB_RETRIED:
            taken = {"of_job": batch.job_id, "taken_at": event.at, "taken_by": event.by or ""}
            connection.execute(TAKEN_UP, taken)


def close_letters(connection: Connection, claim: Claim) -> None:
    """Close what is parked of a job, in the transaction in which its next run claims it.

    The claim knows no time: the event by which the run reports itself brings it.
    """
    by = claim.start.retry.by if claim.start.retry else ""
    taken = {"of_job": claim.start.job_id, "taken_at": None, "taken_by": by}
    connection.execute(TAKEN_UP, taken)


def park(connection: Connection, letter: DeadLetter) -> None:
    """Write a letter; one of the same run starts over, whatever was decided about it."""
    connection.execute(RENEW[connection.dialect.name], letter_values(letter))


def _park_failed(connection: Connection, batch: RecordBatch, event: JobEvent) -> None:
    whose = connection.execute(WHOSE, {"of_job": batch.job_id}).one()
    letter = letter_of(batch, event, owner=OwnerId(whose.owner), kind=JobKind(whose.kind))
    if letter is not None:
        park(connection, letter)
