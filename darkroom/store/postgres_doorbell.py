"""Hear commits on PostgreSQL, through LISTEN on a connection of its own."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from darkroom.domain.names import Ring, parse_ring
from darkroom.store.engine import PATIENCE, postgresql_options
from darkroom.store.listeners import ANYTHING, Listeners
from darkroom.store.ringing import CHANNEL

FIRST_WAIT = timedelta(milliseconds=100)
LONGEST_WAIT = timedelta(seconds=5)  # a relay re-reads every 5 s anyway


class PostgresDoorbell:
    """The port `Doorbell` over PostgreSQL; its rings name the job or the purchase.

    Needs a direct connection: a pooler that lends a connection per transaction loses LISTEN.
    """

    def __init__(self, address: str) -> None:
        """Prepare to listen at a `postgresql://` address."""
        self._address = make_conninfo(address, **postgresql_options(PATIENCE))
        self._listeners = Listeners(begin=self._begin, end=self._end)
        self._listening: asyncio.Task[None] | None = None

    def rings(self) -> AsyncGenerator[Ring, None]:
        """Yield rings until closed. A ring without a topic comes first and after each gap."""
        return self._listeners.rings()

    async def close(self) -> None:
        """End all listening for good."""
        self._listeners.close()
        listening = self._listening
        self._end()
        if listening is not None:
            await asyncio.wait({listening})

    def _begin(self) -> None:
        self._listening = asyncio.create_task(self._listen_for_ever())

    def _end(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None

    async def _listen_for_ever(self) -> None:
        wait = FIRST_WAIT
        while True:
            try:
                async with await self._connect() as connection:
                    wait = FIRST_WAIT
                    await self._listen(connection)
            except (psycopg.Error, OSError):
                await asyncio.sleep(wait.total_seconds())
                wait = min(2 * wait, LONGEST_WAIT)

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(self._address, autocommit=True)

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        await connection.execute(SQL("LISTEN {}").format(Identifier(CHANNEL)))
        self._listeners.hear(ANYTHING)
        async for notification in connection.notifies():
            self._listeners.hear(_ring_of(notification.payload))


def _ring_of(payload: str) -> Ring:
    """Read a notification; one that nobody here wrote may mean anything."""
    try:
        return parse_ring(payload)
    except ValueError:
        return ANYTHING
