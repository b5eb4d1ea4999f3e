"""What the store holds, page by page, for whoever compares it with what is elsewhere.

Every page is answered from an index, and the last row of a page asks for the next one, so a
walk through a table never holds it up.
"""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, or_, select, tuple_, update

from darkroom.domain.drift import JobPlace, KeptFile, WrittenJob
from darkroom.domain.errors import Failure
from darkroom.domain.items import Item
from darkroom.domain.job import JobId, OwnerId
from darkroom.domain.ledger import LedgerRow, LedgerState
from darkroom.domain.lifecycle import JobState
from darkroom.domain.ports import CallPlace
from darkroom.store.engine import insert_into
from darkroom.store.jobs import snapshot_of
from darkroom.store.ledger_rows import OF_THIS_CALL, ledger_row, named
from darkroom.store.listing import label_values
from darkroom.store.outbox import item_values
from darkroom.store.rows import ITEMS, JOBS, LABELS, LEDGER, OUTBOX
from darkroom.store.threads import ThreadedEngine

HAS_SPOKEN = exists().where(OUTBOX.c.job_id == JOBS.c.id, OUTBOX.c.run == JOBS.c.run)
WRITTEN = select(JOBS, HAS_SPOKEN.label("has_spoken"))
KEPT = select(ITEMS).where(ITEMS.c.sha256.is_not(None)).order_by(ITEMS.c.job_id, ITEMS.c.key)
NOTE = update(LEDGER).where(
    OF_THIS_CALL,
    LEDGER.c.fence == bindparam("of_fence"),
    LEDGER.c.state == bindparam("at"),
)


class SqlInventory:
    """The port `Inventory` over one database."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine
        self._create = (
            insert_into(engine, JOBS)
            .on_conflict_do_nothing(index_elements=["id"])
            .returning(JOBS.c.id)
        )

    async def jobs_in(
        self, state: JobState, *, after: JobPlace | None = None, limit: int
    ) -> tuple[WrittenJob, ...]:
        """Read jobs of all owners in one state, oldest first."""
        place = (JOBS.c.submitted_at, JOBS.c.id)
        page = WRITTEN.where(JOBS.c.state == state).order_by(*place).limit(limit)
        if after is not None:
            page = page.where(tuple_(*place) > tuple_(after.submitted_at, after.job_id))
        rows = await self._engine.read(lambda connection: connection.execute(page).all())
        return tuple(_written(row) for row in rows)

    async def written(self, job_id: JobId) -> WrittenJob | None:
        """Read one job's row with the name of its writer."""
        asked = WRITTEN.where(JOBS.c.id == job_id)
        row = await self._engine.read(lambda connection: connection.execute(asked).one_or_none())
        return None if row is None else _written(row)

    async def restore(self, job: WrittenJob, items: tuple[Item, ...]) -> bool:
        """Write a job that the store has forgotten; false if it is there."""
        return await self._engine.write(partial(self._restore, job=job, items=items))

    async def kept_files(
        self, *, after: tuple[JobId, str] | None = None, limit: int
    ) -> tuple[KeptFile, ...]:
        """Read stored pictures of all jobs, by job and item."""
        page = KEPT.limit(limit)
        if after is not None:
            page = page.where(tuple_(ITEMS.c.job_id, ITEMS.c.key) > tuple_(*after))
        rows = await self._engine.read(lambda connection: connection.execute(page).all())
        return tuple(_kept(row) for row in rows)

    async def purchases_in(
        self,
        state: LedgerState,
        *,
        called_before: datetime,
        after: CallPlace | None = None,
        limit: int,
    ) -> tuple[LedgerRow, ...]:
        """Read purchases in one state that nobody has abandoned, oldest call first."""
        place = (LEDGER.c.called_at, LEDGER.c.job_id, LEDGER.c.item, LEDGER.c.take)
        page = (
            select(LEDGER)
            .where(
                LEDGER.c.state == state,
                LEDGER.c.called_at < called_before,
                LEDGER.c.abandoned.is_(False),
            )
            .order_by(*place)
            .limit(limit)
        )
        if after is not None:
            key = after.key
            page = page.where(
                or_(
                    LEDGER.c.called_at > after.called_at,
                    and_(
                        LEDGER.c.called_at == after.called_at,
                        tuple_(*place[1:]) > tuple_(key.job, key.item, key.take),
                    ),
                )
            )
        rows = await self._engine.read(lambda connection: connection.execute(page).all())
        return tuple(ledger_row(row) for row in rows)

    async def note(self, row: LedgerRow, failure: Failure | None) -> bool:
        """Write down what is wrong with a purchase, or that nothing is; false if it moved on."""
        asked = {**named(row.key), "of_fence": row.fence, "at": row.state}
        noting = NOTE.values(failure=failure).returning(LEDGER.c.fence)
        noted = await self._engine.write(lambda connection: connection.scalar(noting, asked))
        return noted is not None

    def _restore(self, connection: Connection, job: WrittenJob, items: tuple[Item, ...]) -> bool:
        start, snapshot = job.start, job.snapshot
        values = {
            "id": start.job_id,
            "owner": start.owner,
            "kind": start.request.kind,
            "state": snapshot.state,
            "priority": snapshot.priority or start.request.priority,
            "submitted_at": start.submitted_at,
            "run": snapshot.run,
            "seq": snapshot.seq,
            "writer": job.writer,
            "start": replace(start, repair=None),
            "snapshot": snapshot,
        }
        if connection.scalar(self._create, values) is None:
            return False
        for table, rows in (
            (LABELS, label_values(start)),
            (ITEMS, [item_values(start.job_id, start.owner, item) for item in items]),
        ):
            if rows:
                connection.execute(table.insert(), rows)
        return True


def _written(row: Row[Any]) -> WrittenJob:
    return WrittenJob(
        start=row.start, snapshot=snapshot_of(row), writer=row.writer, has_spoken=row.has_spoken
    )


def _kept(row: Row[Any]) -> KeptFile:
    item: Item = row.item
    if item.picture is None:
        raise ValueError(f"item {row.key} of {row.job_id} has a hash and no picture")
    return KeptFile(
        job_id=JobId(row.job_id),
        item=item.key,
        take=item.take,
        owner=OwnerId(row.owner),
        sha256=item.picture.sha256,
        thumbnail_sha256=item.picture.thumbnail_sha256,
    )
