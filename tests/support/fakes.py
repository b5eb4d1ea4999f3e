"""The store in memory: one shared state, and a fake per port that passes the same suite."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from darkroom.domain.breakers import succeeded
from darkroom.domain.checkpoint import (
    Claim,
    Claimed,
    ClaimRefused,
    JobRecord,
    JobSnapshot,
    RecordBatch,
    Recorded,
    repaired,
    takes_over,
)
from darkroom.domain.errors import FenceLost, IllegalTransition, StoreUnavailable
from darkroom.domain.events import JobEvent
from darkroom.domain.items import Item, StoredPicture
from darkroom.domain.job import Combination, FileId, JobId, JobStart, OwnerId, in_order
from darkroom.domain.ledger import (
    ADOPTABLE,
    ANSWERED,
    MAYBE_PAID,
    MOVES,
    CallKey,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    TakeOpening,
)
from darkroom.domain.lifecycle import JobState
from darkroom.domain.names import Ring
from darkroom.domain.permits import JOB_PAUSED, CallTerms, Held
from darkroom.domain.ports import JobFilter, ProductFile
from darkroom.domain.prompts import EnhancedPrompt, KeptPrompt
from darkroom.store.batches import check_numbers
from darkroom.store.listeners import Listeners
from tests.support.fake_gates import Doorway, Waiter
from tests.support.fake_letters import Archive
from tests.support.fake_queue import Decisions
from tests.support.fake_reservations import Holders, take_free

HISTORY_JOBS = 100
Log: TypeAlias = list[JobEvent]


@dataclass(slots=True, kw_only=True)
class MemoryJob:
    """One job; the log's length is its head."""

    start: JobStart
    writer: str
    snapshot: JobSnapshot
    items: dict[str, Item] = field(default_factory=dict[str, Item])
    log: Log = field(default_factory=list[JobEvent])

    def record(self) -> JobRecord:
        """Show the job with its items."""
        return JobRecord(start=self.start, snapshot=self.snapshot, items=self.planned())

    def planned(self) -> tuple[Item, ...]:
        """List the items by key."""
        return tuple(self.items[key] for key in sorted(self.items))


def _in_memory() -> Listeners:
    """Hear without a connection: nothing begins and nothing ends."""
    return Listeners(begin=lambda: None, end=lambda: None)


@dataclass(slots=True, kw_only=True)
class MemoryState:
    """What all fakes of one test share; `is_away` makes every one of them unavailable."""

    jobs: dict[JobId, MemoryJob] = field(default_factory=dict[JobId, MemoryJob])
    purchases: dict[CallKey, LedgerRow] = field(default_factory=dict[CallKey, LedgerRow])
    prompts: dict[str, EnhancedPrompt] = field(default_factory=dict[str, EnhancedPrompt])
    spent: Counter[JobId] = field(default_factory=Counter[JobId])
    files: dict[FileId, ProductFile] = field(default_factory=dict[FileId, ProductFile])
    archive: Archive = field(default_factory=Archive)
    holders: Holders = field(default_factory=dict[tuple[OwnerId, str], JobId])
    doorway: Doorway = field(default_factory=Doorway)
    decisions: Decisions = field(default_factory=Decisions)
    listeners: Listeners = field(default_factory=_in_memory)
    is_away: bool = False

    def reach(self) -> None:
        """Stand for the way to the database.

        Raises:
            StoreUnavailable: the test took the database away.
        """
        if self.is_away:
            raise StoreUnavailable("the store in memory is away; the test must bring it back")

    def is_history(self, job: MemoryJob) -> bool:
        """Say whether later jobs must avoid what a job chose: one cancelled unpaid left nothing."""
        rows = self.purchases.values()
        is_paid = any(r.key.job == job.start.job_id and r.state in MAYBE_PAID for r in rows)
        return is_paid or job.snapshot.state is not JobState.CANCELLED

    def take_combinations_back(self, job: MemoryJob) -> None:
        """Reserve what a retried job chose, where nobody else has it."""
        if job.start.request.combinations:
            return
        chosen = [item.combination for item in job.planned()]
        take_free(self.holders, job.start.owner, job.start.job_id, chosen)

    def is_failed(self, job_id: JobId, run: int) -> bool:
        """Say whether a job still stands at the failed end of that run."""
        job = self.jobs.get(job_id)
        at = job and (job.snapshot.run, job.snapshot.state)
        return at == (run, JobState.FAILED)


