"""A job's life over any number of runs, held against the story a person would tell of it.

Real: the transition table, the journal, the claim and the log. The model knows six words and
when each makes sense; it knows neither the table nor how a log is written.
"""

from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from darkroom.domain.checkpoint import Claimed, ClaimRefused
from darkroom.domain.errors import IllegalTransition
from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.journal import JobJournal
from darkroom.domain.lifecycle import JobState
from darkroom.domain.stages import Stage
from tests.support.builders import JOB, NOW, a_claim, a_start
from tests.support.fakes import MemoryJobStore, MemoryOutbox, MemoryState

T = TypeVar("T")

OVER = {"completed", "failed", "cancelled"}
TICK = timedelta(seconds=1)
ALL = 10_000

KINDS = {
    JobState.PENDING: EventKind.JOB_RESUMED,
    JobState.PROCESSING: EventKind.JOB_STARTED,
    JobState.PAUSED: EventKind.JOB_PAUSED,
    JobState.COMPLETED: EventKind.JOB_COMPLETED,
    JobState.FAILED: EventKind.JOB_FAILED,
    JobState.CANCELLED: EventKind.JOB_CANCELLED,
}


class JobLife(RuleBasedStateMachine):
    """Tells one job to become anything, whether or not it makes sense."""

    def __init__(self) -> None:
        super().__init__()
        state = MemoryState()
        self.store, self.outbox = MemoryJobStore(state), MemoryOutbox(state)
        self.now = NOW
        # What the person remembers.
        self.word, self.run, self.told = "pending", 1, 0
        self.first_started_at: datetime | None = None

    @initialize()
    def submit(self) -> None:
        """The first run claims the job."""
        self.journal = self._claim(expected_run=0)
        self.journal.note(EventKind.JOB_SUBMITTED, at=self.now)
        self.told = 1

    @rule(to=st.sampled_from(JobState))
    def become(self, to: JobState) -> None:
        """A job becomes what makes sense; told anything else, it stays as it is."""
        if self.word in {"failed", "cancelled"} and to is JobState.PENDING:
            return  # that is a retry, which has a rule of its own
        self.now += TICK
        before = self.journal.snapshot
        if not self._makes_sense(to):
            with pytest.raises(IllegalTransition):
                self.journal.advance(to, at=self.now)
            assert self.journal.snapshot == before
            return
        self.journal.advance(to, at=self.now)
        self.journal.note(KINDS[to], at=self.now)
        self.word, self.told = to.value, self.told + 1
        if self.word == "processing" and self.first_started_at is None:
            self.first_started_at = self.now

    @rule(stage=st.sampled_from(Stage))
    def work(self, stage: Stage) -> None:
        """Stages come in any order, also again after a retry."""
        self.journal.begin_stage(stage, "on it", at=self.now)
        self.told += 1

    @rule()
    def flush(self) -> None:
        """The store is told what it does not know."""
        while not self.journal.is_flushed:
            batch = self.journal.batch()
            self.journal.acknowledge(batch, done(self.outbox.append(batch)))

    @precondition(lambda self: self.word in {"failed", "cancelled"})
    @rule()
    def retry(self) -> None:
        """A run that failed or was cancelled is followed by another one of the same job."""
        self.flush()
        self.now += TICK
        self.journal = self._claim(expected_run=self.run)
        if self.journal.snapshot.state is not JobState.PENDING:
            self.journal.advance(JobState.PENDING, at=self.now)
        self.journal.note(EventKind.JOB_RETRIED, at=self.now)
        self.word, self.run, self.told = "pending", self.run + 1, self.told + 1

    @precondition(lambda self: self.word not in {"failed", "cancelled"})
    @rule()
    def retry_what_is_not_to_be_retried(self) -> None:
        """Nobody becomes the writer of a job that runs, or that has completed."""
        self.flush()
        claim = a_claim(a_start(expected_run=self.run), writer="an intruder")

        assert isinstance(done(self.store.claim(claim)), ClaimRefused)

    @invariant()
    def journal_tells_the_same_story(self) -> None:
        """State, run, moments and the number of events are as remembered."""
        snapshot = self.journal.snapshot
        assert snapshot.state.value == self.word
        assert snapshot.run == self.run
        assert snapshot.seq == self.told
        assert snapshot.started_at == self.first_started_at
        assert (snapshot.completed_at is not None) == (self.word in OVER)

    @invariant()
    def log_has_no_gap_and_progress_never_falls(self) -> None:
        """What is stored and what is not yet make one story, from 1 on."""
        log = (*self._stored(), *self.journal.live().unflushed)
        percents = [event.progress.percent for event in log]

        assert [event.seq for event in log] == list(range(1, self.told + 1))
        assert percents == sorted(percents)
        assert [event.run for event in log] == sorted(event.run for event in log)

    def _makes_sense(self, to: JobState) -> bool:
        """Tell it as a person would, without a table."""
        is_open = self.word not in OVER
        sense = {
            "pending": self.word == "paused",
            "processing": self.word in {"pending", "paused"},
            "paused": self.word in {"pending", "processing"},
            "completed": self.word == "processing",
            "failed": is_open,
            "cancelled": is_open,
        }
        return is_open and sense[to.value]

    def _claim(self, *, expected_run: int) -> JobJournal:
        start, writer = a_start(expected_run=expected_run), f"run {expected_run + 1}"
        claimed = done(self.store.claim(a_claim(start, writer=writer)))
        assert isinstance(claimed, Claimed)
        journal = JobJournal(start, writer=writer)
        journal.resume(claimed)
        return journal

    def _stored(self) -> tuple[JobEvent, ...]:
        return done(self.outbox.events_after(JOB, 0, limit=ALL))


def done(answer: Coroutine[Any, Any, T]) -> T:
    """Take the answer of a fake, which never waits for anything.

    Raises:
        AssertionError: it waited.
    """
    try:
        answer.send(None)
    except StopIteration as returned:
        return returned.value
    raise AssertionError("a fake in memory waited")


JobLife.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestJobLife = JobLife.TestCase
