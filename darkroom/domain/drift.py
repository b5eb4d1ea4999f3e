"""Where the places that remember a job may disagree, and what is to be done about it.

Temporal runs the jobs, the store remembers them, the ledger knows what was paid, providers and
the object store hold the pictures, the pool its slots. Each kind of drift is one disagreement.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from darkroom.domain.checkpoint import JobSnapshot
from darkroom.domain.errors import Disposition, Failure
from darkroom.domain.job import JobId, JobStart, OwnerId, Repair, RetryTerms

RECONCILE = "reconcile"  # the actor in audit and log, the workflow's type, and its id by hand
MOST_EXAMPLES = 10
STUCK_ATTEMPTS = 10  # of one workflow task. Source: durability.md rule 2


class DriftKind(StrEnum):
    """One way in which two memories differ; in the order in which they are looked for."""

    STUCK_TASK = "stuck_task"  # a workflow that fails its own task again and again
    LOST_ROW = "lost_row"  # runs, but the store does not know it
    LOST_WORKFLOW = "lost_workflow"  # open in the store, but nobody runs it
    UNATTACHED_PURCHASE = "unattached_purchase"  # paid for, and its job ended without it
    UNKNOWN_PURCHASE = "unknown_purchase"  # nobody could tell for long whether it was made
    LOST_FILE = "lost_file"  # delivered, but its bytes are gone
    UNFLUSHED_EVENTS = "unflushed_events"  # told by the workflow, not yet written
    LEAKED_SLOT = "leaked_slot"  # held by a run that is over


class RunStatus(StrEnum):
    """How Temporal says a run stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """The latest run of a workflow as Temporal describes it, with or without a worker."""

    workflow_id: str
    run_id: str
    first_run_id: str  # the writer, see `Claim`
    status: RunStatus
    started_at: datetime
    closed_at: datetime | None = None
    task_attempt: int = 0  # of the pending workflow task
    record_attempt: int = 0  # of the activity that writes the log, when that is pending

    @property
    def is_running(self) -> bool:
        """Say whether somebody works on it, or will once a worker is there."""
        return self.status is RunStatus.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlace:
    """One job's place among all jobs of a state, oldest first."""

    submitted_at: datetime
    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenJob:
    """A job's row with the name of its writer; `has_spoken`: this run wrote an event."""

    start: JobStart
    snapshot: JobSnapshot
    writer: str
    has_spoken: bool = True

    @property
    def place(self) -> JobPlace:
        """Where it stands among the jobs of its state."""
        return JobPlace(submitted_at=self.start.submitted_at, job_id=self.start.job_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A stored picture of an item, and where it stands among all of them."""

    job_id: JobId
    item: str
    take: int
    owner: OwnerId
    sha256: str
    thumbnail_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileOrder:
    """What one reconciliation is asked; every field has a default, so it starts without input."""

    by: str = RECONCILE
    dry_run: bool = False
    kinds: tuple[DriftKind, ...] = tuple(DriftKind)
    # Leave out or look at in portions what is too much for every time: as the schedule does.
    in_portions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundOrder:
    """Look for one kind of drift."""

    kind: DriftKind
    by: str
    dry_run: bool
    resume_at: str = ""  # as the report of the portion before says
    in_portions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftExample:
    """One disagreement; `repaired` says what was done, empty when nothing was."""

    target: str
    why: str
    repaired: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """What one round found; `failed` counts repairs that did not work.

    `resume_at` is where the next portion begins, empty when everything was looked at.
    """

    kind: DriftKind
    looked_at: int = 0
    found: int = 0
    repaired: int = 0
    failed: int = 0
    examples: tuple[DriftExample, ...] = ()
    resume_at: str = ""

    def joined(self, later: "DriftReport") -> "DriftReport":
        """Add the report of the portion after this one."""
        return DriftReport(
            kind=self.kind,
            looked_at=self.looked_at + later.looked_at,
            found=self.found + later.found,
            repaired=self.repaired + later.repaired,
            failed=self.failed + later.failed,
            examples=(*self.examples, *later.examples)[:MOST_EXAMPLES],
            resume_at=later.resume_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """One reconciliation; `unfinished` names the rounds that could not be made, and why."""

    by: str
    dry_run: bool
    started_at: datetime
    ended_at: datetime
    rounds: tuple[DriftReport, ...]
    unfinished: tuple[DriftExample, ...] = ()


def taking_over(job: WrittenJob, failure: Failure | None = None) -> JobStart:
    """Make the start of a run that takes an open job over from a writer that is gone.

    The terms of a retry are kept only if the run they belong to never came to carry them out;
    otherwise what it had opened would be opened twice.
    """
    start = job.start
    return replace(
        start,
        expected_run=job.snapshot.run,
        repair=Repair(writer=job.writer, failure=failure),
        retry=RetryTerms(by=RECONCILE) if job.has_spoken else start.retry,
    )


def lost(message: str, *, code: str = "workflow_lost") -> Failure:
    """Say with what a job ends whose run was ended from outside."""
    return Failure(code=code, message=message, disposition=Disposition.FATAL)
