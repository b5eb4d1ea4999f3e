"""A browser that follows one job over its socket, and connects again whenever it is cut off."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from socketio.exceptions import SocketIOError

from darkroom.domain.job import JobId
from tests.support.gateways import Listener

CONNECT_AGAIN_SECONDS = 0.1


@dataclass(kw_only=True)
class Follower:
    """Asks each time for what came after the last number it saw."""

    url: str
    key: str
    job_id: JobId
    seqs: list[int] = field(default_factory=list[int])
    connections: int = 0

    @property
    def last(self) -> int:
        """Highest number seen."""
        return max(self.seqs, default=0)

    async def follow(self) -> None:
        """Follow until cancelled."""
        while True:
            with contextlib.suppress(SocketIOError, TimeoutError, OSError):
                await self._connected()
            await asyncio.sleep(CONNECT_AGAIN_SECONDS)

    async def _connected(self) -> None:
        listener = Listener()
        before = tuple(self.seqs)
        try:
            await listener.connect(self.url, self.key)
            answer = await listener.subscribe(self.job_id, afterSeq=self.last)
            self.connections += bool(answer["ok"])
            waiting = asyncio.create_task(listener.client.wait())
            while not waiting.done():
                self.seqs = [*before, *listener.seqs(self.job_id)]
                await asyncio.wait({waiting}, timeout=CONNECT_AGAIN_SECONDS / 2)
        finally:
            self.seqs = [*before, *listener.seqs(self.job_id)]
            await listener.client.disconnect()


@asynccontextmanager
async def following(url: str, key: str, job_id: JobId) -> AsyncGenerator[Follower]:
    """Follow a job while the block runs."""
    follower = Follower(url=url, key=key, job_id=job_id)
    task = asyncio.create_task(follower.follow())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.wait({task})
