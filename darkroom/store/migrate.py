"""Bring a database to the tables of this version.

Also a command: `python -m darkroom.store.migrate URL`.
"""

import argparse
import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from darkroom.store.engine import POSTGRESQL, open_writes, parse_address
from darkroom.store.outages import outages_translated

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECTION = "connection"  # the attribute by which migrations/env.py is handed the connection
LOCK = 0x6461726B  # "dark": the advisory lock all migrations of one database share


async def migrate(url: str) -> None:
    """Upgrade to the latest version, without stopping the event loop; see `upgrade`."""
    await asyncio.to_thread(upgrade, url)


def upgrade(url: str) -> None:
    """Upgrade to the latest version, in one transaction that other migrations wait for.

    Starting it twice at once is safe: the second finds nothing left to change.

    Args:
        url: as `open_engine` takes it.

    Raises:
        StoreUnavailable: the database did not answer; nothing has changed.
    """
    engine = open_writes(parse_address(url), may_create=True)
    try:
        with outages_translated(), engine.begin() as connection:
            _wait_for_turn(connection)
            command.upgrade(_config(connection), "head")
    finally:
        engine.dispose()


def _wait_for_turn(connection: Connection) -> None:
    """Hold off other migrations, however long they take; SQLite's transaction already does."""
    if connection.dialect.name != POSTGRESQL:
        return
    for limit in ("lock_timeout", "statement_timeout"):
        connection.execute(text(f"SET LOCAL {limit} = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes[CONNECTION] = connection
    return config


def main() -> None:
    """Migrate the database that the command line names."""
    parser = argparse.ArgumentParser(description="Bring a database to this version's tables.")
    parser.add_argument("url", help="sqlite:///path or postgresql://user@host/name")
    upgrade(parser.parse_args().url)


if __name__ == "__main__":
    main()
