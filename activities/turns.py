"""Which calls of this process wait for the same provider, so that none sleeps past its turn.

A hint within one process: whose turn it really is, the ledger decides over all of them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(eq=False, slots=True)
class Turn:
    """One waiting call; an earlier admitted job, then an earlier item, goes first."""

    place: tuple[datetime, str]
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def within(self, seconds: float) -> None:
        """Wait to be called, or for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.called.wait()
        except TimeoutError:
            return
        self.called.clear()


class Turns:
    """The waiting calls of one process, by provider."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, list[Turn]] = defaultdict(list)

    @contextmanager
    def waiting(self, provider: str, place: tuple[datetime, str]) -> Generator[Turn]:
        """Stand in line until the block ends."""
        turn = Turn(place)
        self._waiting[provider].append(turn)
        try:
            yield turn
        finally:
            self._waiting[provider].remove(turn)
            if turn.called.is_set():
                self.call(provider)  # it leaves without having used its turn

    def call(self, provider: str) -> None:
        """Call whoever is first and has not been called."""
        asleep = [turn for turn in self._waiting[provider] if not turn.called.is_set()]
        if asleep:
            min(asleep, key=lambda turn: turn.place).called.set()
