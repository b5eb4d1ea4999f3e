"""The ring that leaves with a transaction, so that it is heard if and only if that is kept."""

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from darkroom.domain.names import Ring, ring_text
from darkroom.store.engine import POSTGRESQL

CHANNEL = "darkroom"

NOTIFY = select(func.pg_notify(CHANNEL, bindparam("topic")))


async def ring(connection: AsyncConnection, topic: Ring) -> None:
    """Announce what this transaction wrote; on SQLite the write itself is what is heard."""
    if connection.dialect.name == POSTGRESQL:
        await connection.execute(NOTIFY, {"topic": ring_text(topic)})
