"""The log of all jobs: appended by each job's writer, read by everybody."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from darkroom.domain.checkpoint import RecordBatch, Recorded
from darkroom.domain.events import JobEvent
from darkroom.domain.items import Item
from darkroom.domain.job import JobId
from darkroom.domain.names import Ring
from darkroom.store.batches import check_numbers
from darkroom.store.engine import insert_into, reading, writing
from darkroom.store.ringing import ring
from darkroom.store.rows import ITEMS, JOBS, OUTBOX

MOVE_FORWARD = (
    update(JOBS)
    .where(
        JOBS.c.id == bindparam("job_id"),
        JOBS.c.writer == bindparam("by"),
        JOBS.c.seq == bindparam("head"),
    )
    .values(seq=bindparam("last"), state=bindparam("to"), snapshot=bindparam("after"))
    .returning(JOBS.c.owner)
)
HEAD_FOR_APPEND = (
    select(JOBS.c.writer, JOBS.c.seq).where(JOBS.c.id == bindparam("job_id")).with_for_update()
)
HEAD = select(JOBS.c.writer, JOBS.c.seq).where(JOBS.c.id == bindparam("job_id"))
DIGESTS = (
    select(OUTBOX.c.digest)
    .where(
        OUTBOX.c.job_id == bindparam("job_id"),
        OUTBOX.c.seq.between(bindparam("first"), bindparam("last")),
    )
    .order_by(OUTBOX.c.seq)
)
EVENTS_AFTER = (
    select(OUTBOX.c.event)
    .where(OUTBOX.c.job_id == bindparam("job_id"), OUTBOX.c.seq > bindparam("after"))
    .order_by(OUTBOX.c.seq)
    .limit(bindparam("most"))
)
HEADS = select(JOBS.c.id, JOBS.c.seq).where(
    JOBS.c.id.in_(bindparam("job_ids", expanding=True)), JOBS.c.seq > 0
)


class SqlOutbox:
    """The port `Outbox` over one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take the connections to speak through."""
        self._engine = engine
        keep = insert_into(engine, ITEMS)
        changing = ("state", "sha256", "thumbnail_sha256", "item")
        self._keep_items = keep.on_conflict_do_update(
            index_elements=["job_id", "key"],
            set_={name: keep.excluded[name] for name in changing},
        )

    async def append(self, batch: RecordBatch) -> Recorded:
        """Store events, items and snapshot in one transaction, and ring.

        Raises:
            ValueError: the numbers have a gap, or the snapshot is older than the events.
        """
        check_numbers(batch)
        async with writing(self._engine) as connection:
            if batch.events and await self._wrote(connection, batch, batch.events):
                return Recorded(head=batch.events[-1].seq)
            return await self._append_rest(connection, batch)

    async def events_after(self, job_id: JobId, seq: int, *, limit: int) -> tuple[JobEvent, ...]:
        """Read events with a higher number, in order."""
        asked = {"job_id": job_id, "after": seq, "most": limit}
        async with reading(self._engine) as connection:
            return tuple((await connection.scalars(EVENTS_AFTER, asked)).all())

    async def heads(self, job_ids: Sequence[JobId]) -> dict[JobId, int]:
        """Read the last stored number of each job that has any."""
        async with reading(self._engine) as connection:
            rows = (await connection.execute(HEADS, {"job_ids": list(job_ids)})).all()
        return {JobId(row.id): row.seq for row in rows}

    async def _wrote(
        self, connection: AsyncConnection, batch: RecordBatch, events: Sequence[JobEvent]
    ) -> bool:
        """Write if the log stands just before these events and the writer is still the one."""
        moved = await connection.execute(
            MOVE_FORWARD,
            {
                "job_id": batch.job_id,
                "by": batch.writer,
                "head": events[0].seq - 1,
                "last": events[-1].seq,
                "to": batch.snapshot.state,
                "after": batch.snapshot,
            },
        )
        owner: str | None = moved.scalar_one_or_none()
        if owner is None:
            return False
        await connection.execute(insert(OUTBOX), [_event_values(batch, e) for e in events])
        if batch.items:
            values = [_item_values(batch, owner, item) for item in batch.items]
            await connection.execute(self._keep_items, values)
        await ring(connection, Ring(job_id=batch.job_id))
        return True

    async def _append_rest(self, connection: AsyncConnection, batch: RecordBatch) -> Recorded:
        """Find out why the batch does not follow the head, and write what is missing of it."""
        found = await connection.execute(HEAD_FOR_APPEND, {"job_id": batch.job_id})
        row = found.one_or_none()
        if row is None or row.writer != batch.writer:
            return Recorded(head=row.seq if row else 0, is_writer=False)
        if not batch.events:
            return Recorded(head=row.seq)
        if not await _is_repeated(connection, batch, head=row.seq):
            return Recorded(head=row.seq, appended=False)
        rest = [event for event in batch.events if event.seq > row.seq]
        if not rest:
            return Recorded(head=row.seq)
        await self._wrote(connection, batch, rest)
        return Recorded(head=rest[-1].seq)


async def _is_repeated(connection: AsyncConnection, batch: RecordBatch, *, head: int) -> bool:
    """Say whether the events up to the head are the ones that stand there."""
    first = batch.events[0].seq
    if first > head + 1:
        raise ValueError(
            f"job {batch.job_id}: event {first} cannot follow {head}; record what is between"
        )
    known = [event for event in batch.events if event.seq <= head]
    asked = {"job_id": batch.job_id, "first": first, "last": head}
    digests = (await connection.scalars(DIGESTS, asked)).all()
    return [event.digest() for event in known] == list(digests[: len(known)])


def _event_values(batch: RecordBatch, event: JobEvent) -> dict[str, Any]:
    return {
        "job_id": batch.job_id,
        "seq": event.seq,
        "run": event.run,
        "kind": event.kind,
        "at": event.at,
        "digest": event.digest(),
        "event": event,
    }


def _item_values(batch: RecordBatch, owner: str, item: Item) -> dict[str, Any]:
    return {
        "job_id": batch.job_id,
        "key": item.key,
        "owner": owner,
        "state": item.state,
        "sha256": item.picture and item.picture.sha256,
        "thumbnail_sha256": item.picture and item.picture.thumbnail_sha256,
        "item": item,
    }
