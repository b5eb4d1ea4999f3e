"""Who writes a job, and what the database remembers of it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, or_, select, update

from darkroom.domain.checkpoint import (
    SCHEMA,
    Claim,
    Claimed,
    ClaimRefused,
    JobRecord,
    JobSnapshot,
    repaired,
    takes_over,
)
from darkroom.domain.items import Item, StoredPicture
from darkroom.domain.job import Combination, JobId, OwnerId, in_order
from darkroom.domain.ledger import MAYBE_PAID
from darkroom.domain.lifecycle import JobState, advance
from darkroom.domain.ports import JobFilter
from darkroom.store.engine import insert_into
from darkroom.store.letter_filing import close_letters
from darkroom.store.listing import label_values, listing
from darkroom.store.reservations import take_free
from darkroom.store.rows import ITEMS, JOBS, LABELS, LEDGER
from darkroom.store.threads import ThreadedEngine

HISTORY_JOBS = 100
RETRIED_STATES = frozenset({JobState.FAILED, JobState.CANCELLED})

JOB_OF_ID = select(JOBS).where(JOBS.c.id == bindparam("job_id"))
JOB_FOR_CLAIM = JOB_OF_ID.with_for_update()
TAKE_OVER = update(JOBS).where(JOBS.c.id == bindparam("job_id"))
UNLABEL = delete(LABELS).where(LABELS.c.job_id == bindparam("of_job"))
ITEMS_OF_JOB = (
    select(ITEMS.c.item).where(ITEMS.c.job_id == bindparam("job_id")).order_by(ITEMS.c.key)
)
IS_MAYBE_PAID = exists().where(LEDGER.c.job_id == JOBS.c.id, LEDGER.c.state.in_(MAYBE_PAID))
LATEST_JOBS = (
    select(JOBS.c.id)
    .where(
        JOBS.c.owner == bindparam("owner"),
        JOBS.c.id != bindparam("but_not"),
        or_(JOBS.c.state != JobState.CANCELLED, IS_MAYBE_PAID),
    )
    .order_by(JOBS.c.submitted_at.desc(), JOBS.c.id.desc())
    .limit(HISTORY_JOBS)
    .subquery()
)
LATEST_ITEMS = (
    select(ITEMS.c.item)
    .join(LATEST_JOBS, LATEST_JOBS.c.id == ITEMS.c.job_id)
    .order_by(ITEMS.c.job_id.desc(), ITEMS.c.key)
)
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

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine
        create = insert_into(engine, JOBS).on_conflict_do_nothing(index_elements=["id"])
        self._create = create.returning(JOBS.c.id)

    async def claim(self, claim: Claim) -> Claimed | ClaimRefused:
        """Become the writer of a job, by compare-and-set on its run."""
        return await self._engine.write(partial(self._claim, claim=claim))

    async def job(self, job_id: JobId, *, owner: OwnerId | None = None) -> JobRecord | None:
        """Read one job with its items; with an owner, only if it is theirs."""
        return await self._engine.read(partial(_job, job_id=job_id, owner=owner))

    async def jobs(self, wanted: JobFilter, *, limit: int) -> tuple[JobRecord, ...]:
        """List jobs without items, newest first by (submitted_at, id)."""
        page = listing(wanted).limit(limit)
        rows = await self._engine.read(lambda connection: connection.execute(page).all())
        return tuple(_record(row) for row in rows)

    async def combinations_of(
        self, owner: OwnerId, *, dimensions: tuple[str, ...], but_not: JobId
    ) -> tuple[Combination, ...]:
        """Read what the owner's latest hundred other jobs chose, without repeats."""
        asked = {"owner": owner, "but_not": but_not}
        items: Sequence[Item] = await self._engine.read(
            lambda connection: connection.scalars(LATEST_ITEMS, asked).all()
        )
        written = (in_order(item.combination, dimensions) for item in items)
        return tuple(dict.fromkeys(one for one in written if one))

    async def owned_picture(self, owner: OwnerId, sha256: str) -> StoredPicture | None:
        """Find a stored picture of this owner by its own or its thumbnail's hash."""
        asked = {"owner": owner, "sha256": sha256}
        item: Item | None = await self._engine.read(
            lambda connection: connection.scalar(OWNED_PICTURE, asked)
        )
        return None if item is None else item.picture

    def _claim(self, connection: Connection, claim: Claim) -> Claimed | ClaimRefused:
        if claim.start.expected_run == 0 and self._is_created(connection, claim):
            return Claimed(snapshot=_fresh(claim), items=())
        row = connection.execute(JOB_FOR_CLAIM, {"job_id": claim.start.job_id}).one_or_none()
        if row is None:
            return ClaimRefused(run=0)
        snapshot = snapshot_of(row)
        if row.run == claim.start.expected_run and snapshot.state in RETRIED_STATES:
            snapshot = _retried(snapshot)
            _take_over(connection, claim, snapshot)
            _take_combinations_back(connection, claim)
        elif takes_over(claim, snapshot, writer=row.writer):
            snapshot = repaired(snapshot, claim.start)
            _take_over(connection, claim, snapshot)
        elif (row.writer, row.run) != (claim.writer, claim.start.expected_run + 1):
            return ClaimRefused(run=row.run)
        return Claimed(snapshot=snapshot, items=_items(connection, row.id))

    def _is_created(self, connection: Connection, claim: Claim) -> bool:
        values = {"id": claim.start.job_id, "seq": 0, **_claimed_values(claim, _fresh(claim))}
        if connection.scalar(self._create, values) is None:
            return False
        _label(connection, claim)
        return True


