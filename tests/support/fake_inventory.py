"""The walks of reconcile through the store in memory."""

from dataclasses import replace
from datetime import datetime

from darkroom.domain.drift import JobPlace, KeptFile, WrittenJob
from darkroom.domain.errors import Failure
from darkroom.domain.items import Item
from darkroom.domain.job import JobId
from darkroom.domain.ledger import LedgerRow, LedgerState
from darkroom.domain.lifecycle import JobState
from darkroom.domain.ports import CallPlace
from tests.support.fakes import MemoryJob, MemoryState


class MemoryInventory:
    """The port `Inventory` in memory."""

    def __init__(self, state: MemoryState) -> None:
        """Share a state."""
        self._state = state

    async def jobs_in(
        self, state: JobState, *, after: JobPlace | None = None, limit: int
    ) -> tuple[WrittenJob, ...]:
        """Read jobs in one state, oldest first."""
        self._state.reach()
        jobs = [_written(job) for job in self._state.jobs.values() if job.snapshot.state is state]
        later = [job for job in jobs if after is None or _place(job.place) > _place(after)]
        return tuple(sorted(later, key=lambda job: _place(job.place))[:limit])

    async def written(self, job_id: JobId) -> WrittenJob | None:
        """Read one job's row with the name of its writer."""
        self._state.reach()
        job = self._state.jobs.get(job_id)
        return None if job is None else _written(job)

    async def restore(self, job: WrittenJob, items: tuple[Item, ...]) -> bool:
        """Write a job that the store has forgotten; false if it is there."""
        self._state.reach()
        if job.start.job_id in self._state.jobs:
            return False
        self._state.jobs[job.start.job_id] = MemoryJob(
            start=replace(job.start, repair=None),
            writer=job.writer,
            snapshot=job.snapshot,
            items={item.key: item for item in items},
        )
        return True

    async def kept_files(
        self, *, after: tuple[JobId, str] | None = None, limit: int
    ) -> tuple[KeptFile, ...]:
        """Read the stored pictures of all jobs, by job and item."""
        self._state.reach()
        kept = [
            KeptFile(
                job_id=job.start.job_id,
                item=item.key,
                take=item.take,
                owner=job.start.owner,
                sha256=item.picture.sha256,
                thumbnail_sha256=item.picture.thumbnail_sha256,
            )
            for job in self._state.jobs.values()
            for item in job.planned()
            if item.picture
        ]
        later = [one for one in kept if after is None or (one.job_id, one.item) > after]
        return tuple(sorted(later, key=lambda one: (one.job_id, one.item))[:limit])

    async def purchases_in(
        self,
        state: LedgerState,
        *,
        called_before: datetime,
        after: CallPlace | None = None,
        limit: int,
    ) -> tuple[LedgerRow, ...]:
        """Read purchases in one state that nobody has abandoned, oldest call first."""
        self._state.reach()
        placed = [
            (CallPlace(called_at=row.called_at, key=row.key), row)
            for row in self._state.purchases.values()
            if row.state is state and row.called_at and not row.abandoned
        ]
        wanted = [
            (_call_place(place), row)
            for place, row in placed
            if place.called_at < called_before
            and (after is None or _call_place(place) > _call_place(after))
        ]
        return tuple(row for _, row in sorted(wanted, key=lambda one: one[0])[:limit])

    async def note(self, row: LedgerRow, failure: Failure | None) -> bool:
        """Write down what is wrong with a purchase, or that nothing is; false if it moved on."""
        self._state.reach()
        now = self._state.purchases.get(row.key)
        if now is None or (now.fence, now.state) != (row.fence, row.state):
            return False
        self._state.purchases[row.key] = replace(now, failure=failure)
        return True


def _written(job: MemoryJob) -> WrittenJob:
    return WrittenJob(
        start=job.start,
        snapshot=job.snapshot,
        writer=job.writer,
        has_spoken=any(event.run == job.snapshot.run for event in job.log),
    )


def _place(place: JobPlace) -> tuple[datetime, str]:
    return place.submitted_at, place.job_id


def _call_place(place: CallPlace) -> tuple[object, ...]:
    return place.called_at, place.key.job, place.key.item, place.key.take