class MemoryJobStore:
    """The port `JobStore` in memory."""

    def __init__(self, state: MemoryState) -> None:
        """Share a state."""
        self._state = state

    async def claim(self, claim: Claim) -> Claimed | ClaimRefused:
        """Become the writer of a job, by compare-and-set on its run."""
        self._state.reach()
        start, job = claim.start, self._state.jobs.get(claim.start.job_id)
        if job is None and start.expected_run > 0:
            return ClaimRefused(run=0)
        if job is None:
            job = MemoryJob(start=start, writer=claim.writer, snapshot=JobSnapshot(run=1))
            self._state.jobs[start.job_id] = job
        elif job.snapshot.run == start.expected_run and _may_be_retried(job):
            job.start, job.writer, job.snapshot = start, claim.writer, _retried(job.snapshot)
            self._state.archive.close_letters(claim)
            self._state.take_combinations_back(job)
        elif takes_over(claim, job.snapshot, writer=job.writer):
            job.start, job.writer = start, claim.writer
            job.snapshot = repaired(job.snapshot, start)
        elif (job.writer, job.snapshot.run) != (claim.writer, start.expected_run + 1):
            return ClaimRefused(run=job.snapshot.run)
        job.start = replace(job.start, repair=None)
        return Claimed(snapshot=job.snapshot, items=job.planned())

    async def job(self, job_id: JobId, *, owner: OwnerId | None = None) -> JobRecord | None:
        """Read one job with its items; with an owner, only if it is theirs."""
        self._state.reach()
        job = self._state.jobs.get(job_id)
        return job.record() if job and owner in {None, job.start.owner} else None

    async def jobs(self, wanted: JobFilter, *, limit: int) -> tuple[JobRecord, ...]:
        """List jobs without items, newest first by (submitted_at, id)."""
        self._state.reach()
        matching = [job for job in self._state.jobs.values() if _matches(job, wanted)]
        newest = sorted(matching, key=lambda job: _place(job.start), reverse=True)
        return tuple(replace(job.record(), items=()) for job in newest[:limit])

    async def combinations_of(
        self, owner: OwnerId, *, dimensions: tuple[str, ...], but_not: JobId
    ) -> tuple[Combination, ...]:
        """Read what the owner's latest hundred other jobs chose, without repeats."""
        self._state.reach()
        owned = [job for job in self._state.jobs.values() if job.start.owner == owner]
        others = sorted(
            (j for j in owned if j.start.job_id != but_not and self._state.is_history(j)),
            key=lambda job: (job.start.submitted_at, job.start.job_id),
            reverse=True,
        )[:HISTORY_JOBS]
        items = [item for job in others for item in job.planned()]
        written = (in_order(item.combination, dimensions) for item in items)
        return tuple(dict.fromkeys(one for one in written if one))

    async def owned_picture(self, owner: OwnerId, sha256: str) -> StoredPicture | None:
        """Find a stored picture of this owner by its own or its thumbnail's hash."""
        self._state.reach()
        owned = (job for job in self._state.jobs.values() if job.start.owner == owner)
        pictures = (item.picture for job in owned for item in job.items.values() if item.picture)
        return next((p for p in pictures if sha256 in {p.sha256, p.thumbnail_sha256}), None)


class MemoryOutbox:
    """The port `Outbox` in memory."""

    def __init__(self, state: MemoryState) -> None:
        """Share a state."""
        self._state = state

    async def append(self, batch: RecordBatch) -> Recorded:
        """Store events, items and snapshot at once, and ring."""
        self._state.reach()
        check_numbers(batch)
        job = self._state.jobs.get(batch.job_id)
        if job is None or job.writer != batch.writer:
            return Recorded(head=len(job.log) if job else 0, is_writer=False)
        head = len(job.log)
        if batch.events and batch.events[0].seq > head + 1:
            raise ValueError(f"job {batch.job_id}: event {batch.events[0].seq} leaves a gap")
        if any(job.log[e.seq - 1] != e for e in batch.events if e.seq <= head):
            return Recorded(head=head, appended=False)
        rest = [event for event in batch.events if event.seq > head]
        if rest:
            job.log += rest
            job.items |= {item.key: item for item in batch.items}
            job.snapshot = replace(batch.snapshot, seq=len(job.log), run=job.snapshot.run)
            self._state.archive.keep_letters(batch, rest, job.start)
            self._state.listeners.hear(Ring(job_id=batch.job_id))
        return Recorded(head=len(job.log))

    async def events_after(self, job_id: JobId, seq: int, *, limit: int) -> tuple[JobEvent, ...]:
        """Read events with a higher number, in order."""
        self._state.reach()
        job = self._state.jobs.get(job_id)
        return tuple(job.log[seq : seq + limit]) if job else ()

    async def heads(self, job_ids: Sequence[JobId]) -> dict[JobId, int]:
        """Read the last stored number of each job that has any."""
        self._state.reach()
        known = {job_id: self._state.jobs[job_id] for job_id in job_ids & self._state.jobs.keys()}
        return {job_id: len(job.log) for job_id, job in known.items() if job.log}