def _fresh(claim: Claim) -> JobSnapshot:
    return JobSnapshot(run=claim.start.expected_run + 1)


def _retried(before: JobSnapshot) -> JobSnapshot:
    """Make the snapshot a new run begins with: progress and cost stay, the end is forgotten."""
    return replace(
        before,
        run=before.run + 1,
        state=advance(before.state, JobState.PENDING),
        waiting=None,
        outcome=None,
        failure=None,
        completed_at=None,
    )


def _take_over(connection: Connection, claim: Claim, snapshot: JobSnapshot) -> None:
    job_id = claim.start.job_id
    connection.execute(TAKE_OVER, {"job_id": job_id, **_claimed_values(claim, snapshot)})
    connection.execute(UNLABEL, {"of_job": job_id})
    _label(connection, claim)
    close_letters(connection, claim)


def _take_combinations_back(connection: Connection, claim: Claim) -> None:
    """Reserve what the job chose, where a cancel has released it and nobody else has it."""
    if claim.start.request.combinations:
        return  # they were asked for by name, and never reserved
    chosen = [item.combination for item in _items(connection, claim.start.job_id)]
    take_free(connection, claim.start.owner, claim.start.job_id, chosen)


def _claimed_values(claim: Claim, snapshot: JobSnapshot) -> dict[str, Any]:
    """Fill the columns that a won claim decides; a retry may bring an edited request."""
    start = replace(claim.start, repair=None)  # it concerns this one run
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


def _label(connection: Connection, claim: Claim) -> None:
    labels = label_values(claim.start)
    if labels:
        connection.execute(insert(LABELS), labels)


def _job(connection: Connection, *, job_id: JobId, owner: OwnerId | None) -> JobRecord | None:
    row = connection.execute(JOB_OF_ID, {"job_id": job_id}).one_or_none()
    if row is None or owner not in {None, row.owner}:
        return None
    # Read after the row, items may be ahead of the snapshot, but never behind it.
    return replace(_record(row), items=_items(connection, job_id))


def _items(connection: Connection, job_id: str) -> tuple[Item, ...]:
    return tuple(connection.scalars(ITEMS_OF_JOB, {"job_id": job_id}))


def _record(row: Row[Any]) -> JobRecord:
    return JobRecord(start=row.start, snapshot=snapshot_of(row))


def snapshot_of(row: Row[Any]) -> JobSnapshot:
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
