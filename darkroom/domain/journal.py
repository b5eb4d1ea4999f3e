"""What a job's single writer knows: its state, its items, and what the store was not told yet.

Pure: the workflow brings the time. Every change of state goes through `note`, so each one
is an event, and progress never falls.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from darkroom.domain.checkpoint import (
    Claimed,
    JobRecord,
    JobSnapshot,
    LiveJob,
    RecordBatch,
    Recorded,
)
from darkroom.domain.errors import Failure
from darkroom.domain.events import EventKind, EventLog, JobEvent, JobResult
from darkroom.domain.items import Item, ItemState, StoredPicture
from darkroom.domain.job import JobStart, OwnerId, Priority
from darkroom.domain.ledger import Cost
from darkroom.domain.lifecycle import JobState, Outcome, Waiting, advance
from darkroom.domain.stages import DONE_PERCENT, Progress, Stage, reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an event tells beside its kind; see `JobEvent`."""

    stage: Stage | None = None
    item: str | None = None
    attempt: int | None = None
    next_try_at: datetime | None = None
    failure: Failure | None = None
    picture: StoredPicture | None = None
    result: JobResult | None = None
    by: str | None = None
    note: str | None = None


NO_FACTS = Facts()


class JobJournal:
    """State of one job in the hands of its writer."""

    def __init__(self, start: JobStart, *, writer: str) -> None:
        self._start = start
        self._writer = writer
        self._log = EventLog()
        self._items: dict[str, Item] = {}
        self._unsaved: set[str] = set()
        self._is_writer = True
        cost = Cost(estimated_micros=start.plans.estimated_micros)
        progress = Progress(total=start.request.picture_count)
        self._snapshot = JobSnapshot(run=start.expected_run + 1, progress=progress, cost=cost)

    def resume(self, claimed: Claimed) -> None:
        """Take over from the checkpoint of whoever wrote before."""
        self._log = EventLog(head=claimed.snapshot.seq)
        self._items = {item.key: item for item in claimed.items}
        recorded = claimed.snapshot
        if recorded.seq:
            self._snapshot = recorded

    @property
    def snapshot(self) -> JobSnapshot:
        """The state after the last event."""
        return self._snapshot

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, in order."""
        return tuple(self._items.values())

    @property
    def is_flushed(self) -> bool:
        """Say whether the store knows everything, or must no longer be told."""
        return not self._is_writer or not self._log.unflushed

    def item(self, key: str) -> Item | None:
        """Look one item up."""
        return self._items.get(key)

    def items_in(self, state: ItemState) -> tuple[Item, ...]:
        """Items that stand at this state, in order."""
        return tuple(item for item in self._items.values() if item.state == state)

    def put_items(self, items: Iterable[Item]) -> None:
        """Add or replace items; they travel with the next event."""
        for item in items:
            self._items[item.key] = item
            self._unsaved.add(item.key)

    def begin_stage(self, stage: Stage, message: str, *, at: datetime) -> None:
        """Enter a stage; over a retry the percent stays where it was."""
        self._climb(stage, reached(stage, finished=0, total=0), message)
        self.note(EventKind.STAGE_STARTED, at=at, facts=Facts(stage=stage))

    def end_stage(self, stage: Stage, message: str, *, at: datetime) -> None:
        """Leave a stage at its end mark."""
        self._climb(stage, DONE_PERCENT[stage], message)
        self.note(EventKind.STAGE_FINISHED, at=at, facts=Facts(stage=stage))

    def climb(self, stage: Stage, *, finished: int, total: int, message: str) -> None:
        """Move inside a stage; the next event reports it."""
        self._climb(stage, reached(stage, finished=finished, total=total), message)

    def advance(self, to: JobState, *, at: datetime) -> None:
        """Move the job's state; the next event reports it.

        Raises:
            IllegalTransition: the table has no such step.
        """
        state = advance(self._snapshot.state, to)
        started = self._snapshot.started_at or (at if to is JobState.PROCESSING else None)
        closed = at if to.is_terminal else None
        self._snapshot = replace(
            self._snapshot, state=state, started_at=started, completed_at=closed
        )

    def wait(self, waiting: Waiting | None) -> None:
        """Say why the job stands still, or that it moves again; the next event reports it."""
        self._snapshot = replace(self._snapshot, waiting=waiting)

    def rank(self, priority: Priority) -> None:
        """Change how urgent the job is; the next event reports it."""
        self._snapshot = replace(self._snapshot, priority=priority)

    @property
    def owner(self) -> OwnerId:
        """Whose job it is."""
        return self._start.owner

    @property
    def priority(self) -> Priority:
        """How urgent the job is now."""
        return self._snapshot.priority or self._start.request.priority

    def close(self, outcome: Outcome, *, cost: Cost, failure: Failure | None = None) -> None:
        """Write down how the job ended; the next event reports it."""
        self._snapshot = replace(
            self._snapshot, outcome=outcome, cost=cost, failure=failure, waiting=None
        )

    def spend(self, micros: int) -> None:
        """Add to what the job is known to have cost."""
        cost = self._snapshot.cost
        cost = replace(cost, spent_micros=cost.spent_micros + micros)
        self._snapshot = replace(self._snapshot, cost=cost)

    def note(self, kind: EventKind, *, at: datetime, facts: Facts = NO_FACTS) -> None:
        """Append one fact to the log."""
        snapshot = self._snapshot
        event = self._log.append(
            JobEvent(
                seq=0,
                run=snapshot.run,
                at=at,
                kind=kind,
                state=snapshot.state,
                progress=snapshot.progress,
                waiting=snapshot.waiting,
                stage=facts.stage,
                item=facts.item,
                attempt=facts.attempt,
                next_try_at=facts.next_try_at,
                failure=facts.failure,
                picture=facts.picture,
                result=facts.result,
                by=facts.by,
                note=facts.note,
            )
        )
        self._snapshot = replace(snapshot, seq=event.seq)

    def batch(self) -> RecordBatch:
        """Pack the next chunk of the unflushed tail.

        A chunk that leaves events behind carries the state as its last event tells it.
        """
        events = self._log.chunk()
        last = events[-1]
        snapshot = self._snapshot
        if last.seq < snapshot.seq:
            snapshot = replace(
                snapshot,
                seq=last.seq,
                state=last.state,
                progress=last.progress,
                waiting=last.waiting,
            )
        return RecordBatch(
            job_id=self._start.job_id,
            writer=self._writer,
            events=events,
            items=tuple(self._items[key] for key in sorted(self._unsaved)),
            snapshot=snapshot,
        )

    def acknowledge(self, batch: RecordBatch, recorded: Recorded) -> None:
        """Forget what the store has, or renumber after the head it named."""
        self._is_writer = recorded.is_writer
        if not recorded.is_writer:
            return
        if not recorded.appended:
            self._log.renumber(recorded.head)
            self._snapshot = replace(self._snapshot, seq=self._log.seq)
            return
        self._log.acknowledge(recorded.head)
        for item in batch.items:
            if self._items[item.key] == item:
                self._unsaved.discard(item.key)

    def live(self) -> LiveJob:
        """Answer the workflow's query."""
        record = JobRecord(start=self._start, snapshot=self._snapshot, items=self.items)
        return LiveJob(record=record, unflushed=self._log.unflushed)

    def _climb(self, stage: Stage, percent: int, message: str) -> None:
        before = self._snapshot.progress
        done = len(self.items_in(ItemState.STORED))
        failed = len(self.items_in(ItemState.FAILED))
        progress = replace(
            before,
            percent=max(before.percent, percent),
            stage=stage,
            message=message,
            done=done,
            failed=failed,
        )
        self._snapshot = replace(self._snapshot, progress=progress)