class MemoryCallLedger:
    """The port `CallLedger` in memory."""

    def __init__(self, state: MemoryState) -> None:
        """Share a state."""
        self._state = state

    async def open(self, opening: TakeOpening) -> LedgerRow:
        """Create the row if there is none, take the next fence, and read it."""
        self._state.reach()
        row = self._state.purchases.get(opening.key)
        if row is None:
            return self._keep(_intent(opening))
        return self._keep(replace(row, fence=row.fence + 1))

    async def move(self, row: LedgerRow, to: LedgerState, changes: LedgerChanges) -> LedgerRow:
        """Make one transition under `row.fence` from `row.state`, or nothing."""
        self._state.reach()
        if to not in MOVES[row.state]:
            raise IllegalTransition(f"purchase {row.key} cannot go from {row.state} to {to}")
        now = self._state.purchases.get(row.key)
        if now is None or (now.fence, now.state) != (row.fence, row.state):
            raise FenceLost(f"purchase {row.key} has moved on; leave it alone")
        if row.state is LedgerState.CALLING and to in ANSWERED:
            passed = succeeded(self._state.doorway.gate(row.gate), call=str(row.key))
            self._state.doorway.change(passed)
        return self._keep(
            replace(
                now,
                state=to,
                called_at=changes.called_at or now.called_at,
                task_id=changes.task_id or now.task_id,
                result_url=changes.result_url or now.result_url,
                picture=changes.picture or now.picture,
                failure=changes.failure or now.failure,
            )
        )

    async def call(self, row: LedgerRow, terms: CallTerms) -> LedgerRow | Held:
        """Move `intent -> calling`, if nothing holds the call back."""
        self._state.reach()
        now = self._state.purchases.get(row.key)
        if now is None or (now.fence, now.state) != (row.fence, LedgerState.INTENT):
            raise FenceLost(f"purchase {row.key} has moved on; leave it alone")
        job = self._state.jobs.get(row.key.job)
        if job and job.snapshot.state is JobState.PAUSED:
            self._state.doorway.line.pop(row.key, None)
            return Held(code=JOB_PAUSED, why=f"job {row.key.job} is paused")
        return self._call_or_hold(now, terms)

    def _call_or_hold(self, row: LedgerRow, terms: CallTerms) -> LedgerRow | Held:
        doorway, limits, now = self._state.doorway, terms.limits, terms.called_at
        waiter = doorway.line.pop(row.key, None)
        passed = doorway.ask(row.gate, str(row.key), terms)
        if isinstance(passed, Held):
            return passed
        admitted_at = terms.admitted_at or (waiter.admitted_at if waiter else now)
        ahead = doorway.ahead(row.key, admitted_at, now, row.provider)
        flying = self._flying(row.provider, since=now - limits.counted_within)
        held = doorway.held(row.provider, limits, now=now, flying=flying, ahead=ahead)
        if held:
            doorway.line[row.key] = Waiter(
                provider=row.provider, admitted_at=admitted_at, wanted_at=now
            )
            return held
        doorway.change(passed)
        doorway.count(row.provider, terms)
        return self._keep(replace(row, state=LedgerState.CALLING, called_at=now))

    def _flying(self, provider: str, *, since: datetime) -> int:
        return sum(
            row.provider == provider
            and row.state in {LedgerState.CALLING, LedgerState.ACCEPTED}
            and row.called_at is not None
            and row.called_at > since
            and not row.hinted
            for row in self._state.purchases.values()
        )

    async def step_aside(self, key: CallKey) -> None:
        """Stop waiting in line; harmless if it does not wait."""
        self._state.reach()
        self._state.doorway.line.pop(key, None)

    async def adopt(self, key: CallKey, task_id: str) -> LedgerRow | None:
        """Book a callback: `calling | unknown -> accepted`, and in any state a hint; ring."""
        self._state.reach()
        row = self._state.purchases.get(key)
        if row is None:
            return None
        if row.state in ADOPTABLE:
            row = replace(row, state=LedgerState.ACCEPTED, task_id=task_id)
        self._state.listeners.hear(Ring(call=key))
        return self._keep(replace(row, hinted=True))

    async def withdraw(self, key: CallKey, called_at: datetime) -> None:
        """Take a call back that was certainly not accepted: `calling -> intent`, or nothing."""
        self._state.reach()
        row = self._state.purchases.get(key)
        if row and row.state is LedgerState.CALLING and row.called_at == called_at:
            self._keep(replace(row, state=LedgerState.INTENT))

    async def abandon(self, key: CallKey) -> None:
        """Mark a purchase whose job no longer waits for it."""
        self._state.reach()
        if key in self._state.purchases:
            self._keep(replace(self._state.purchases[key], abandoned=True))

    async def rows(self, keys: Sequence[CallKey]) -> tuple[LedgerRow, ...]:
        """Read the rows that exist, in any order."""
        self._state.reach()
        return tuple(self._state.purchases[key] for key in self._state.purchases.keys() & keys)

    async def of_job(self, job_id: JobId) -> tuple[LedgerRow, ...]:
        """Read all purchases of a job, by item and take."""
        self._state.reach()
        rows = (row for key, row in self._state.purchases.items() if key.job == job_id)
        return tuple(sorted(rows, key=lambda row: (row.key.item, row.key.take)))

    def _keep(self, row: LedgerRow) -> LedgerRow:
        self._state.purchases[row.key] = row
        return row


