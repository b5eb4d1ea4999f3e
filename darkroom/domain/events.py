"""The one log of a job: past-tense facts, numbered without a gap by their single writer."""

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from darkroom.domain.errors import Failure
from darkroom.domain.items import StoredPicture
from darkroom.domain.lifecycle import JobState, Outcome, Waiting
from darkroom.domain.stages import Progress, Stage

CHUNK_BYTES = 256 * 1024  # durability rule 7


class EventKind(StrEnum):
    """What happened."""

    JOB_SUBMITTED = "job_submitted"
    JOB_RETRIED = "job_retried"
    JOB_STARTED = "job_started"
    STAGE_STARTED = "stage_started"
    STAGE_FINISHED = "stage_finished"
    PROMPT_ENHANCED = "prompt_enhanced"
    IMAGE_STORED = "image_stored"
    IMAGE_FAILED = "image_failed"
    ATTEMPT_FAILED = "attempt_failed"
    JOB_WAITING = "job_waiting"
    JOB_RESUMED = "job_resumed"
    JOB_PAUSED = "job_paused"
    JOB_STOPPING = "job_stopping"  # cancelled once what is in flight is collected
    PRIORITY_CHANGED = "priority_changed"
    ORDER_REFUSED = "order_refused"  # a signal that the job could not follow
    IMAGE_UNKNOWN = "image_unknown"  # nobody can tell whether it was bought; somebody decides
    IMAGE_DECIDED = "image_decided"
    JOB_COMPLETED = "job_completed"
    JOB_FAILED = "job_failed"
    JOB_CANCELLED = "job_cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """One delivered picture, as the closing event names it."""

    item: str
    sha256: str
    thumbnail_sha256: str
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageError:
    """One picture that was given up, and why."""

    item: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a finished job took; money in micro-units of USD."""

    pictures: int
    failed: int
    attempts_failed: int
    processing_seconds: float
    spent_micros: int
    unknown_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a closed job delivered."""

    outcome: Outcome
    images: tuple[ImageResult, ...]
    errors: tuple[ImageError, ...]
    statistics: Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One fact. `seq` counts from 1 over all runs of the job; `at` is aware UTC."""

    seq: int
    run: int
    at: datetime
    kind: EventKind
    state: JobState
    progress: Progress
    stage: Stage | None = None
    item: str | None = None
    attempt: int | None = None  # the attempt that failed, counted from 1
    next_try_at: datetime | None = None
    failure: Failure | None = None
    picture: StoredPicture | None = None
    waiting: Waiting | None = None
    result: JobResult | None = None
    by: str | None = None  # who gave the order
    note: str | None = None  # what they said, or what was decided

    def digest(self) -> str:
        """Fingerprint by which a repeated record is told from a different one."""
        return hashlib.sha256(canonical_json(self).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Write a domain value as JSON with sorted keys and without empty fields."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        named = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _plain(inner) for name, inner in named if inner is not None}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType] -- JSON of any depth
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value


class EventLog:
    """The unflushed tail of the log, as the writer holds it.

    A pure structure without I/O: the workflow appends to it, hands out chunks, and pops
    what the store has acknowledged.
    """

    def __init__(self, *, head: int = 0) -> None:
        """Continue a log whose last stored number is `head`."""
        self._head = head
        self._unflushed: list[JobEvent] = []

    @property
    def seq(self) -> int:
        """Number of the last event, stored or not; 0 for an empty log."""
        return self._head + len(self._unflushed)

    @property
    def unflushed(self) -> tuple[JobEvent, ...]:
        """Events that the store has not acknowledged, in order."""
        return tuple(self._unflushed)

    def append(self, event: JobEvent) -> JobEvent:
        """Number an event and keep it until it is acknowledged; its own `seq` is ignored."""
        numbered = replace(event, seq=self.seq + 1)
        self._unflushed.append(numbered)
        return numbered

    def chunk(self, *, limit_bytes: int = CHUNK_BYTES) -> tuple[JobEvent, ...]:
        """Take the longest leading part of the tail that fits; at least one event."""
        taken: list[JobEvent] = []
        size = 0
        for event in self._unflushed:
            size += len(canonical_json(event).encode())
            if taken and size > limit_bytes:
                break
            taken.append(event)
        return tuple(taken)

    def acknowledge(self, through: int) -> None:
        """Forget everything up to and including number `through`."""
        stored = min(max(through - self._head, 0), len(self._unflushed))
        del self._unflushed[:stored]
        self._head += stored

    def renumber(self, head: int) -> None:
        """Continue after a head that another writer of the same run has moved."""
        self._head = head
        self._unflushed = [
            replace(event, seq=number)
            for number, event in enumerate(self._unflushed, start=head + 1)
        ]
