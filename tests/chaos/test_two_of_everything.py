"""Two workers and two gateways over one Temporal and one database; one of each dies."""

import signal
from pathlib import Path

from deploy.embedded.ports import find_free_port
from deploy.embedded.stack import gateway_plan, worker_plan
from tests.chaos.conftest import Conclude
from tests.chaos.follower import following
from tests.chaos.stage import (
    an_order,
    breakable_stack,
    purchases_are_named,
    seconds_until_work_goes_on,
    submit_jobs,
)
from tests.support.waiting import eventually

JOBS = ("dune", "cliff", "meadow", "marsh")


async def test_one_of_two_workers_and_one_of_two_gateways_die(
    tmp_path: Path, conclude: Conclude
) -> None:
    """The limit holds over both workers, and who follows at the other gateway hears all."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=2.0) as running:
        second = find_free_port()
        await running.stack.start(worker_plan(running.layout, running.settings, name="worker-2"))
        await running.stack.start(
            gateway_plan(running.layout, running.settings, name="gateway-2", port=second)
        )
        followed = await running.submit(**an_order("beach", pictures=6))
        url, key = f"http://127.0.0.1:{second}", running.layout.dev_key
        async with following(url, key, followed) as follower:
            jobs = [followed, *await submit_jobs(running, JOBS, pictures=3)]
            await purchases_are_named(running, at_least=2)
            running.signal("worker", signal.SIGKILL)
            running.signal("gateway", signal.SIGKILL)
            seconds = await seconds_until_work_goes_on(running, jobs)

            await conclude(
                running,
                "kill -9 of one of two workers and of one of two gateways",
                jobs=jobs,
                seconds=seconds,
            )
            events = await running.events(followed)
            await eventually(lambda: follower.last == events[-1].seq, what="the last event")
            assert follower.seqs == [event.seq for event in events]
