"""The log of all jobs: appended by each job's writer, read by everybody."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from darkroom.domain.checkpoint import RecordBatch, Recorded
from darkroom.domain.events import JobEvent
from darkroom.domain.items import Item
from darkroom.domain.job import JobId
from darkroom.domain.names import Ring
from darkroom.store.batches import check_numbers
from darkroom.store.engine import insert_into
from darkroom.store.letter_filing import keep_letters
from darkroom.store.ringing import ring
from darkroom.store.rows import ITEMS, JOBS, OUTBOX
from darkroom.store.threads import ThreadedEngine

MOVE_FORWARD = (
    update(JOBS)
    .where(
        JOBS.c.id == bindparam("job_id"),
        JOBS.c.writer == bindparam("by"),
        JOBS.c.seq == bindparam("head"),
    )
    .values(
        seq=bindparam("last"),
        state=bindparam("to"),
        priority=func.coalesce(bindparam("ranked", type_=JOBS.c.priority.type), JOBS.c.priority),
        snapshot=bindparam("after"),
    )
    .returning(JOBS.c.owner)
)
APPEND = insert(OUTBOX)
HEAD_FOR_APPEND = (
    select(JOBS.c.writer, JOBS.c.seq).where(JOBS.c.id == bindparam("job_id")).with_for_update()
)
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

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
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
        return await self._engine.write(partial(self._append, batch=batch))

    async def events_after(self, job_id: JobId, seq: int, *, limit: int) -> tuple[JobEvent, ...]:
        """Read events with a higher number, in order."""
        asked = {"job_id": job_id, "after": seq, "most": limit}
        return await self._engine.read(
            lambda connection: tuple(connection.scalars(EVENTS_AFTER, asked))
        )

    async def heads(self, job_ids: Sequence[JobId]) -> dict[JobId, int]:
        """Read the last stored number of each job that has any."""
        asked = {"job_ids": list(job_ids)}
        rows = await self._engine.read(lambda connection: connection.execute(HEADS, asked).all())
        return {JobId(row.id): row.seq for row in rows}

    def _append(self, connection: Connection, batch: RecordBatch) -> Recorded:
        if batch.events and self._wrote(connection, batch, batch.events):
            return Recorded(head=batch.events[-1].seq)
        row = connection.execute(HEAD_FOR_APPEND, {"job_id": batch.job_id}).one_or_none()
        if row is None or row.writer != batch.writer:
            return Recorded(head=row.seq if row else 0, is_writer=False)
        if not _is_repeated(connection, batch, head=row.seq):
            return Recorded(head=row.seq, appended=False)
        rest = [event for event in batch.events if event.seq > row.seq]
        if not rest:
            return Recorded(head=row.seq)
        self._wrote(connection, batch, rest)
        return Recorded(head=rest[-1].seq)

    def _wrote(
        self, connection: Connection, batch: RecordBatch, events: Sequence[JobEvent]
    ) -> bool:
        """Write if the log ends just before these events and the writer is still the one."""
        owner: str | None = connection.scalar(
            MOVE_FORWARD,
            {
                "job_id": batch.job_id,
                "by": batch.writer,
                "head": events[0].seq - 1,
                "last": events[-1].seq,
                "to": batch.snapshot.state,
                "ranked": batch.snapshot.priority,
                "after": batch.snapshot,
            },
        )
        if owner is None:
            return False
        connection.execute(APPEND, [_event_values(batch, event) for event in events])
        if batch.items:
            items = [item_values(batch.job_id, owner, item) for item in batch.items]
            connection.execute(self._keep_items, items)
        keep_letters(connection, batch, events)
        ring(connection, Ring(job_id=batch.job_id))
        return True


def _is_repeated(connection: Connection, batch: RecordBatch, *, head: int) -> bool:
    """Say whether the events up to the head are the ones that stand there.

    Raises:
        ValueError: numbers are missing between the head and the first event.
    """
    known = [event for event in batch.events if event.seq <= head]
    if not known:
        first = batch.events[0].seq if batch.events else head + 1
        if first > head + 1:
            raise ValueError(
                f"job {batch.job_id}: event {first} cannot follow {head}; record what is between"
            )
        return True
    asked = {"job_id": batch.job_id, "first": known[0].seq, "last": known[-1].seq}
    digests = connection.scalars(DIGESTS, asked).all()
    return [event.digest() for event in known] == list(digests)


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


def item_values(job_id: JobId, owner: str, item: Item) -> dict[str, Any]:
    """Write an item as a row."""
    return {
        "job_id": job_id,
        "key": item.key,
        "owner": owner,
        "state": item.state,
        "sha256": item.picture and item.picture.sha256,
        "thumbnail_sha256": item.picture and item.picture.thumbnail_sha256,
        "item": item,
    }
