"""Tell Temporal that an activity is alive, and where it stands, while it works."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

# A lost worker is noticed after the heartbeat timeout, a cancel after one heartbeat.
# Source: durability.md rule 3, measured.
HEARTBEAT_EVERY = timedelta(seconds=0.5)


@dataclass(slots=True)
class Pulse:
    """What the next heartbeat carries: a value the next attempt can resume from."""

    details: tuple[str, ...] = ()

    def report(self, *details: str) -> None:
        """Say where the activity stands, at once and with every later heartbeat."""
        self.details = details
        activity.heartbeat(*details)


@asynccontextmanager
async def beating() -> AsyncGenerator[Pulse]:
    """Heartbeat from a side task until the block ends."""
    pulse = Pulse(tuple(activity.info().heartbeat_details))
    side = asyncio.create_task(_beat(pulse))
    try:
        yield pulse
    finally:
        side.cancel()


async def _beat(pulse: Pulse) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_EVERY.total_seconds())
        activity.heartbeat(*pulse.details)
