"""What the store remembers of a job, and how a run takes it over."""

from dataclasses import dataclass, replace
from datetime import datetime

from darkroom.domain.errors import Failure
from darkroom.domain.events import JobEvent
from darkroom.domain.items import Item
from darkroom.domain.job import JobId, JobStart, Priority
from darkroom.domain.ledger import NO_COST, Cost
from darkroom.domain.lifecycle import JobState, Outcome, Waiting, advance
from darkroom.domain.stages import NOT_STARTED, Progress

SCHEMA = 1  # of everything in this file; a reader refuses a higher one


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot:
    """The state of a job after event number `seq`."""

    schema: int = SCHEMA
    run: int = 0
    seq: int = 0
    state: JobState = JobState.PENDING
    progress: Progress = NOT_STARTED
    waiting: Waiting | None = None
    outcome: Outcome | None = None
    failure: Failure | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    cost: Cost = NO_COST
    priority: Priority | None = None  # None: as requested


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """Everything a caller may ask about one job; `items` may be left out in lists."""

    start: JobStart
    snapshot: JobSnapshot
    items: tuple[Item, ...] = ()
    is_stale: bool = False  # read from the store while the workflow did not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveJob:
    """A running workflow's own answer: its record, and the events not yet stored."""

    record: JobRecord
    unflushed: tuple[JobEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeQuestion:
    """What the workflow's query is asked; empty today, so that fields can be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One run's wish to be the writer of a job.

    `writer` is the workflow's first execution run id: stable over activity retries, resets
    and continue-as-new, different for a retry of the job.
    """

    start: JobStart
    writer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The claim was won: the checkpoint to resume from and the head of the log."""

    snapshot: JobSnapshot
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRefused:
    """Another run is the writer."""

    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAnswer:
    """Wrapper, so that fields can be added beside the union."""

    answer: Claimed | ClaimRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBatch:
    """Events, the items they report on, and the snapshot after the last of them."""

    job_id: JobId
    writer: str
    events: tuple[JobEvent, ...]
    items: tuple[Item, ...]
    snapshot: JobSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the store did with a batch.

    `appended` is false when other events already stand under these numbers: then nothing
    was written and the writer renumbers after `head`. `is_writer` is false when a later
    run has claimed the job: then the batch must be dropped.
    """

    head: int
    appended: bool = True
    is_writer: bool = True


def takes_over(claim: Claim, snapshot: JobSnapshot, *, writer: str) -> bool:
    """Say whether an open job is claimed by a run that knows its writer to be gone.

    Args:
        claim: the wish.
        snapshot: of the job as it stands.
        writer: who holds it.
    """
    start = claim.start
    names_writer = start.repair is not None and start.repair.writer == writer
    is_next = snapshot.run == start.expected_run and writer != claim.writer
    return names_writer and is_next and not snapshot.state.is_terminal


def repaired(before: JobSnapshot, start: JobStart) -> JobSnapshot:
    """Make the snapshot a run begins with that takes an open job over: it goes on as it stood.

    A paused job that is only to be ended is not paused any more: it could not fail.
    """
    only_ends = start.repair is not None and start.repair.failure is not None
    leaves_pause = only_ends and before.state is JobState.PAUSED
    state = advance(before.state, JobState.PENDING) if leaves_pause else before.state
    return replace(before, run=before.run + 1, state=state, waiting=None)
