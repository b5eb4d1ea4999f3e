"""Bring a database to the tables of this version.

Also a command: `python -m darkroom.store.migrate URL`.
"""

import argparse
import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from darkroom.store.engine import POSTGRESQL, open_engine, writing

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECTION = "connection"  # the attribute by which migrations/env.py is handed the connection
LOCK = 0x6461726B  # "dark": the advisory lock all migrations of one database share


async def migrate(url: str) -> None:
    """Upgrade to the latest version, in one transaction that others wait for.

    Starting it twice at once is safe: the second finds nothing left to change.

    Args:
        url: as `open_engine` takes it.

    Raises:
        StoreUnavailable: the database did not answer; nothing has changed.
    """
    engine = open_engine(url)
    try:
        async with writing(engine) as connection:
            await _wait_for_turn(connection)
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def _wait_for_turn(connection: AsyncConnection) -> None:
    """Hold off other migrations; on SQLite the transaction already does."""
    if connection.dialect.name != POSTGRESQL:
        return
    for limit in ("lock_timeout", "statement_timeout"):
        await connection.execute(text(f"SET LOCAL {limit} = 0"))
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes[CONNECTION] = connection
    command.upgrade(config, "head")


def main() -> None:
    """Migrate the database that the command line names."""
    parser = argparse.ArgumentParser(description="Bring a database to this version's tables.")
    parser.add_argument("url", help="sqlite:///path or postgresql://user@host/name")
    asyncio.run(migrate(parser.parse_args().url))


if __name__ == "__main__":
    main()
