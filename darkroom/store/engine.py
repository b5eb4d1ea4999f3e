"""How a database is opened: which driver, how many connections, and how long it may be silent."""

from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from darkroom.store.sqlite_files import connect, identity
from darkroom.store.threads import ThreadedEngine, open_lane

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
DRIVERS = {SQLITE: "sqlite+pysqlite", POSTGRESQL: "postgresql+psycopg"}

# How long to wait for a connection or for another writer before calling it an outage.
PATIENCE = timedelta(seconds=10)
LIMIT_PATIENCES = 3  # a question waits for a thread, a connection and a lock

# (readers, writers) of one process. SQLite lets one writer in at a time: more of them would
# only wait in the file. Nine processes of ten fit into PostgreSQL's default of 100.
CONNECTIONS = {SQLITE: (4, 1), POSTGRESQL: (4, 6)}

OPENED_FILE = "opened_file"  # under which a pooled connection remembers its SQLite file


def open_engine(url: str, *, patience: timedelta = PATIENCE) -> ThreadedEngine:
    """Prepare connections to a database; the first one is made when it is needed.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host:port/name`.
        patience: how long to wait for a connection or another writer.

    Raises:
        ValueError: another kind of database, or SQLite without a file.
    """
    address = parse_address(url)
    readers, writers = CONNECTIONS[address.get_backend_name()]
    reads = _open_reads(address, connections=readers, patience=patience)
    writes = open_writes(address, connections=writers, patience=patience)
    return ThreadedEngine(
        reads=open_lane(reads, width=readers, name="read"),
        writes=open_lane(writes, width=writers, name="write"),
        limit=LIMIT_PATIENCES * patience,
    )


def _open_reads(address: URL, *, connections: int, patience: timedelta) -> Engine:
    """Prepare connections on which each statement stands alone, outside transactions."""
    if address.get_backend_name() == SQLITE:
        return _open_sqlite(address, connections=connections, patience=patience)
    return _open_postgresql(
        address, connections=connections, patience=patience, isolation_level="AUTOCOMMIT"
    )


def open_writes(
    address: URL,
    *,
    connections: int = 1,
    patience: timedelta = PATIENCE,
    may_create: bool = False,
) -> Engine:
    """Prepare connections that begin a transaction with their first statement.

    Args:
        address: as `parse_address` answers it.
        connections: at most.
        patience: how long to wait for a connection or another writer.
        may_create: make a SQLite file that is missing.
    """
    if address.get_backend_name() == POSTGRESQL:
        return _open_postgresql(address, connections=connections, patience=patience)
    engine = _open_sqlite(
        address, connections=connections, patience=patience, may_create=may_create
    )
    event.listen(engine, "begin", _become_the_writer)
    return engine


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


def insert_into(engine: ThreadedEngine, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Begin an insert that may say what happens on a conflict, in the database's own words."""
    return sqlite.insert(table) if engine.kind == SQLITE else postgresql.insert(table)


def _open_sqlite(
    address: URL, *, connections: int, patience: timedelta, may_create: bool = False
) -> Engine:
    path = Path(address.database or "")
    engine = create_engine(
        address,
        creator=partial(connect, path, patience=patience, may_create=may_create),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,
    )

    def prepare(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Set what SQLite forgets between connections."""
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        record.info[OPENED_FILE] = identity(path)

    def check(_: DBAPIConnection, record: ConnectionPoolEntry, __: object) -> None:
        """Open anew when another file stands under the name, or none."""
        if record.info[OPENED_FILE] != identity(path):
            raise DisconnectionError(f"the database file {path} was replaced")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "checkout", check)
    return engine


def _become_the_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _open_postgresql(
    address: URL, *, connections: int, patience: timedelta, isolation_level: str | None = None
) -> Engine:
    return create_engine(
        address,
        isolation_level=isolation_level,
        pool_size=connections,
        max_overflow=0,
        pool_use_lifo=True,
        pool_pre_ping=True,  # a connection that was cut while idle is replaced unseen
        connect_args=postgresql_options(patience),
    )


def postgresql_options(patience: timedelta) -> dict[str, str | int]:
    """Say how soon a silent server, a held lock or a frozen writer counts as an outage."""
    seconds = max(1, round(patience.total_seconds()))
    limits = {
        "lock_timeout": seconds,
        "statement_timeout": LIMIT_PATIENCES * seconds,
        # A frozen process must not keep a job's row locked; its successor waits for it.
        "idle_in_transaction_session_timeout": seconds,
    }
    return {
        "connect_timeout": max(2, seconds // 2),  # libpq takes less than 2 as 2
        "tcp_user_timeout": 1000 * seconds,
        "keepalives_idle": seconds,
        "application_name": "darkroom",
        "options": " ".join(f"-c {name}={limit}s" for name, limit in limits.items()),
    }
