"""Combinations that the jobs of an owner have for themselves.

Writers that meet are put in line by the primary key: each inserts in the order of the keys, so
that nobody waits for somebody who waits for them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from darkroom.domain.combination_key import combination_key
from darkroom.domain.difference import Combination
from darkroom.domain.job import JobId, OwnerId
from darkroom.store.engine import POSTGRESQL, SQLITE
from darkroom.store.rows import COMBINATIONS
from darkroom.store.threads import ThreadedEngine

KEYS_IN_A_QUESTION = 1000  # SQLite takes 32766 parameters

# By kind of database, so that a transaction of another adapter can take combinations too.
TAKE_FREE = {
    kind: insert.on_conflict_do_nothing(index_elements=["owner", "key"]).returning(
        COMBINATIONS.c.key
    )
    for kind, insert in (
        (SQLITE, sqlite.insert(COMBINATIONS)),
        (POSTGRESQL, postgresql.insert(COMBINATIONS)),
    )
}
HOLDERS = select(COMBINATIONS.c.key, COMBINATIONS.c.job_id).where(
    COMBINATIONS.c.owner == bindparam("owner"),
    COMBINATIONS.c.key.in_(bindparam("keys", expanding=True)),
)
RELEASE = delete(COMBINATIONS).where(COMBINATIONS.c.job_id == bindparam("of_job"))


class SqlReservations:
    """The port `Reservations` over one database."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine

    async def reserve(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> tuple[Combination, ...]:
        """Reserve all of them in one transaction, or none."""
        asked = {combination_key(combination): combination for combination in combinations}
        work = partial(_take_all, owner=owner, job_id=job_id, keys=tuple(asked))
        taken = await self._engine.write(work)
        return tuple(combination for key, combination in asked.items() if key in taken)

    async def keep(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> None:
        """Reserve those that are free."""
        await self._engine.write(lambda c: take_free(c, owner, job_id, combinations))

    async def release(self, job_id: JobId) -> None:
        """Free all that a job has."""
        await self._engine.write(lambda connection: connection.execute(RELEASE, {"of_job": job_id}))


def take_free(
    connection: Connection, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
) -> None:
    """Reserve, in the transaction of somebody else, what nobody has."""
    keys = tuple(map(combination_key, combinations))
    _take(connection, owner=owner, job_id=job_id, keys=keys)


def _take_all(
    connection: Connection, *, owner: OwnerId, job_id: JobId, keys: Sequence[str]
) -> set[str]:
    """Answer the keys that others have; then nothing is kept."""
    with connection.begin_nested() as attempt:
        while keys:
            inserted = _take(connection, owner=owner, job_id=job_id, keys=keys)
            rest = [key for key in keys if key not in inserted]
            holders = _holders(connection, owner, rest)
            taken = {key for key, holder in holders.items() if holder != job_id}
            if taken:
                attempt.rollback()
                return taken
            # Released between the two statements: neither inserted nor held by anybody.
            keys = [key for key in rest if key not in holders]
    return set()


def _take(
    connection: Connection, *, owner: OwnerId, job_id: JobId, keys: Sequence[str]
) -> set[str]:
    """Insert what is free, in the order of the keys; answers what was inserted."""
    mine = {"owner": owner, "job_id": job_id, "reserved_at": datetime.now(UTC)}
    rows = [{"key": key, **mine} for key in sorted(set(keys))]
    if not rows:
        return set()
    return set(connection.scalars(TAKE_FREE[connection.dialect.name], rows))


def _holders(connection: Connection, owner: OwnerId, keys: Sequence[str]) -> dict[str, JobId]:
    holders: dict[str, JobId] = {}
    for first in range(0, len(keys), KEYS_IN_A_QUESTION):
        asked = {"owner": owner, "keys": keys[first : first + KEYS_IN_A_QUESTION]}
        for row in connection.execute(HOLDERS, asked):
            holders[row.key] = JobId(row.job_id)
    return holders
