"""The ring that leaves with a transaction, so that it is heard if and only if that is kept."""

from sqlalchemy import Connection, bindparam, func, select

from darkroom.domain.names import Ring, ring_text
from darkroom.store.engine import POSTGRESQL

CHANNEL = "darkroom"

NOTIFY = select(func.pg_notify(CHANNEL, bindparam("topic")))


def ring(connection: Connection, topic: Ring) -> None:
    """Announce what this transaction wrote; on SQLite the write itself is what is heard."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(NOTIFY, {"topic": ring_text(topic)})
