"""A picture that kills every worker that touches it, and nothing else."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.conftest import Conclude
from tests.chaos.stage import an_order, breakable_stack, submit_jobs
from tests.support.stacks import Running

POISON = "volcano 1"
JOBS = ("garden", "market")
TOUCHED_EVERY_SECONDS = 0.05
PARTIAL = frozenset({"partial"})


async def kill_whoever_touches_it(running: Running, kills: list[int]) -> None:
    """Kill the worker each time the poisonous result is fetched, while the bytes come in."""
    met = 0
    while True:
        (count,) = await running.emulated.met_counts()
        if count > met:
            met = count
            with contextlib.suppress(ProcessLookupError):
                running.signal("worker", signal.SIGKILL)
            kills.append(count)
        await asyncio.sleep(TOUCHED_EVERY_SECONDS)


@asynccontextmanager
async def poisoned(running: Running) -> AsyncGenerator[list[int]]:
    """Make one picture deadly while the block runs; yields the kills."""
    await running.emulated.befall(
        {"endpoint": "result", "action": "slow", "seconds": 60, "match": POISON}
    )
    kills: list[int] = []
    killing = asyncio.create_task(kill_whoever_touches_it(running, kills))
    try:
        yield kills
    finally:
        killing.cancel()
        await asyncio.wait({killing})


async def test_a_poisonous_picture_is_given_up_and_the_others_are_delivered(
    tmp_path: Path, conclude: Conclude
) -> None:
    """It ends after a bounded number of dead workers; its job delivers the rest."""
    async with breakable_stack(tmp_path / "var") as running, poisoned(running) as kills:
        poisonous = await running.submit(**an_order("volcano", pictures=3))
        others = await submit_jobs(running, JOBS, pictures=3)

        after = await conclude(
            running,
            "a picture that kills every worker that touches it",
            jobs=[poisonous, *others],
            outcomes={poisonous: PARTIAL},
        )
        record = await running.job(poisonous)
        assert [error["code"] for error in record["result"]["errors"]] == ["stage_crashed"]
        assert len(record["result"]["images"]) == 2
        assert 1 < len(kills) <= 8, after
