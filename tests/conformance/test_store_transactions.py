"""Work on the store is done whole or not at all, whoever is cancelled or overtaken."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest
from sqlalchemy import Connection, func, insert, select

from darkroom.domain.checkpoint import Recorded
from darkroom.store.engine import open_engine
from darkroom.store.jobs import SqlJobStore
from darkroom.store.outbox import SqlOutbox
from darkroom.store.prompts import SqlPromptCache
from darkroom.store.rows import PROMPTS
from darkroom.store.threads import ThreadedEngine
from tests.support.builders import JOB, a_batch, a_claim, an_event, an_item
from tests.support.databases import sql_stores
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases"]


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[ThreadedEngine]:
    """A database of each kind."""
    opened = open_engine(database_url)
    yield opened
    await opened.dispose()


def keep_prompt(connection: Connection, key: str) -> None:
    """Write one row."""
    row = {"key": key, "job_id": JOB, "text": "t", "model": "m", "cost_micros": 1}
    connection.execute(insert(PROMPTS), row)


async def test_a_write_that_fails_leaves_nothing_behind(engine: ThreadedEngine) -> None:
    """Events, items and job row stand or fall together."""
    store, outbox = SqlJobStore(engine), SqlOutbox(engine)
    await store.claim(a_claim())
    before = await store.job(JOB)
    unwritable = an_item(variant="\ud800")  # half a character: no database can encode it

    with pytest.raises(UnicodeEncodeError):
        await outbox.append(a_batch(items=(unwritable,)))

    assert await store.job(JOB) == before
    assert await outbox.events_after(JOB, 0, limit=10) == ()
    assert await outbox.append(a_batch()) == Recorded(head=1)


async def test_cancelled_writes_leave_a_store_that_works(database_url: str) -> None:
    """Wherever a cancel falls, the log has no gap, and no lock is left behind."""
    seconds = [0.0002 * number for number in range(40)]
    async with sql_stores(database_url) as stores, sql_stores(database_url) as others:
        await stores.jobs.claim(a_claim())
        batch = a_batch(*(an_event(number) for number in range(1, 4)))

        for limit in seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await stores.outbox.append(batch)

        async with asyncio.timeout(5):
            assert await others.outbox.append(batch) == Recorded(head=3)
            assert await others.outbox.events_after(JOB, 0, limit=10) == batch.events


async def test_a_cancelled_write_is_still_finished(engine: ThreadedEngine) -> None:
    """A transaction that has begun is never torn; its caller just does not wait for it."""
    begun, go_on = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        begun.set()
        go_on.wait(10)
        keep_prompt(connection, "k")

    writing = asyncio.create_task(engine.write(work))
    await asyncio.to_thread(begun.wait, 10)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    go_on.set()

    await eventually(lambda: SqlPromptCache(engine).kept(["k"]), what="the write")


async def test_a_waiting_write_does_not_hold_up_reads(engine: ThreadedEngine) -> None:
    """Whoever asks is answered while a writer is stuck."""
    over = threading.Event()
    stuck = asyncio.create_task(engine.write(lambda _: over.wait(10)))

    assert await SqlJobStore(engine).job(JOB) is None

    over.set()
    assert await stuck


async def test_a_read_that_decides_a_write_is_not_overtaken(sqlite_url: str) -> None:
    """Of two processes on one SQLite file, the second waits until the first has written."""
    ours, theirs = open_engine(sqlite_url), open_engine(sqlite_url)
    has_read, overtaken = threading.Event(), threading.Event()

    def count_then_write(connection: Connection) -> int | None:
        counted = connection.scalar(select(func.count()).select_from(PROMPTS))
        has_read.set()
        overtaken.wait(0.3)
        keep_prompt(connection, "ours")
        return counted

    def overtake(connection: Connection) -> None:
        keep_prompt(connection, "theirs")

    first = asyncio.create_task(ours.write(count_then_write))
    await asyncio.to_thread(has_read.wait, 10)
    await theirs.write(overtake)
    overtaken.set()

    assert await first == 0
    assert set(await SqlPromptCache(ours).kept(["ours", "theirs"])) == {"ours", "theirs"}
    await ours.dispose()
    await theirs.dispose()