class MemoryPromptCache:
    """The port `PromptCache` in memory."""

    def __init__(self, state: MemoryState) -> None:
        """Share a state."""
        self._state = state

    async def kept(self, keys: Sequence[str]) -> dict[str, EnhancedPrompt]:
        """Read what is there."""
        self._state.reach()
        return {key: self._state.prompts[key] for key in self._state.prompts.keys() & keys}

    async def keep(self, prompt: KeptPrompt) -> None:
        """Keep an answer and book its cost to the job; the first text under a key stays."""
        self._state.reach()
        self._state.prompts.setdefault(prompt.key, prompt.prompt)
        self._state.spent[prompt.job_id] += prompt.prompt.cost_micros

    async def book(self, key: str, job_id: JobId, cost_micros: int) -> None:
        """Book an answer that was paid for and cannot be used."""
        del key
        self._state.reach()
        self._state.spent[job_id] += cost_micros

    async def spent_micros(self, job_id: JobId) -> int:
        """Add up what the job's answers cost."""
        self._state.reach()
        return self._state.spent[job_id]


class MemoryFileCatalog:
    """The port `FileCatalog` in memory."""

    def __init__(self, state: MemoryState) -> None:
        """Share a state."""
        self._state = state

    async def add(self, file: ProductFile) -> None:
        """Remember an upload; the same one again changes nothing."""
        self._state.reach()
        self._state.files.setdefault(file.file_id, file)

    async def find(self, file_ids: Sequence[FileId]) -> tuple[ProductFile, ...]:
        """Read those that exist, in any order."""
        self._state.reach()
        return tuple(self._state.files[file_id] for file_id in self._state.files.keys() & file_ids)


class MemoryDoorbell:
    """The port `Doorbell` in memory."""

    def __init__(self, state: MemoryState) -> None:
        """Share a state."""
        self._state = state

    def rings(self) -> AsyncGenerator[Ring, None]:
        """Yield rings until closed. A ring without a topic comes first and after each gap."""
        return self._state.listeners.rings()

    async def close(self) -> None:
        """End all listening for good."""
        self._state.listeners.close()


def _may_be_retried(job: MemoryJob) -> bool:
    return job.snapshot.state in {JobState.FAILED, JobState.CANCELLED}


def _retried(before: JobSnapshot) -> JobSnapshot:
    return JobSnapshot(
        run=before.run + 1,
        seq=before.seq,
        progress=before.progress,
        started_at=before.started_at,
        cost=before.cost,
    )


def _matches(job: MemoryJob, wanted: JobFilter) -> bool:
    request = job.start.request
    return (
        job.start.owner == wanted.owner
        and wanted.state in {None, job.snapshot.state}
        and wanted.kind in {None, request.kind}
        and wanted.priority in {None, request.priority}
        and (wanted.label is None or wanted.label in request.labels.items())
        and (wanted.before is None or _place(job.start) < wanted.before)
    )


def _place(start: JobStart) -> tuple[object, ...]:
    return (start.submitted_at, start.job_id)


def _intent(opening: TakeOpening) -> LedgerRow:
    return LedgerRow(
        key=opening.key,
        owner=opening.owner,
        provider=opening.provider,
        model=opening.model,
        price_micros=opening.price_micros,
        state=LedgerState.INTENT,
        fence=1,
    )
