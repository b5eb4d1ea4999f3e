"""A job's clock: it counts work, not calendar."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

from workflows.options import CLOCK_TICK


async def run_out(limit: timedelta, *, is_working: Callable[[], bool]) -> None:
    """Return once `limit` of working time has passed.

    A tick credits at most itself, and only while the job works: with all workers down for
    eleven minutes nobody times out on return. Source: durability.md rule 4.
    """
    left = limit
    while left > timedelta(0):
        tick = min(CLOCK_TICK, left)
        await workflow.sleep(tick, summary="clock")
        if is_working():
            left -= tick
