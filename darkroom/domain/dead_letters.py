"""A job parked after its last attempt: what went wrong, what it cost, and what to do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from darkroom.domain.checkpoint import RecordBatch
from darkroom.domain.errors import Failure
from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.job import JobId, JobKind, OwnerId
from darkroom.domain.ledger import Cost
from darkroom.domain.remedies import remedy_for
from darkroom.domain.stages import Stage


class LetterState(StrEnum):
    """What has become of a dead letter."""

    PARKED = "parked"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One failed run of a job; its checkpoint is the job's own row and items."""

    job_id: JobId
    run: int
    owner: OwnerId
    kind: JobKind
    failure: Failure
    stage: Stage
    item: str | None = None
    attempts: int  # failed attempts over all items of the job
    cost: Cost
    parked_at: datetime
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterRecord:
    """A dead letter as the store keeps it; `level` counts how often operators were told."""

    letter: DeadLetter
    state: LetterState = LetterState.PARKED
    level: int = 0
    escalated_at: datetime | None = None
    closed_at: datetime | None = None  # redriven or discarded
    closed_by: str = ""
    note: str = ""

    @property
    def place(self) -> "LetterPlace":
        """Where it stands in a list."""
        return LetterPlace(
            parked_at=self.letter.parked_at, job_id=self.letter.job_id, run=self.letter.run
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPlace:
    """One row's place in a list of letters, oldest first."""

    parked_at: datetime
    job_id: JobId
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which letters to list; `None` leaves a question open."""

    state: LetterState = LetterState.PARKED
    code: str | None = None
    stage: Stage | None = None
    provider: str | None = None
    owner: OwnerId | None = None
    kind: JobKind | None = None
    parked_before: datetime | None = None
    after: LetterPlace | None = None  # last row of the page before


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterCount:
    """How many letters failed alike, and since when one of them has been waiting."""

    code: str
    stage: Stage
    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterVerdict:
    """What an operator decided about the latest letter of a job."""

    job_id: JobId
    run: int
    by: str
    at: datetime
    note: str = ""


def letter_of(
    batch: RecordBatch, event: JobEvent, *, owner: OwnerId, kind: JobKind
) -> DeadLetter | None:
    """Write the letter that an event asks for; None if it is not the end of a failed run."""
    if event.kind is not EventKind.JOB_FAILED or event.failure is None:
        return None
    return DeadLetter(
        job_id=batch.job_id,
        run=event.run,
        owner=owner,
        kind=kind,
        failure=event.failure,
        stage=event.stage or event.progress.stage,
        item=event.item,
        attempts=event.result.statistics.attempts_failed if event.result else 0,
        cost=batch.snapshot.cost,
        parked_at=event.at,
        remedy=remedy_for(event.failure),
    )
