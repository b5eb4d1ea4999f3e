"""What operators are answered about the queue and the gates, as the API reference shows it."""

from darkroom.domain.breakers import GateState
from darkroom.domain.job import Priority
from gateway.answers import Failure
from gateway.schemas import Wire


class QueueTerms(Wire):
    """How many jobs may work at a time, and whether anybody may begin or come in."""

    concurrency: int
    owner_limit: int | None
    max_pending: int
    paused: bool
    draining: bool
    changed_at: str | None
    changed_by: str | None


class WorkingJob(Wire):
    """A job that holds a slot; a silent one does not answer, and keeps its slot until it does."""

    job_id: str
    owner: str
    since: str
    silent: bool
    free_at: str | None


class WaitingJob(Wire):
    """A job in line, with the priority it has by now."""

    job_id: str
    owner: str
    priority: Priority
    effective_priority: Priority
    submitted_at: str
    position: int
    eta_p50_seconds: int | None = None
    eta_p90_seconds: int | None = None
    why: str


class WaitingLine(Wire):
    """Everybody who waits, and the first of them in the order of their turns."""

    count: int
    by_priority: dict[Priority, int]
    by_owner: dict[str, int]
    oldest_submitted_at: str | None
    jobs: list[WaitingJob]


class Queue(QueueTerms):
    """The queue; while `counting`, a pool that has just begun still asks who holds what."""

    counting: bool
    working: list[WorkingJob]
    waiting: WaitingLine


class ParkedJob(Wire):
    """A job that waits for a provider, and since when."""

    job_id: str
    since: str


class ProviderLimits(Wire):
    """Calls that a provider takes from all workers together; null: as many as jobs make."""

    concurrency: int | None
    per_minute: int | None
    per_hour: int | None


class ProviderGate(Wire):
    """Whether one model may be called.

    `until` is when an open gate asks again; without it an operator must close it. `canary` is
    the one call that is finding out.
    """

    provider: str
    model: str
    state: GateState
    failures: int
    trips: int
    opened_at: str | None
    until: str | None
    canary: str | None
    by: str | None
    error: Failure | None
    limits: ProviderLimits
    parked_count: int | None
    parked: list[ParkedJob]


class ProviderGates(Wire):
    """Every model that may be called, by provider and name."""

    providers: list[ProviderGate]
