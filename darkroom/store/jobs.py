"""Who writes a job, and what the database remembers of it."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from darkroom.domain.checkpoint import (
    SCHEMA,
    Claim,
    Claimed,
    ClaimRefused,
    JobRecord,
    JobSnapshot,
)
from darkroom.domain.items import Item, StoredPicture
from darkroom.domain.job import JobId, JobStart, OwnerId
from darkroom.domain.lifecycle import JobState, advance
from darkroom.domain.ports import JobFilter
from darkroom.store.engine import insert_into, reading, writing
from darkroom.store.listing import label_values, listing
from darkroom.store.rows import ITEMS, JOBS, LABELS

RETRIED_STATES = frozenset({JobState.FAILED, JobState.CANCELLED})

JOB_OF_ID = select(JOBS).where(JOBS.c.id == bindparam("job_id"))
JOB_FOR_CLAIM = JOB_OF_ID.with_for_update()
ITEMS_OF_JOB = (
    select(ITEMS.c.item).where(ITEMS.c.job_id == bindparam("job_id")).order_by(ITEMS.c.key)
)
TAKE_OVER = update(JOBS).where(JOBS.c.id == bindparam("job_id"))
UNLABEL = delete(LABELS).where(LABELS.c.job_id == bindparam("of_job"))
OWNED_PICTURE = (
    select(ITEMS.c.item)
    .where(
        ITEMS.c.owner == bindparam("owner"),
        or_(
            ITEMS.c.sha256 == bindparam("sha256"),
            ITEMS.c.thumbnail_sha256 == bindparam("sha256"),
        ),
    )
    .order_by(ITEMS.c.job_id, ITEMS.c.key)
    .limit(1)
)


class SqlJobStore:
    """The port `JobStore` over one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take the connections to speak through."""
        self._engine = engine
        fresh = insert_into(engine, JOBS).on_conflict_do_nothing(index_elements=["id"])
        self._create = fresh.returning(JOBS.c.id)

    async def claim(self, claim: Claim) -> Claimed | ClaimRefused:
        """Become the writer of a job, by compare-and-set on its run."""
        async with writing(self._engine) as connection:
            if claim.start.expected_run == 0 and await self._created(connection, claim):
                return Claimed(snapshot=fresh_snapshot(claim), items=())
            found = await connection.execute(JOB_FOR_CLAIM, {"job_id": claim.start.job_id})
            row = found.one_or_none()
            if row is None:
                return ClaimRefused(run=0)
            return await _decide(connection, claim, row)

    async def job(self, job_id: JobId, *, owner: OwnerId | None = None) -> JobRecord | None:
        """Read one job with its items; with an owner, only if it is theirs."""
        async with reading(self._engine) as connection:
            found = await connection.execute(JOB_OF_ID, {"job_id": job_id})
            row = found.one_or_none()
            if row is None or owner not in {None, row.owner}:
                return None
            items = await _items(connection, job_id)
        return replace(_record(row), items=items)

    async def jobs(self, wanted: JobFilter, *, limit: int) -> tuple[JobRecord, ...]:
        """List jobs without items, newest first by (submitted_at, id)."""
        async with reading(self._engine) as connection:
            rows = (await connection.execute(listing(wanted).limit(limit))).all()
        return tuple(_record(row) for row in rows)

    async def owned_picture(self, owner: OwnerId, sha256: str) -> StoredPicture | None:
        """Find a stored picture of this owner by its own or its thumbnail's hash."""
        async with reading(self._engine) as connection:
            item: Item | None = await connection.scalar(
                OWNED_PICTURE, {"owner": owner, "sha256": sha256}
            )
        return None if item is None else item.picture

    async def _created(self, connection: AsyncConnection, claim: Claim) -> bool:
        values = _claimed_values(claim, fresh_snapshot(claim))
        values |= {"id": claim.start.job_id, "seq": 0}
        if await connection.scalar(self._create, values) is None:
            return False
        await _label(connection, claim.start)
        return True


def fresh_snapshot(claim: Claim) -> JobSnapshot:
    """Make the snapshot of a job that nothing has been recorded of."""
    return JobSnapshot(run=claim.start.expected_run + 1)


def retried_snapshot(before: JobSnapshot) -> JobSnapshot:
    """Make the snapshot a new run of an ended job begins with: progress and cost stay."""
    return replace(
        before,
        run=before.run + 1,
        state=advance(before.state, JobState.PENDING),
        waiting=None,
        outcome=None,
        failure=None,
        completed_at=None,
    )


async def _decide(
    connection: AsyncConnection, claim: Claim, row: Row[Any]
) -> Claimed | ClaimRefused:
    snapshot = _snapshot(row)
    expected = claim.start.expected_run
    if row.writer == claim.writer and row.run == expected + 1:
        return Claimed(snapshot=snapshot, items=await _items(connection, row.id))
    if row.run != expected or snapshot.state not in RETRIED_STATES:
        return ClaimRefused(run=row.run)
    retried = retried_snapshot(snapshot)
    values = {"job_id": row.id, **_claimed_values(claim, retried)}
    await connection.execute(TAKE_OVER, values)
    await connection.execute(UNLABEL, {"of_job": row.id})
    await _label(connection, claim.start)
    return Claimed(snapshot=retried, items=await _items(connection, row.id))


def _claimed_values(claim: Claim, snapshot: JobSnapshot) -> dict[str, Any]:
    """Fill the columns that a won claim decides."""
    start = claim.start
    return {
        "owner": start.owner,
        "kind": start.request.kind,
        "state": snapshot.state,
        "priority": start.request.priority,
        "submitted_at": start.submitted_at,
        "run": snapshot.run,
        "writer": claim.writer,
        "start": start,
        "snapshot": snapshot,
    }


async def _label(connection: AsyncConnection, start: JobStart) -> None:
    labels = label_values(start)
    if labels:
        await connection.execute(insert(LABELS), labels)


async def _items(connection: AsyncConnection, job_id: str) -> tuple[Item, ...]:
    return tuple((await connection.scalars(ITEMS_OF_JOB, {"job_id": job_id})).all())


def _record(row: Row[Any]) -> JobRecord:
    return JobRecord(start=row.start, snapshot=_snapshot(row))


def _snapshot(row: Row[Any]) -> JobSnapshot:
    """Read the state of a job, with the numbers that the row itself counts by.

    Raises:
        ValueError: a later version wrote it.
    """
    snapshot: JobSnapshot = row.snapshot
    if snapshot.schema > SCHEMA:
        raise ValueError(
            f"job {row.id} was written in shape {snapshot.schema}, this version reads up to "
            f"{SCHEMA}; run the version that wrote it, or a later one"
        )
    return replace(snapshot, run=row.run, seq=row.seq)
