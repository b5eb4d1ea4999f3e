"""kill -9 of the worker in mid-purchase: seconds until the work goes on, and what it costs."""

import signal
import statistics
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Bound, Figure, Target, remark
from darkroom.domain.job import JobId
from darkroom.domain.ledger import LedgerRow, LedgerState
from tests.support.stacks import Running, started_stack
from tests.support.waiting import eventually

KILLS = 5
PICTURES = 3
PICTURE_SECONDS = 2.0
WITHIN_SECONDS = 60.0

GOING_ON = Target(bound=Bound.AT_MOST, number=5.0)
NONE = Target(bound=Bound.EXACTLY, number=0)


async def measure() -> AsyncGenerator[Figure]:
    """Kill the worker of a running stack again and again."""
    with TemporaryDirectory(prefix="darkroom-bench-") as folder:
        var_dir = Path(folder) / "var"
        async with started_stack(var_dir, emulators_picture_seconds=PICTURE_SECONDS) as running:
            remark(f"{KILLS} jobs, the worker killed in the middle of each")
            jobs: list[JobId] = []
            seconds: list[float] = []
            for _ in range(KILLS):
                job_id = await running.submit(count=PICTURES)
                jobs.append(job_id)
                seconds.append(await _killed(running, job_id))
                await running.closed(job_id, within_seconds=WITHIN_SECONDS)
            yield Figure(
                name="recovery: kill -9 of a worker to work going on, middle",
                figure=statistics.median(seconds),
                unit="s",
                target=GOING_ON,
            )
            yield Figure(
                name="recovery: the slowest", figure=max(seconds), unit="s", target=GOING_ON
            )
            calls = [entry.call for entry in await running.bought()]
            yield Figure(
                name="recovery: bought twice",
                figure=len(calls) - len(set(calls)),
                unit="pictures",
                target=NONE,
            )
            records = [await running.job(job_id) for job_id in jobs]
            lost = sum(record.get("outcome") != "full" for record in records)
            yield Figure(name="recovery: jobs lost", figure=lost, unit="jobs", target=NONE)


async def _killed(running: Running, job_id: JobId) -> float:
    """Kill the worker while the provider draws; answers seconds until an attempt goes on."""

    async def accepted() -> LedgerRow | None:
        rows = await running.ledger.of_job(job_id)
        return next((row for row in rows if row.state is LedgerState.ACCEPTED), None)

    before = await eventually(accepted, within_seconds=WITHIN_SECONDS, what="a purchase")
    if before is None:
        raise LookupError("no purchase was accepted")
    running.signal("worker", signal.SIGKILL)
    killed_at = time.monotonic()

    async def has_gone_on() -> bool:
        (row,) = await running.ledger.rows([before.key])
        return row.fence > before.fence

    await eventually(has_gone_on, within_seconds=WITHIN_SECONDS, what="the work going on")
    return time.monotonic() - killed_at
