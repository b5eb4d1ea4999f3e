"""Connections to the database, and short transactions on them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import URL, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from darkroom.store.outages import outages_translated

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
DRIVERS = {SQLITE: "sqlite+aiosqlite", POSTGRESQL: "postgresql+psycopg"}

# How long to wait for a connection or for another writer before calling it an outage.
PATIENCE = timedelta(seconds=10)
POOL_SIZE = 10  # per process; ten processes fit into PostgreSQL's 100 connections


def open_engine(url: str, *, patience: timedelta = PATIENCE) -> AsyncEngine:
    """Prepare connections to a database; the first one is made when it is needed.

    Every connection stands in the driver's autocommit mode: a single read costs no
    transaction, and `writing` says itself where one begins.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host:port/name`.
        patience: how long to wait for a connection or another writer.

    Raises:
        ValueError: another kind of database, or SQLite without a file.
    """
    address = parse_address(url)
    if address.get_backend_name() == SQLITE:
        return _open_sqlite(address, patience)
    return _open_postgresql(address, patience)


def parse_address(url: str) -> URL:
    """Read a database URL and choose the driver.

    Raises:
        ValueError: another kind of database, or SQLite without a file.
    """
    address = make_url(url)
    driver = DRIVERS.get(address.get_backend_name())
    shown = address.render_as_string(hide_password=True)
    if driver is None:
        raise ValueError(
            f"database {shown} is not supported; use sqlite:///path or postgresql://host/name"
        )
    if driver == DRIVERS[SQLITE] and address.database in {None, "", ":memory:"}:
        raise ValueError(
            f"database {shown} has no file, but several connections share it; use sqlite:///path"
        )
    return address.set(drivername=driver)


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection, None]:
    """Lend a connection for reads, each of which stands alone.

    Raises:
        StoreUnavailable: the database did not answer.
    """
    with outages_translated():
        async with engine.connect() as connection:
            yield connection


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection, None]:
    """Lend a connection inside one transaction, committed at the end and undone by an error.

    On SQLite the one writer is chosen at the beginning, so a read that decides a write is
    never overtaken; on PostgreSQL the rows that are read for that must be locked.

    Raises:
        StoreUnavailable: the database did not answer; the transaction may have been kept.
    """
    begin = "BEGIN IMMEDIATE" if engine.dialect.name == SQLITE else "BEGIN"
    with outages_translated():
        async with engine.connect() as connection:
            await connection.exec_driver_sql(begin)
            yield connection
            await connection.commit()


def insert_into(engine: AsyncEngine, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Begin an insert that may say what happens on a conflict, in the database's own words."""
    if engine.dialect.name == SQLITE:
        return sqlite.insert(table)
    return postgresql.insert(table)


def _open_sqlite(address: URL, patience: timedelta) -> AsyncEngine:
    engine = create_async_engine(
        address,
        connect_args={"isolation_level": None, "timeout": patience.total_seconds()},
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=patience.total_seconds(),
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Set what SQLite forgets between connections; the driver set the busy timeout before."""
    del record
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def _open_postgresql(address: URL, patience: timedelta) -> AsyncEngine:
    return create_async_engine(
        address,
        isolation_level="AUTOCOMMIT",
        connect_args=postgresql_options(patience),
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=patience.total_seconds(),
        pool_pre_ping=True,
    )


def postgresql_options(patience: timedelta) -> dict[str, str | int]:
    """Say how soon a silent server, a held lock or a frozen writer counts as an outage."""
    seconds = max(1, round(patience.total_seconds()))
    limits = {
        "lock_timeout": seconds,
        "statement_timeout": 3 * seconds,
        # A frozen process must not hold a job's row; its successor waits for that lock.
        "idle_in_transaction_session_timeout": seconds,
    }
    return {
        "connect_timeout": max(2, seconds // 2),  # libpq takes less than 2 as 2
        "tcp_user_timeout": 1000 * seconds,
        "keepalives_idle": seconds,
        "application_name": "darkroom",
        "options": " ".join(f"-c {name}={limit}s" for name, limit in limits.items()),
    }
