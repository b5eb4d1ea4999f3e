"""What jobs, gates and operators tell each other about calls that are held back."""

from dataclasses import dataclass
from datetime import datetime

from darkroom.domain.breakers import Gate, GateKey
from darkroom.domain.control import UNNAMED
from darkroom.domain.job import TEMPORAL_PRIORITY_KEYS, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkOrder:
    """Signal to a gate: wake this job when its calls may pass. Repeated: in place."""

    key: GateKey
    workflow_id: str
    first_run_id: str
    part: str  # that met the gate first
    parked_at: datetime
    admitted_at: datetime | None = None
    priority: Priority = Priority.NORMAL

    @property
    def place(self) -> tuple[datetime, int, str]:
        """Where it stands in line: jobs that were admitted earlier are to finish earlier."""
        since = self.admitted_at or self.parked_at
        return (since, TEMPORAL_PRIORITY_KEYS[self.priority], self.workflow_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOrder:
    """Signal to a gate: this job does not wait any more."""

    workflow_id: str
    first_run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStart:
    """Input of one run of a gate's workflow; what is parked travels over continue-as-new."""

    key: GateKey
    parked: tuple[ParkOrder, ...] = ()
    history_events: int = 2000  # continue as new then, to be quick to replay


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """Update of a gate: hold all calls back until somebody closes it."""

    reason: str = ""
    by: str = UNNAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOrder:
    """Update of a gate: let one call find out now, and all of them if it succeeds."""

    by: str = UNNAMED
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMoved:
    """What became of an operator's move: the gate after it, and why if it was refused."""

    gate: Gate
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateQuestion:
    """What a gate's query is asked."""

    limit: int = 200  # parked jobs to list


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    """A gate, and who waits at it: first the one that is woken first."""

    gate: Gate
    parked_count: int
    parked: tuple[ParkOrder, ...]
