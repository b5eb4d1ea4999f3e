"""Wake an attempt when the provider calls back.

A callback reaches some gateway, which writes it to the ledger and rings. One listener a
worker process reads the rows its attempts wait for, all in one query.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.ledger import CallKey
from darkroom.domain.names import Ring
from darkroom.domain.ports import CallLedger, Doorbell

# On SQLite any write rings, so rings are gathered before the ledger is read.
GATHER_SECONDS = 0.02

log = structlog.get_logger()


class CallbackWatch:
    """Events of the purchases that attempts in this process wait for."""

    def __init__(self, *, ledger: CallLedger, doorbell: Doorbell) -> None:
        self._ledger = ledger
        self._doorbell = doorbell
        self._waiting: dict[CallKey, asyncio.Event] = {}
        self._rung = asyncio.Event()

    @asynccontextmanager
    async def watching(self, key: CallKey) -> AsyncGenerator[asyncio.Event]:
        """Give an event that is set once the purchase's callback has been booked."""
        event = asyncio.Event()
        self._waiting[key] = event
        self._rung.set()
        try:
            yield event
        finally:
            if self._waiting.get(key) is event:
                del self._waiting[key]

    async def listen(self) -> None:
        """Follow the doorbell for as long as the process lives."""
        reader = asyncio.create_task(self._read_when_rung())
        try:
            async for ring in self._doorbell.rings():
                if self._concerns_us(ring):
                    self._rung.set()
        finally:
            reader.cancel()

    def _concerns_us(self, ring: Ring) -> bool:
        if not self._waiting or ring.job_id is not None:
            return False
        return ring.call is None or ring.call in self._waiting

    async def _read_when_rung(self) -> None:
        while True:
            await self._rung.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._rung.clear()
            asleep = [key for key, event in self._waiting.items() if not event.is_set()]
            if asleep:
                await self._wake(asleep)

    async def _wake(self, asleep: list[CallKey]) -> None:
        try:
            rows = await self._ledger.rows(asleep)
        except StoreUnavailable as error:
            # Attempts ask the provider on their own schedule too; a hint may be missed.
            log.warning("callback_watch_deaf", error=str(error))
            return
        for row in rows:
            if row.hinted and (event := self._waiting.get(row.key)):
                event.set()
