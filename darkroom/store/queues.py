"""How the queue admits jobs, where an operator has changed it."""

from dataclasses import asdict
from functools import partial

from sqlalchemy import Connection, insert, select, update

from darkroom.domain.admission import QueueTerms
from darkroom.domain.audit import AuditEntry
from darkroom.domain.names import SLOT_POOL_ID
from darkroom.store.audit import audit
from darkroom.store.rows import QUEUES
from darkroom.store.threads import ThreadedEngine

THE_QUEUE = QUEUES.c.name == SLOT_POOL_ID
TERMS = select(QUEUES).where(THE_QUEUE).limit(1)


class SqlQueueStore:
    """The port `QueueStore` over one database."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine

    async def terms(self) -> QueueTerms | None:
        """Read what an operator decided last; None: the settings hold."""
        return await self._engine.read(_read)

    async def change(self, terms: QueueTerms, deed: AuditEntry) -> None:
        """Keep terms and the deed that made them, both or neither."""
        await self._engine.write(partial(_change, terms=terms, deed=deed))


def _read(connection: Connection) -> QueueTerms | None:
    row = connection.execute(TERMS).one_or_none()
    if row is None:
        return None
    return QueueTerms(
        concurrency=row.concurrency,
        owner_limit=row.owner_limit,
        is_paused=row.is_paused,
        is_draining=row.is_draining,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )


def _change(connection: Connection, *, terms: QueueTerms, deed: AuditEntry) -> None:
    kept = _read(connection)
    if kept and kept.changed_at and terms.changed_at and kept.changed_at >= terms.changed_at:
        return
    if kept:
        connection.execute(update(QUEUES).where(THE_QUEUE), asdict(terms))
    else:
        connection.execute(insert(QUEUES), {"name": SLOT_POOL_ID} | asdict(terms))
    audit(connection, deed)
