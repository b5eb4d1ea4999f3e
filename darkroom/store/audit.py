"""Deeds of operators and schedules; only ever added to, read newest first."""

from dataclasses import asdict
from functools import partial

from sqlalchemy import Connection, insert, select

from darkroom.domain.audit import AuditEntry, AuditRecord
from darkroom.store.rows import AUDIT
from darkroom.store.threads import ThreadedEngine

ADD = insert(AUDIT)
NEWEST_FIRST = select(AUDIT).order_by(AUDIT.c.id.desc())


class SqlAuditLog:
    """The port `AuditLog` over one database."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine

    async def add(self, entry: AuditEntry) -> None:
        """Write one deed down."""
        await self._engine.write(partial(audit, entry=entry))

    async def entries(
        self, target: str | None = None, *, before: int | None = None, limit: int
    ) -> tuple[AuditRecord, ...]:
        """Read deeds, newest first; with a target, only what was done to it."""
        page = NEWEST_FIRST.limit(limit)
        if target is not None:
            page = page.where(AUDIT.c.target == target)
        if before is not None:
            page = page.where(AUDIT.c.id < before)
        rows = await self._engine.read(lambda connection: connection.execute(page).all())
        return tuple(
            AuditRecord(
                number=row.id,
                entry=AuditEntry(
                    at=row.at,
                    actor=row.actor,
                    action=row.action,
                    target=row.target,
                    reason=row.reason,
                    detail=row.detail,
                ),
            )
            for row in rows
        )


def audit(connection: Connection, entry: AuditEntry) -> None:
    """Write a deed down in the transaction that does it."""
    connection.execute(ADD, asdict(entry))
