"""Slots: what jobs, pool and operators tell each other about who may work now.

Only values. The order of the line stands in waiting_line.py, the books of the pool in
slot_book.py, and what to expect of both in queue_forecast.py.
"""

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta

from darkroom.domain.audit import AuditEntry, detail_text
from darkroom.domain.control import UNNAMED
from darkroom.domain.job import JobId, OwnerId, Priority
from darkroom.domain.names import CHANGE_QUEUE, SLOT_POOL_ID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOST_SLOTS = 500  # each holder is looked at every few seconds
NO_OWNER_LIMIT = 0  # how a change lifts the limit; None leaves it as it is
SHOWN_JOBS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who may hold a slot: one run of a job. Stays the same over continue-as-new and reset."""

    workflow_id: str
    first_run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest:
    """A job would like to work. Said again, it changes the request in place."""

    holder: Holder
    owner: OwnerId
    priority: Priority
    submitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRelease:
    """A job gives a slot back, or without a token no longer waits for one."""

    holder: Holder
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotGrant:
    """A slot is the holder's until it gives it back under the same token."""

    holder: Holder
    token: str
    granted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotQuestion:
    """What do you hold, or wait for?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotClaim:
    """A job's answer to a pool that has lost its memory: it waits, holds, or neither."""

    request: SlotRequest  # as it would be said now, whether or not the job waits
    is_waiting: bool = False
    grant: SlotGrant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """How a pool works; resolved from the settings where a worker is built."""

    aging: timedelta = timedelta(minutes=10)  # waiting this long raises a job by one priority
    # A dead holder's activity may go on calling for as long as a heartbeat goes unmissed and
    # a POST may take; until then its slot is not free.
    grace: timedelta = timedelta(seconds=35)
    look_every: timedelta = timedelta(seconds=5)  # how often holders are looked at
    settle: timedelta = timedelta(seconds=2)  # until a terminated pool's last words are heard
    history_events: int = 2000  # continue as new then, to be quick to replay


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTerms:
    """How many may work at a time, and whether anybody may begin."""

    concurrency: int
    owner_limit: int | None = None  # jobs of one owner at a time
    is_paused: bool = False  # nobody gets a slot
    is_draining: bool = False  # the door takes no jobs in; those that wait are worked off
    changed_at: datetime | None = None  # none: as the settings say, no operator changed it
    changed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTerms:
    """Everything that governs a pool."""

    terms: QueueTerms
    plan: PoolPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueChange:
    """What an operator wants different; None leaves a thing as it is."""

    concurrency: int | None = None  # 1 to MOST_SLOTS
    owner_limit: int | None = None  # 1 to MOST_SLOTS; NO_OWNER_LIMIT lifts it
    is_paused: bool | None = None
    is_draining: bool | None = None
    by: str = UNNAMED
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceQuestion:
    """Where in the line is this job?"""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A waiting job's place, counted from 1, and when its turn may come."""

    job_id: JobId
    position: int
    eta_p50_seconds: int | None = None  # none: nothing is known yet, or the queue is paused
    eta_p90_seconds: int | None = None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueQuestion:
    """How is the queue? Lists at most so many waiting jobs."""

    limit: int = SHOWN_JOBS


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingJob:
    """A job that holds a slot."""

    job_id: JobId
    owner: OwnerId
    granted_at: datetime
    is_silent: bool = False  # it does not answer, so nobody knows; its slot is kept for it
    free_at: datetime | None = None  # its run is over; the slot is free from then on
    first_run_id: str = ""  # of the holder, as in `Holder`
    token: str | None = None  # under which the slot is given back


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """A job in the line."""

    job_id: JobId
    owner: OwnerId
    priority: Priority  # as asked
    effective_priority: Priority  # raised by waiting
    submitted_at: datetime
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """The queue as operators see it."""

    terms: QueueTerms
    is_counting: bool = False  # a pool that has just begun asks who holds what first
    working: tuple[WorkingJob, ...] = ()
    waiting: tuple[WaitingJob, ...] = ()  # the first of them, in the order of their turns
    waiting_count: int = 0
    waiting_by_priority: dict[Priority, int] = field(default_factory=dict[Priority, int])
    waiting_by_owner: dict[OwnerId, int] = field(default_factory=dict[OwnerId, int])
    oldest_submitted_at: datetime | None = None


def check_change(change: QueueChange) -> None:
    """Refuse a change that makes no sense.

    Raises:
        ValueError: with what is wrong and what may be asked.
    """
    asked = (change.concurrency, change.owner_limit, change.is_paused, change.is_draining)
    if asked == (None, None, None, None):
        raise ValueError(
            "nothing to change; name concurrency, owner_limit, is_paused or is_draining"
        )
    _check_bounds("concurrency", change.concurrency, least=1)
    _check_bounds("owner_limit", change.owner_limit, least=NO_OWNER_LIMIT)


def changed(terms: QueueTerms, change: QueueChange, *, at: datetime) -> QueueTerms:
    """Carry a change out; terms that say so already are answered as they are."""
    wanted = replace(
        terms,
        concurrency=terms.concurrency if change.concurrency is None else change.concurrency,
        owner_limit=_owner_limit(terms, change),
        is_paused=terms.is_paused if change.is_paused is None else change.is_paused,
        is_draining=terms.is_draining if change.is_draining is None else change.is_draining,
    )
    if wanted == terms:
        return terms
    if terms.changed_at:
        at = max(at, terms.changed_at + timedelta(microseconds=1))  # each change has its moment
    return replace(wanted, changed_at=at, changed_by=change.by)


def audited(before: QueueTerms, after: QueueTerms, *, reason: str) -> AuditEntry:
    """Tell the audit log of a change: each thing that is different, as it was and as it is."""
    was, now = asdict(before), asdict(after)
    different = {name: [was[name], now[name]] for name in now if was[name] != now[name]}
    told = {name: pair for name, pair in different.items() if not name.startswith("changed_")}
    return AuditEntry(
        at=after.changed_at or EPOCH,
        actor=after.changed_by,
        action=CHANGE_QUEUE,
        target=SLOT_POOL_ID,
        reason=reason,
        detail=detail_text(told),
    )


def _owner_limit(terms: QueueTerms, change: QueueChange) -> int | None:
    if change.owner_limit is None:
        return terms.owner_limit
    return change.owner_limit or None


def _check_bounds(name: str, number: int | None, *, least: int) -> None:
    if number is not None and not least <= number <= MOST_SLOTS:
        lifts = " (0 lifts it)" if least == NO_OWNER_LIMIT else ""
        raise ValueError(
            f"{name} {number} is out of bounds; ask for {least} to {MOST_SLOTS}{lifts}"
        )
