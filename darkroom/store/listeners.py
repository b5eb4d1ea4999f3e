"""Who hears a doorbell inside this process: one connection listens, any number follow."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from darkroom.domain.names import Ring

ANYTHING = Ring()
MOST_WAITING = 1000  # topics; a follower further behind is told that anything may have changed


class Listeners:
    """All followers of one doorbell.

    Args:
        begin: called when the first follower comes; begin to listen.
        end: called when the last one has left; stop listening. May be called again.
    """

    def __init__(self, *, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin = begin
        self._end = end
        self._followers: set[Follower] = set()
        self._is_closed = False

    async def rings(self) -> AsyncGenerator[Ring, None]:
        """Follow until the doorbell closes; a ring without a topic comes first."""
        if self._is_closed:
            return
        follower = Follower()
        self._followers.add(follower)
        if len(self._followers) == 1:
            self._begin()
        try:
            while heard := await follower.heard():
                for ring in heard:
                    yield ring
        finally:
            self._followers.discard(follower)
            if not self._followers:
                self._end()

    def hear(self, ring: Ring) -> None:
        """Pass a ring on to everybody."""
        for follower in self._followers:
            follower.hear(ring)

    def close(self) -> None:
        """End every following for good, each after what it has not taken yet."""
        self._is_closed = True
        for follower in self._followers:
            follower.dismiss()


class Follower:
    """The rings that one reader has not taken yet, each topic once, in order."""

    def __init__(self) -> None:
        """Begin with a ring without a topic: what came before was not heard."""
        self._waiting: dict[Ring, None] = {ANYTHING: None}
        self._is_dismissed = False
        self._changed = asyncio.Event()
        self._changed.set()

    def hear(self, ring: Ring) -> None:
        """Keep a ring until it is taken, unless a waiting one already says as much."""
        if ANYTHING in self._waiting:
            return
        if ring == ANYTHING or len(self._waiting) >= MOST_WAITING:
            self._waiting = {ANYTHING: None}
        else:
            self._waiting[ring] = None
        self._changed.set()

    def dismiss(self) -> None:
        """Let the reader finish once it has taken what waits."""
        self._is_dismissed = True
        self._changed.set()

    async def heard(self) -> tuple[Ring, ...]:
        """Wait for rings and take them; none means that no more will come."""
        await self._changed.wait()
        taken = tuple(self._waiting)
        self._waiting = {}
        if not self._is_dismissed:
            self._changed.clear()
        return taken
