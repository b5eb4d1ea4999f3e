"""Why a job is not moving: it stands still when all its parts wait."""

from collections.abc import Generator
from contextlib import contextmanager

from temporalio import workflow

from darkroom.domain.errors import OPERATOR_CODES, Failure
from darkroom.domain.events import EventKind
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.lifecycle import Waiting, WaitingOn


def waiting_for(failure: Failure) -> Waiting:
    """Say in words a caller can read what a waiting error waits for."""
    provider = failure.provider or "the provider"
    if failure.code in OPERATOR_CODES:
        why = f"{provider} needs an operator: {failure.message}"
        return Waiting(on=WaitingOn.OPERATOR, since=workflow.now(), why=why)
    why = f"{provider} asked to slow down: {failure.message}"
    return Waiting(on=WaitingOn.PROVIDER, since=workflow.now(), why=why)


class Standstill:
    """Which parts are at work, which of them wait, and what the log says of it."""

    def __init__(self, journal: JobJournal) -> None:
        self._journal = journal
        self._working: set[str] = set()
        self._waiting: dict[str, Waiting] = {}

    @property
    def is_total(self) -> bool:
        """Say whether the job as a whole waits; then its clock stands too."""
        return self._journal.snapshot.waiting is not None

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """Count one part as at work until the block ends."""
        self._working.add(name)
        self._look()
        try:
            yield
        finally:
            self._working.discard(name)
            self._waiting.pop(name, None)

    def waits(self, name: str, failure: Failure) -> None:
        """Note that a part waits; it counts as waiting until it moves."""
        self._waiting.setdefault(name, waiting_for(failure))
        self._look(failure)

    def moves(self, name: str) -> None:
        """Note that a part got on."""
        self._waiting.pop(name, None)
        self._look()

    def _look(self, failure: Failure | None = None) -> None:
        stands = bool(self._waiting) and len(self._waiting) >= len(self._working)
        if stands == self.is_total:
            return
        self._journal.wait(next(iter(self._waiting.values())) if stands else None)
        kind = EventKind.JOB_WAITING if stands else EventKind.JOB_RESUMED
        self._journal.note(kind, at=workflow.now(), facts=Facts(failure=failure))
