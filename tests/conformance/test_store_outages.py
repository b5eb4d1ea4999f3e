"""A database that is away is `StoreUnavailable`, nothing else is, and its return is enough."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection, exc, insert, make_url, text

from darkroom.domain.checkpoint import Claimed, Recorded
from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.ledger import NO_CHANGES, LedgerRow, LedgerState
from darkroom.domain.ports import JobFilter
from darkroom.store.engine import open_engine
from darkroom.store.jobs import SqlJobStore
from darkroom.store.migrate import migrate
from darkroom.store.outbox import SqlOutbox
from darkroom.store.rows import PROMPTS
from darkroom.store.threads import ThreadedEngine
from tests.support.builders import (
    ADA,
    JOB,
    NOW,
    a_batch,
    a_call,
    a_claim,
    a_kept_prompt,
    a_product_file,
    an_event,
    an_opening,
)
from tests.support.databases import (
    MEMORY,
    POSTGRESQL,
    SQLITE,
    PostgresCluster,
    Stores,
    memory_stores,
    running_postgres,
    sql_stores,
)
from tests.support.fakes import MemoryState
from tests.support.subprocesses import free_port

pytest_plugins = ["tests.support.databases"]

IMPATIENT = timedelta(milliseconds=200)
ROW = LedgerRow(
    key=a_call(),
    owner=ADA,
    provider="nanobanana",
    model="nano-banana-2",
    price_micros=1,
    state=LedgerState.INTENT,
    fence=1,
)
QUESTIONS: dict[str, Callable[[Stores], Awaitable[object]]] = {
    "claim": lambda stores: stores.jobs.claim(a_claim()),
    "job": lambda stores: stores.jobs.job(JOB),
    "jobs": lambda stores: stores.jobs.jobs(JobFilter(owner=ADA), limit=1),
    "owned_picture": lambda stores: stores.jobs.owned_picture(ADA, "a"),
    "append": lambda stores: stores.outbox.append(a_batch()),
    "events_after": lambda stores: stores.outbox.events_after(JOB, 0, limit=1),
    "heads": lambda stores: stores.outbox.heads([JOB]),
    "open": lambda stores: stores.ledger.open(an_opening()),
    "move": lambda stores: stores.ledger.move(ROW, LedgerState.CALLING, NO_CHANGES),
    "adopt": lambda stores: stores.ledger.adopt(a_call(), "task"),
    "withdraw": lambda stores: stores.ledger.withdraw(a_call(), NOW),
    "abandon": lambda stores: stores.ledger.abandon(a_call()),
    "rows": lambda stores: stores.ledger.rows([a_call()]),
    "of_job": lambda stores: stores.ledger.of_job(JOB),
    "kept": lambda stores: stores.prompts.kept(["key"]),
    "keep": lambda stores: stores.prompts.keep(a_kept_prompt()),
    "spent_micros": lambda stores: stores.prompts.spent_micros(JOB),
    "add": lambda stores: stores.files.add(a_product_file()),
    "find": lambda stores: stores.files.find([a_product_file().file_id]),
}


@pytest.fixture(params=[MEMORY, SQLITE, POSTGRESQL])
async def absent(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Stores]:
    """Every port over a database that is not there."""
    if request.param == MEMORY:
        yield memory_stores(MemoryState(is_away=True))
        return
    urls = {
        SQLITE: f"sqlite:///{tmp_path / 'missing' / 'file.sqlite'}",
        POSTGRESQL: f"postgresql://nobody@127.0.0.1:{free_port()}/nothing",
    }
    async with sql_stores(urls[request.param]) as stores:
        yield stores


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[ThreadedEngine]:
    """A database of each kind, with little patience."""
    opened = open_engine(database_url, patience=IMPATIENT)
    yield opened
    await opened.dispose()


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS.keys())
async def test_every_question_to_an_absent_database_says_so(
    absent: Stores, ask: Callable[[Stores], Awaitable[object]]
) -> None:
    """Raises `StoreUnavailable`, and no error of a driver."""
    with pytest.raises(StoreUnavailable):
        await ask(absent)


async def test_postgres_works_again_once_it_is_back() -> None:
    """Stopped and started: unavailable meanwhile, then served without a restart of ours."""
    with running_postgres() as cluster:
        url = cluster.create()
        await migrate(url)
        async with sql_stores(url) as stores:
            await stores.jobs.claim(a_claim())
            await stores.outbox.append(a_batch())

            await asyncio.to_thread(cluster.stop)
            with pytest.raises(StoreUnavailable):
                await stores.outbox.append(a_batch(an_event(2)))
            await asyncio.to_thread(cluster.start)

            assert await stores.outbox.append(a_batch(an_event(2))) == Recorded(head=2)


async def test_connections_cut_while_idle_are_replaced_unseen(
    postgres: PostgresCluster, postgresql_url: str
) -> None:
    """A failover between two questions is not an error of the second."""
    async with sql_stores(postgresql_url) as stores:
        await stores.jobs.claim(a_claim())
        postgres.cut(postgresql_url)

        assert await stores.outbox.append(a_batch()) == Recorded(head=1)


async def test_a_standby_that_cannot_write_is_an_outage(
    postgres: PostgresCluster, postgresql_url: str
) -> None:
    """After a failover the address may still lead to the server that was demoted."""
    name = Identifier(make_url(postgresql_url).database or "")
    read_only = SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
    async with sql_stores(postgresql_url) as stores:
        postgres.execute(read_only.format(name, SQL("on")))
        with pytest.raises(StoreUnavailable):
            await stores.jobs.claim(a_claim())

        postgres.execute(read_only.format(name, SQL("off")))
        postgres.cut(postgresql_url)
        assert isinstance(await stores.jobs.claim(a_claim()), Claimed)


async def test_a_row_that_others_hold_is_an_outage(postgresql_url: str) -> None:
    """Waits for another transaction as long as patience lasts, and works once it is over."""
    engine = open_engine(postgresql_url, patience=timedelta(seconds=1))
    store, outbox = SqlJobStore(engine), SqlOutbox(engine)
    await store.claim(a_claim())
    with psycopg.connect(postgresql_url) as other:
        other.execute("SELECT 1 FROM jobs FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="lock"):
            await outbox.append(a_batch())

    assert await outbox.append(a_batch()) == Recorded(head=1)
    await engine.dispose()


async def test_a_writer_that_stood_still_for_too_long_is_cut_off(postgresql_url: str) -> None:
    """A frozen process cannot keep a row locked, and learns that its work was undone."""
    engine = open_engine(postgresql_url)

    def freeze(connection: Connection) -> None:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
        threading.Event().wait(0.5)
        connection.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable):
        await engine.write(freeze)

    assert isinstance(await SqlJobStore(engine).claim(a_claim()), Claimed)
    await engine.dispose()


async def test_a_sqlite_file_that_others_hold_is_an_outage(sqlite_url: str) -> None:
    """Waits for another writer as long as patience lasts, and works once it is gone."""
    engine = open_engine(sqlite_url, patience=IMPATIENT)
    store = SqlJobStore(engine)
    with closing(sqlite3.connect(make_url(sqlite_url).database or "")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await store.claim(a_claim())
        assert await store.job(JOB) is None
        other.rollback()

        assert isinstance(await store.claim(a_claim()), Claimed)
    await engine.dispose()


async def test_a_missing_sqlite_file_is_an_outage_until_it_is_migrated(tmp_path: Path) -> None:
    """A process that starts first waits, and makes no empty database of its own."""
    path = tmp_path / "later.sqlite"
    async with sql_stores(f"sqlite:///{path}") as stores:
        with pytest.raises(StoreUnavailable):
            await stores.jobs.claim(a_claim())
        assert not path.exists()

        await migrate(f"sqlite:///{path}")

        assert isinstance(await stores.jobs.claim(a_claim()), Claimed)


async def test_a_replaced_sqlite_file_is_noticed(migrated_file: Path, tmp_path: Path) -> None:
    """After a restore nothing is written into the file that was taken away."""
    path = Path(shutil.copy(migrated_file, tmp_path / "file.sqlite"))
    async with sql_stores(f"sqlite:///{path}") as stores:
        await stores.jobs.claim(a_claim())
        remove(path)
        with pytest.raises(StoreUnavailable):
            await stores.outbox.append(a_batch())

        shutil.copy(migrated_file, path)

        assert await stores.jobs.job(JOB) is None
        assert await stores.jobs.claim(a_claim())
        with closing(sqlite3.connect(path)) as reader:
            assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


def remove(path: Path) -> None:
    """Take a SQLite file away, with what SQLite keeps beside it."""
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()


async def test_a_full_sqlite_disk_is_an_outage(sqlite_url: str) -> None:
    """What does not fit is not stored, not even in part, and room is enough to go on."""
    engine = open_engine(sqlite_url)
    store, outbox = SqlJobStore(engine), SqlOutbox(engine)
    await store.claim(a_claim())
    large = a_batch(an_event(1), an_event(2, item="x" * 100_000))
    await limit_pages(engine, 1)  # SQLite takes it as: no more than now

    with pytest.raises(StoreUnavailable):
        await outbox.append(large)
    assert await outbox.heads([JOB]) == {}

    await limit_pages(engine, 1_000_000)
    assert await outbox.append(large) == Recorded(head=2)
    await engine.dispose()


async def limit_pages(engine: ThreadedEngine, most: int) -> None:
    """Say how many pages the file may have, on the one connection that writes."""
    await engine.write(lambda c: c.execute(text(f"PRAGMA max_page_count = {most}")))


async def test_a_database_that_is_too_slow_is_an_outage(engine: ThreadedEngine) -> None:
    """A question that nobody answers in time, also because all threads are busy, is given up."""
    store = SqlJobStore(engine)
    over = threading.Event()
    stuck = (engine.read(lambda _: over.wait(10)) for _ in range(10))

    outcomes = await asyncio.gather(*stuck, store.job(JOB), return_exceptions=True)

    over.set()
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert await store.job(JOB) is None


async def test_a_missing_table_is_no_outage(engine: ThreadedEngine) -> None:
    """A forgotten migration would never come back by waiting."""
    await engine.write(lambda c: c.execute(text("ALTER TABLE jobs RENAME TO lost")))

    with pytest.raises(exc.DBAPIError, match="jobs"):
        await SqlJobStore(engine).job(JOB)


async def test_a_broken_rule_is_no_outage(engine: ThreadedEngine) -> None:
    """A key that is taken is reported as such."""
    row = {"key": "k", "job_id": JOB, "text": "t", "model": "m", "cost_micros": 1}

    def take(connection: Connection) -> None:
        connection.execute(insert(PROMPTS), row)

    await engine.write(take)

    with pytest.raises(exc.IntegrityError):
        await engine.write(take)


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_serve_is_refused_at_once(url: str) -> None:
    """Another kind of database, and SQLite without a file, are mistakes in the settings."""
    with pytest.raises(ValueError, match="sqlite:///path"):
        open_engine(url)


def test_a_refused_address_does_not_show_its_password() -> None:
    """What is logged must not be a secret."""
    with pytest.raises(ValueError, match="host") as refusal:
        open_engine("mysql://user:hunter2@host/name")

    assert "hunter2" not in str(refusal.value)
