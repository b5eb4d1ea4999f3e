"""Why a job is not moving: it stands still when all its parts wait."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from temporalio import workflow

from darkroom.domain.errors import OPERATOR_CODES, Failure
from darkroom.domain.events import EventKind
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.lifecycle import Waiting, WaitingOn
from darkroom.domain.permits import PROVIDER_PARKED


def waiting_for(failure: Failure) -> Waiting:
    """Say in words a caller can read what a waiting error waits for."""
    if failure.code == PROVIDER_PARKED:
        needs_operator = failure.retry_after is None
        on = WaitingOn.OPERATOR if needs_operator else WaitingOn.PROVIDER
        return waiting_on(on, failure.message)
    provider = failure.provider or "the provider"
    if failure.code in OPERATOR_CODES:
        return waiting_on(WaitingOn.OPERATOR, f"{provider} needs an operator: {failure.message}")
    return waiting_on(WaitingOn.PROVIDER, f"{provider} asked to slow down: {failure.message}")


def waiting_on(what: WaitingOn, why: str) -> Waiting:
    """Say since now what a part waits for."""
    return Waiting(on=what, since=workflow.now(), why=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One part that waits; `is_long` when it may take so long that others could use the slot."""

    waiting: Waiting
    is_long: bool = False


class Standstill:
    """Which parts are at work, which of them wait, and what the log says of it."""

    def __init__(self, journal: JobJournal) -> None:
        self._journal = journal
        self._working: set[str] = set()
        self._waiting: dict[str, Stop] = {}

    @property
    def is_total(self) -> bool:
        """Say whether the job as a whole waits; then its clock stands too."""
        return self._journal.snapshot.waiting is not None

    @property
    def is_long(self) -> bool:
        """Say whether every part waits for something that may take long."""
        return self._stands and all(stop.is_long for stop in self._waiting.values())

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """Count one part as at work until the block ends."""
        self._working.add(name)
        self._look()
        try:
            yield
        except BaseException:
            self._forget(name)
            raise  # the job is ending: whether the rest stands still is no news
        self._forget(name)
        self._look()

    def waits(
        self, name: str, waiting: Waiting, *, failure: Failure | None = None, is_long: bool = False
    ) -> None:
        """Note that a part waits; it counts as waiting until it moves."""
        before = self._waiting.get(name)
        if before and before.waiting.on == waiting.on:
            waiting = replace(waiting, since=before.waiting.since)
        self._waiting[name] = Stop(waiting=waiting, is_long=is_long)
        self._look(failure)

    def moves(self, name: str) -> None:
        """Note that a part got on."""
        self._waiting.pop(name, None)
        self._look()

    def _forget(self, name: str) -> None:
        self._working.discard(name)
        self._waiting.pop(name, None)

    @property
    def _stands(self) -> bool:
        return bool(self._waiting) and len(self._waiting) >= len(self._working)

    def _look(self, failure: Failure | None = None) -> None:
        if self._stands == self.is_total:
            return
        first = next(iter(self._waiting.values())).waiting if self._stands else None
        self._journal.wait(first)
        kind = EventKind.JOB_WAITING if self._stands else EventKind.JOB_RESUMED
        self._journal.note(kind, at=workflow.now(), facts=Facts(failure=failure))
