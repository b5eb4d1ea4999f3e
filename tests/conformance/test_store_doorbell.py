"""Every doorbell keeps these promises; what is written here is heard there."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, closing
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL
from sqlalchemy import make_url

from darkroom.domain.ledger import NO_CHANGES, LedgerState
from darkroom.domain.names import Ring
from darkroom.store.doorbell import open_doorbell
from darkroom.store.listeners import MOST_WAITING, Listeners
from darkroom.store.migrate import migrate
from darkroom.store.ringing import CHANNEL
from tests.support.builders import (
    JOB,
    a_batch,
    a_call,
    a_claim,
    a_job_id,
    a_start,
    an_event,
    an_opening,
)
from tests.support.databases import SQLITE, Stores, running_postgres, sql_stores
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases"]

ANYTHING = Ring()


@pytest.fixture
async def rings(stores: Stores) -> AsyncGenerator[AsyncIterator[Ring]]:
    """What one reader hears."""
    async with aclosing(stores.doorbell.rings()) as heard:
        yield heard


async def hears(rings: AsyncIterator[Ring], expected: Ring) -> list[Ring]:
    """Listen until a ring names what is expected, or says that anything may have changed."""
    heard: list[Ring] = []
    async with asyncio.timeout(10):
        async for ring in rings:
            heard.append(ring)
            if ring == expected:
                return heard
    raise AssertionError(f"the doorbell closed after {heard}")


async def settled(stores: Stores, rings: AsyncIterator[Ring]) -> None:
    """Listen until the doorbell has certainly begun to hear."""
    job = a_job_id(999)
    await stores.jobs.claim(a_claim(a_start(job_id=job)))
    await hears(rings, ANYTHING)
    if stores.kind != SQLITE:
        seq = 0
        async with asyncio.timeout(10):
            while True:
                seq += 1
                await stores.outbox.append(a_batch(an_event(seq), job_id=job))
                if await anext(rings) == Ring(job_id=job):
                    return


def names(stores: Stores, ring: Ring) -> Ring:
    """Say what a ring looks like where rings have no topics."""
    return ANYTHING if stores.kind == SQLITE else ring


async def test_a_ring_without_a_topic_comes_first(rings: AsyncIterator[Ring]) -> None:
    """A reader begins by reading everything: what came before was not heard."""
    assert await anext(rings) == ANYTHING


async def test_appending_rings_for_the_job(stores: Stores, rings: AsyncIterator[Ring]) -> None:
    """What was recorded is announced with the name of its job."""
    await stores.jobs.claim(a_claim())
    await settled(stores, rings)

    await stores.outbox.append(a_batch())

    await hears(rings, names(stores, Ring(job_id=JOB)))


async def test_a_callback_rings_for_the_purchase(
    stores: Stores, rings: AsyncIterator[Ring]
) -> None:
    """Whoever waits for a picture hears that there is something to collect."""
    row = await stores.ledger.open(an_opening())
    await stores.ledger.move(row, LedgerState.CALLING, NO_CHANGES)
    await settled(stores, rings)

    await stores.ledger.adopt(a_call(), "task-1")

    await hears(rings, names(stores, Ring(call=a_call())))


async def test_what_was_not_written_does_not_ring(
    stores: Stores, rings: AsyncIterator[Ring]
) -> None:
    """A dropped batch, a repeated one and an unknown callback are not announced."""
    written, other = a_batch(), a_job_id(2)
    await stores.jobs.claim(a_claim())
    await stores.jobs.claim(a_claim(a_start(job_id=other)))
    await stores.outbox.append(written)
    await settled(stores, rings)

    await stores.outbox.append(written)
    await stores.outbox.append(a_batch(an_event(2), writer="somebody-else"))
    await stores.ledger.adopt(a_call(), "task-1")
    await stores.outbox.append(a_batch(job_id=other))

    heard = await hears(rings, names(stores, Ring(job_id=other)))
    assert not {Ring(job_id=JOB), Ring(call=a_call())} & set(heard)


async def test_who_reads_only_when_it_rings_misses_nothing(stores: Stores) -> None:
    """The promise under the relay: after the last write there is a ring."""
    jobs = [a_job_id(number) for number in range(8)]
    for job in jobs:
        await stores.jobs.claim(a_claim(a_start(job_id=job)))

    async def write(number: int) -> None:
        for seq in range(1, 6):
            await stores.outbox.append(a_batch(an_event(seq), job_id=jobs[number]))

    async def read() -> None:
        async with aclosing(stores.doorbell.rings()) as rings:
            async for _ in rings:
                if await stores.outbox.heads(jobs) == dict.fromkeys(jobs, 5):
                    return

    async with asyncio.timeout(20):
        await asyncio.gather(read(), read(), *(write(number) for number in range(8)))


async def test_listening_can_begin_again_after_everybody_left(stores: Stores) -> None:
    """The connection is only kept while somebody follows."""
    await stores.jobs.claim(a_claim())
    async with aclosing(stores.doorbell.rings()) as rings:
        await anext(rings)

    async with aclosing(stores.doorbell.rings()) as again:
        await settled(stores, again)
        await stores.outbox.append(a_batch())
        await hears(again, names(stores, Ring(job_id=JOB)))


async def test_closing_ends_every_reader(stores: Stores) -> None:
    """Yields until closed, and then promptly no more, also to who comes late."""
    bell = stores.doorbell
    async with aclosing(bell.rings()) as first, aclosing(bell.rings()) as second:
        await anext(first)
        await anext(second)

        await bell.close()

        async with asyncio.timeout(5):
            left = [ring async for ring in first] + [ring async for ring in second]
            late = [ring async for ring in bell.rings()]
    assert set(left) <= {ANYTHING}
    assert late == []


async def test_a_reader_that_falls_behind_is_told_each_thing_once() -> None:
    """Rings that wait are joined, and too many become one without a topic."""
    listeners = Listeners(begin=lambda: None, end=lambda: None)
    async with aclosing(listeners.rings()) as rings:
        assert await anext(rings) == ANYTHING
        for ring in [Ring(job_id=JOB), Ring(call=a_call()), Ring(job_id=JOB)]:
            listeners.hear(ring)
        assert [await anext(rings), await anext(rings)] == [Ring(job_id=JOB), Ring(call=a_call())]

        for number in range(MOST_WAITING + 1):
            listeners.hear(Ring(job_id=a_job_id(number)))
        listeners.close()
        assert [ring async for ring in rings] == [ANYTHING]


async def test_sqlite_commits_of_another_connection_are_heard(sqlite_url: str) -> None:
    """Whoever commits to the file is heard, also a stranger to this engine."""
    path = make_url(sqlite_url).database or ""
    doorbell = open_doorbell(sqlite_url)
    async with aclosing(doorbell.rings()) as rings, asyncio.timeout(10):
        await anext(rings)
        await anext(rings)
        with closing(sqlite3.connect(path)) as stranger:
            stranger.execute("UPDATE files SET width = 1")
            stranger.execute("INSERT INTO prompts VALUES ('k', 'j', 't', 'm', 1)")
            stranger.commit()

        assert await anext(rings) == ANYTHING


async def test_sqlite_doorbell_waits_for_its_file(tmp_path: Path) -> None:
    """A gateway may start before the database is there."""
    url = f"sqlite:///{tmp_path / 'later.sqlite'}"
    async with aclosing(open_doorbell(url).rings()) as rings:
        await anext(rings)
        assert not (tmp_path / "later.sqlite").exists()

        await migrate(url)

        async with asyncio.timeout(10):
            assert await anext(rings) == ANYTHING


async def test_sqlite_doorbell_follows_a_replaced_file(
    sqlite_url: str, migrated_file: Path, tmp_path: Path
) -> None:
    """After a restore the commits to the restored file are heard."""
    path = Path(make_url(sqlite_url).database or "")
    async with aclosing(open_doorbell(sqlite_url).rings()) as rings, asyncio.timeout(10):
        await anext(rings)
        await anext(rings)
        shutil.copy(migrated_file, tmp_path / "restored.sqlite")
        restore(path, tmp_path / "restored.sqlite")
        assert await anext(rings) == ANYTHING

        with closing(sqlite3.connect(path)) as stranger:
            stranger.execute("INSERT INTO prompts VALUES ('k', 'j', 't', 'm', 1)")
            stranger.commit()

        assert await anext(rings) == ANYTHING


def restore(path: Path, copy: Path) -> None:
    """Put a copy in the place of a file, in one step."""
    copy.replace(path)


async def test_sqlite_doorbell_leaves_no_thread_behind(sqlite_url: str) -> None:
    """Closing waits for the thread that watched."""
    doorbell = open_doorbell(sqlite_url)
    before = set(threading.enumerate())
    async with aclosing(doorbell.rings()) as rings:
        await anext(rings)
        watching = set(threading.enumerate()) - before

        await doorbell.close()

        assert watching
        assert not any(thread.is_alive() for thread in watching)


async def test_postgres_doorbell_rings_again_after_a_lost_connection(postgresql_url: str) -> None:
    """Reconnects by itself, and says that anything may have happened meanwhile."""
    async with sql_stores(postgresql_url) as stores:
        await stores.jobs.claim(a_claim())
        async with aclosing(stores.doorbell.rings()) as rings:
            await settled(stores, rings)

            await eventually(lambda: cut_listeners(postgresql_url), what="a listener to cut off")

            await hears(rings, ANYTHING)
            await stores.outbox.append(a_batch())
            await hears(rings, Ring(job_id=JOB))


async def test_postgres_doorbell_rings_again_after_a_restart_of_the_server() -> None:
    """However long the server is away, its return rings, and what is written then."""
    with running_postgres() as cluster:
        url = cluster.create()
        await migrate(url)
        async with sql_stores(url) as stores, aclosing(stores.doorbell.rings()) as rings:
            await stores.jobs.claim(a_claim())
            await settled(stores, rings)

            await asyncio.to_thread(cluster.stop)
            await asyncio.to_thread(cluster.start)

            await hears(rings, ANYTHING)
            await stores.outbox.append(a_batch())
            await hears(rings, Ring(job_id=JOB))


async def test_postgres_notifications_of_strangers_may_mean_anything(postgresql_url: str) -> None:
    """A payload that nobody here wrote does not deafen the doorbell."""
    async with sql_stores(postgresql_url) as stores:
        await stores.jobs.claim(a_claim())
        async with aclosing(stores.doorbell.rings()) as rings:
            await settled(stores, rings)
            notify(postgresql_url, "call:not a purchase")

            await hears(rings, ANYTHING)
            await stores.outbox.append(a_batch())
            await hears(rings, Ring(job_id=JOB))


def cut_listeners(url: str) -> int:
    """End the connections that listen in a database; answers how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        return len(ended.fetchall())


def notify(url: str, payload: str) -> None:
    """Ring as a stranger would."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("SELECT pg_notify(%s, %s)"), (CHANNEL, payload))
