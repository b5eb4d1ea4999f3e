"""What is answered, as the API reference shows it.

wire.py writes these; the classes here only describe. A test holds both against each other.
"""

from typing import Any, Literal

from darkroom.domain.control import CancelMode
from darkroom.domain.errors import Billing, Disposition
from darkroom.domain.job import JobKind, Priority
from darkroom.domain.lifecycle import JobState, Outcome, WaitingOn
from darkroom.domain.stages import Stage
from gateway.schemas import Wire


class Money(Wire):
    """An amount in micro-units."""

    amount_micros: int
    currency: str


class Cost(Wire):
    """`unknown` may or may not have been charged."""

    estimated: Money
    spent: Money
    unknown: Money


class PictureCounts(Wire):
    """Pictures stored, given up, and asked for."""

    done: int
    failed: int
    total: int


class Progress(Wire):
    """`current` of `total` percent; it never falls."""

    current: int
    total: int
    stage: Stage
    message: str
    images: PictureCounts


class Waiting(Wire):
    """Why a job stands still; on a slot, with its place in line and when its turn may come."""

    on: WaitingOn
    since: str
    why: str
    position: int | None = None
    eta_p50_seconds: int | None = None
    eta_p90_seconds: int | None = None


class Failure(Wire):
    """A classified failure: what to do about it, and what it cost."""

    code: str
    message: str
    provider: str | None
    disposition: Disposition
    billing: Billing


class ResultError(Failure):
    """Why a picture is missing; without an item, why the job ended."""

    item: str | None


class Picture(Wire):
    """A stored picture, by content."""

    sha256: str
    thumbnail_sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    url: str
    thumbnail_url: str


class JobPicture(Picture):
    """A stored picture and what it shows."""

    item: str
    combination: dict[str, str]
    variant: str | None
    take: int


class Statistics(Wire):
    """What a finished job took."""

    pictures: int
    failed: int
    attempts_failed: int
    processing_seconds: int
    spent: Money
    unknown: Money


class Result(Wire):
    """What a job delivered so far; `statistics` once it is over."""

    images: list[JobPicture]
    errors: list[ResultError]
    statistics: Statistics | None


class JobInput(Wire):
    """Whose job it is, what was chosen, and the request as it was accepted."""

    user_id: str
    combinations: list[dict[str, str]]
    parameters: dict[str, Any]
    files: list[str]


class JobSummary(Wire):
    """A job as lists show it."""

    id: str
    type: JobKind
    status: JobState
    priority: Priority
    data: JobInput
    progress: Progress
    waiting: Waiting | None
    outcome: Outcome | None
    error: Failure | None
    cost: Cost
    owner: str
    labels: dict[str, str]
    run: int
    seq: int
    retry_count: int
    max_retries: int
    created_at: str
    started_at: str | None
    completed_at: str | None


class JobRecord(JobSummary):
    """A job with what it delivered."""

    result: Result


class QuotedPictures(Wire):
    """Pictures that would be kept, are being made, may have been bought, would not be made."""

    kept: int
    in_flight: int
    unknown: int
    not_made: int


class CancelQuote(Wire):
    """What a cancel would bill and save, if it came right now.

    `wouldBill` is what the whole job will have cost; `abandoned` is the part of it that buys
    pictures nobody would keep. `unknown` may or may not be charged on top.
    """

    job_id: str
    mode: CancelMode
    would_bill: Money
    would_save: Money
    unknown: Money
    abandoned: Money
    images: QuotedPictures


class JobsPage(Wire):
    """One page of jobs, newest first."""

    jobs: list[JobSummary]
    next_cursor: str | None


class Message(Wire):
    """One event of a job's log; `seq` counts from 1 without a gap."""

    job_id: str
    seq: int
    type: Literal["JOB_UPDATE", "JOB_PROGRESS", "JOB_COMPLETED", "JOB_ERROR"]
    timestamp: str
    data: dict[str, Any]


class EventsPage(Wire):
    """One page of a log, in order."""

    events: list[Message]
    last_seq: int
    has_more: bool


class PicturesPage(Wire):
    """The pictures of a job, in the order of its items."""

    images: list[JobPicture]


class ProductPhoto(Wire):
    """An uploaded product photo."""

    id: str
    sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    created_at: str
    url: str


class Booked(Wire):
    """A purchase that a callback was booked for."""

    call: str
    state: str


class Readiness(Wire):
    """Whether this process can serve; each check with `?verbose`."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str] | None = None


class Mistake(Wire):
    """One thing to mend."""

    field: str
    message: str
    remedy: str


class ProblemAnswer(Wire):
    """RFC 9457, with a stable `code`; some codes add fields of their own."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    remedy: str | None = None
    errors: list[Mistake] | None = None


def answered(
    model: type[Wire], *problems: int, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """Describe a route's answer, and the statuses of problems it may answer with instead."""
    refused = {problem: {"description": "Problem"} for problem in (*problems, 422, 503)}
    return {status: {"model": model}, **refused}
