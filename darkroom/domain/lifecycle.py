"""The states of a job, and which may follow which."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from darkroom.domain.errors import IllegalTransition


class JobState(StrEnum):
    """Where a job stands; the wire's `status`. Source: brief, "Job Data Structure"."""

    PENDING = "pending"
    PROCESSING = "processing"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Say whether a run that reached this state is over."""
        return self in TERMINAL_STATES


TERMINAL_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})

# A retry leads from failed or cancelled back to pending: a new run of the same job.
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.PENDING: frozenset(
        {JobState.PROCESSING, JobState.PAUSED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.PROCESSING: frozenset(
        {JobState.PAUSED, JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}
    ),
    # Paused to failed: only when its run is gone and reconcile takes the job over.
    JobState.PAUSED: frozenset(
        {JobState.PENDING, JobState.PROCESSING, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset({JobState.PENDING}),
    JobState.CANCELLED: frozenset({JobState.PENDING}),
}


def advance(state: JobState, to: JobState) -> JobState:
    """Move a job's state.

    Raises:
        IllegalTransition: the table has no such step.
    """
    if to not in TRANSITIONS[state]:
        raise IllegalTransition(f"a {state} job cannot become {to}; see docs/lifecycle.md")
    return to


class Outcome(StrEnum):
    """How much of what was asked for a finished job delivered."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


class WaitingOn(StrEnum):
    """The one thing that holds a job back."""

    SLOT = "slot"
    DEPENDENCY = "dependency"
    SCHEDULE = "schedule"
    BUDGET = "budget"
    PROVIDER = "provider"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a job is not moving, in words a caller can read."""

    on: WaitingOn
    since: datetime
    why: str
