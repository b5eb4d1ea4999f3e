"""Which source answers a question about a job.

A caller's GET: the store's row; before the first row, or without the store, the workflow.
A subscriber: the workflow while the job runs, because only it knows what is not stored yet.
Whoever does not own a job is told that there is none; operators see everybody's.
"""

import re
from datetime import timedelta
from typing import Protocol

from darkroom.domain.checkpoint import JobRecord, LiveJob
from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.events import JobResult
from darkroom.domain.job import JobId, OwnerId
from darkroom.domain.ports import JobStore, Outbox
from gateway.commands import ANSWER_WITHIN, Submitted
from gateway.errors import not_found
from gateway.wire import pending_record

# Other workflows live in the same namespace; only these ids are jobs.
JOB_ID = re.compile(r"job_[0-9a-z]{1,64}")

# Without the store the workflow is the only source, and a workflow task that tries the store
# first holds its query for as long.
ONLY_SOURCE_WITHIN = timedelta(seconds=5)


class Workflows(Protocol):
    """What Temporal can tell of a job."""

    async def live(self, job_id: JobId, *, within: timedelta = ANSWER_WITHIN) -> LiveJob | None:
        """Ask a running workflow what it is; None if there is none or it does not answer."""
        ...

    async def submitted(self, job_id: JobId) -> Submitted | None:
        """Read how a job was started, which needs no worker."""
        ...


class JobReader:
    """Answers what a job is."""

    def __init__(self, *, store: JobStore, outbox: Outbox, workflows: Workflows) -> None:
        self._store = store
        self._outbox = outbox
        self._workflows = workflows

    async def record(self, job_id: str, owner: OwnerId | None) -> JobRecord:
        """Read a job for its owner; without one, whoever owns it.

        Raises:
            Problem: not_found.
            StoreUnavailable: the store is down, and the workflow does not answer either.
        """
        known = _checked(job_id)
        try:
            row = await self._store.job(known, owner=owner)
        except StoreUnavailable:
            live = await self._workflows.live(known, within=ONLY_SOURCE_WITHIN)
            if live is None:
                raise
            return recorded(_owned(live, owner).record)
        if row is not None:
            return recorded(row)
        return recorded((await self._without_row(known, owner)).record)

    async def live(self, job_id: str, owner: OwnerId | None) -> LiveJob:
        """Read a job as it is right now, with the events that the store does not have yet.

        For a subscriber, and after an order.

        Raises:
            Problem: not_found.
            StoreUnavailable: the store is down, and the workflow does not answer either.
        """
        known = _checked(job_id)
        try:
            row = await self._store.job(known, owner=owner)
        except StoreUnavailable:
            live = await self._workflows.live(known, within=ONLY_SOURCE_WITHIN)
            if live is None:
                raise
            return _shown(_owned(live, owner))
        if row is None:
            return await self._without_row(known, owner)
        if row.snapshot.state.is_terminal:
            return LiveJob(record=row)
        live = await self._workflows.live(known)
        if live is None:
            return LiveJob(record=_stale(recorded(row)))
        # A run that has not claimed its job yet knows less than the store.
        is_behind = live.record.snapshot.seq < row.snapshot.seq
        return LiveJob(record=row) if is_behind else _shown(live)

    async def closing(self, record: JobRecord) -> JobResult | None:
        """Read the result that a closed job's last event names."""
        snapshot = record.snapshot
        if not snapshot.state.is_terminal:
            return None
        try:
            last = await self._outbox.events_after(record.start.job_id, snapshot.seq - 1, limit=1)
        except StoreUnavailable:
            return None
        return last[0].result if last else None

    async def _without_row(self, job_id: JobId, owner: OwnerId | None) -> LiveJob:
        live = await self._workflows.live(job_id)
        if live is not None:
            return _shown(_owned(live, owner))
        submitted = await self._workflows.submitted(job_id)
        if submitted is None:
            raise not_found("job", job_id)
        return _owned(LiveJob(record=_stale(pending_record(submitted.start))), owner)


def recorded(record: JobRecord) -> JobRecord:
    """Read a record; one without any event yet says only that the job was accepted."""
    return record if record.snapshot.seq else pending_record(record.start)


def _shown(live: LiveJob) -> LiveJob:
    return LiveJob(record=recorded(live.record), unflushed=live.unflushed)


def _checked(job_id: str) -> JobId:
    if not JOB_ID.fullmatch(job_id):
        raise not_found("job", job_id[:80])
    return JobId(job_id)


def _owned(live: LiveJob, owner: OwnerId | None) -> LiveJob:
    if owner not in {None, live.record.start.owner}:
        raise not_found("job", live.record.start.job_id)
    return live


def _stale(record: JobRecord) -> JobRecord:
    return JobRecord(
        start=record.start, snapshot=record.snapshot, items=record.items, is_stale=True
    )
