"""Migrations lead every database to the tables that the code speaks to."""

import asyncio
import logging
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text, update

from darkroom.domain.checkpoint import SCHEMA, Claimed
from darkroom.domain.errors import StoreUnavailable
from darkroom.store.engine import open_engine
from darkroom.store.jobs import SqlJobStore
from darkroom.store.migrate import migrate
from darkroom.store.rows import JOBS
from tests.support.builders import JOB, a_claim, a_snapshot
from tests.support.databases import POSTGRESQL, SQLITE, PostgresCluster

pytest_plugins = ["tests.support.databases"]


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def empty_url(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresCluster
) -> Generator[str]:
    """A database without tables, once of each kind."""
    if request.param == SQLITE:
        path = tmp_path / "empty.sqlite"
        path.touch()
        yield f"sqlite:///{path}"
        return
    url = postgres.create()
    yield url
    postgres.drop(url)


async def differences(url: str) -> list[Any]:
    """Compare a database with the tables that the code declares."""

    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return compare_metadata(context, JOBS.metadata)

    engine = open_engine(url)
    try:
        return await engine.read(compare)
    finally:
        await engine.dispose()


async def test_an_empty_database_becomes_what_the_code_declares(empty_url: str) -> None:
    """Every table, column, type, key and index, and nothing besides."""
    assert await differences(empty_url)

    await migrate(empty_url)

    assert await differences(empty_url) == []


async def test_migrating_again_keeps_what_is_stored(empty_url: str) -> None:
    """A start of the next process finds nothing to change."""
    await migrate(empty_url)
    engine = open_engine(empty_url)
    store = SqlJobStore(engine)
    assert isinstance(await store.claim(a_claim()), Claimed)

    await migrate(empty_url)

    assert await store.job(JOB) is not None
    await engine.dispose()


async def test_processes_that_migrate_at_once_wait_for_each_other(empty_url: str) -> None:
    """The command, started three times together, succeeds three times."""
    commands = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "darkroom.store.migrate", empty_url)
        )
        for _ in range(3)
    ]

    async with asyncio.timeout(60):
        codes = await asyncio.gather(*(command.wait() for command in commands))

    assert codes == [0, 0, 0]
    assert await differences(empty_url) == []


async def test_a_migration_leaves_logging_alone(tmp_path: Path) -> None:
    """Logging belongs to the program that migrates."""
    witness = logging.getLogger("a.logger.of.the.program")
    root = logging.getLogger()
    before = (root.level, list(root.handlers))

    await migrate(f"sqlite:///{tmp_path / 'empty.sqlite'}")

    assert (root.level, list(root.handlers)) == before
    assert not witness.disabled


async def test_a_migration_of_an_absent_database_says_so(tmp_path: Path) -> None:
    """Nothing is created where nothing can be."""
    with pytest.raises(StoreUnavailable):
        await migrate(f"sqlite:///{tmp_path / 'missing' / 'file.sqlite'}")


async def test_sqlite_is_set_up_for_many_processes(sqlite_url: str) -> None:
    """Readers and writers do not block each other, and references hold."""
    engine = open_engine(sqlite_url)
    expected = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 10_000}

    def settings(connection: Connection) -> dict[str, Any]:
        return {name: connection.scalar(text(f"PRAGMA {name}")) for name in expected}

    assert await engine.read(settings) == expected
    assert await engine.write(settings) == expected
    await engine.dispose()


async def test_a_job_written_by_a_later_version_is_not_misread(database_url: str) -> None:
    """A reader refuses a shape that it does not know, and says which."""
    engine = open_engine(database_url)
    store = SqlJobStore(engine)
    await store.claim(a_claim())
    later = replace(a_snapshot(), schema=SCHEMA + 1)
    await engine.write(lambda c: c.execute(update(JOBS).values(snapshot=later)))

    with pytest.raises(ValueError, match=JOB):
        await store.job(JOB)
    await engine.dispose()


async def test_what_belongs_to_a_job_goes_with_it(database_url: str) -> None:
    """Pruning a job removes its items, events and labels; purchases stay."""
    engine = open_engine(database_url)

    def owned(connection: Connection) -> set[str]:
        inspector = inspect(connection)
        return {
            table
            for table in inspector.get_table_names()
            for key in inspector.get_foreign_keys(table)
            if key["referred_table"] == "jobs"
            and key.get("options", {}).get("ondelete") == "CASCADE"
        }

    assert await engine.read(owned) == {"items", "outbox", "labels"}
    await engine.dispose()
