"""Wait out a database or an object store that does not answer. Nothing is spent meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from temporalio import activity

from darkroom.domain.errors import FilesUnavailable, StoreUnavailable

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0

log = structlog.get_logger()


async def until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again until the store answers, with a growing pause; a cancel ends the wait."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await ask()
        except (StoreUnavailable, FilesUnavailable) as error:
            log.warning(
                "store_awaited",
                job_id=activity.info().workflow_id,
                error=str(error),
                pause_seconds=pause,
            )
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
