"""A job parked after its last attempt: what went wrong, what it cost, and what to do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from darkroom.domain.errors import Failure
from darkroom.domain.job import JobId, JobKind, OwnerId
from darkroom.domain.ledger import Cost
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
    item: str | None
    attempts: int  # failed attempts over all items of the job
    cost: Cost
    parked_at: datetime
    remedy: str
