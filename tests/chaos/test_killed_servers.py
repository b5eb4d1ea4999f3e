"""kill -9 of the gateway, of Temporal, and of everything at once."""

import signal
import time
from pathlib import Path

from tests.chaos.conftest import Conclude
from tests.chaos.follower import following
from tests.chaos.stage import (
    GOES_ON_WITHIN_SECONDS,
    an_order,
    breakable_stack,
    purchases_are_named,
    seconds_until_told_again,
    submit_jobs,
)
from tests.support.waiting import eventually

JOBS = ("quarry", "orchard", "viaduct")


async def test_a_follower_misses_nothing_while_the_gateway_is_killed(
    tmp_path: Path, conclude: Conclude
) -> None:
    """The socket comes back with each number once, from 1 to the last."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=1.5) as running:
        job_id = await running.submit(**an_order("canal", pictures=8))
        url, key = running.layout.gateway_url, running.layout.dev_key
        async with following(url, key, job_id) as follower:
            await purchases_are_named(running, at_least=2)
            await eventually(lambda: follower.last > 0, what="the first event")
            running.signal("gateway", signal.SIGKILL)
            killed_at, heard = time.monotonic(), follower.last
            await eventually(
                lambda: follower.connections > 1 and follower.last > heard,
                within_seconds=GOES_ON_WITHIN_SECONDS,
                what="the follower hearing more",
            )
            seconds = time.monotonic() - killed_at

            await conclude(running, "kill -9 of the gateway", jobs=[job_id], seconds=seconds)
            events = await running.events(job_id)
            await eventually(lambda: follower.last == events[-1].seq, what="the last event")
            assert follower.seqs == [event.seq for event in events]


async def test_jobs_outlive_the_temporal_server(tmp_path: Path, conclude: Conclude) -> None:
    """It is killed in the middle of purchases and comes back over the same file."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=2.0) as running:
        jobs = await submit_jobs(running, JOBS)
        await purchases_are_named(running, at_least=4)
        running.signal("temporal", signal.SIGKILL)
        seconds = await seconds_until_told_again(running, jobs)

        await conclude(running, "kill -9 of Temporal", jobs=jobs, seconds=seconds)
        assert len(await running.bought()) == 2 * len(JOBS)


async def test_jobs_outlive_the_death_of_everything(tmp_path: Path, conclude: Conclude) -> None:
    """Worker, gateway and Temporal are killed in the same moment."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=2.0) as running:
        jobs = await submit_jobs(running, JOBS)
        await purchases_are_named(running, at_least=4)
        for name in ("worker", "gateway", "temporal"):
            running.signal(name, signal.SIGKILL)
        seconds = await seconds_until_told_again(running, jobs)

        await conclude(
            running, "kill -9 of worker, gateway and Temporal at once", jobs=jobs, seconds=seconds
        )
        assert len(await running.bought()) == 2 * len(JOBS)
