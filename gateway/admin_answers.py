"""What operators are answered about dead letters and deeds, as the API reference shows it."""

from typing import Any, Literal

from darkroom.domain.dead_letters import LetterState
from darkroom.domain.job import JobKind
from darkroom.domain.stages import Stage
from gateway.answers import Cost, Failure, Mistake
from gateway.schemas import Wire


class Letter(Wire):
    """One failed run of a job; `level` counts how often operators were told of it."""

    job_id: str
    run: int
    status: LetterState
    owner: str
    type: JobKind
    stage: Stage
    item: str | None
    error: Failure
    attempts: int
    cost: Cost
    remedy: str
    parked_at: str
    level: int
    escalated_at: str | None
    closed_at: str | None
    closed_by: str | None
    note: str | None


class LettersPage(Wire):
    """One page of dead letters, oldest first."""

    dead_letters: list[Letter]
    next_cursor: str | None


class LetterCount(Wire):
    """Letters that failed alike."""

    code: str
    stage: Stage
    count: int
    oldest_at: str


class LetterCounts(Wire):
    """Dead letters by cause, most first."""

    counts: list[LetterCount]
    total: int


class BulkResult(Wire):
    """What became of one letter: what was asked, or why not."""

    job_id: str
    result: Literal["redriven", "discarded", "refused"]
    run: int | None
    code: str | None
    detail: str | None
    remedy: str | None
    errors: list[Mistake] | None


class BulkResults(Wire):
    """What became of each letter, oldest first; `hasMore` if others answer the filter too."""

    results: list[BulkResult]
    has_more: bool


class Deed(Wire):
    """One deed; `detail` says what was changed."""

    number: int
    at: str
    actor: str
    action: str
    target: str
    reason: str | None
    detail: dict[str, Any] | None


class DeedsPage(Wire):
    """One page of deeds, newest first."""

    entries: list[Deed]
    next_cursor: str | None
