"""W(40 jobs, 4 images, 250 ms): how close a full queue comes to what its limit allows.

Each job makes four paid prompts and buys four pictures; every paid call takes 250 ms. With five
jobs at work at a time and nothing else to do, eight waves of half a second are the least there
can be. Gateway, store, ledger and slots are on.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.figures import Bound, Figure, Target, remark
from bench.load import MILLISECONDS, cpu_of, pids_of
from darkroom.domain.events import EventKind
from darkroom.domain.job import JobId
from tests.support.stacks import Running, started_stack

JOBS, IMAGES, CALL_SECONDS = 40, 4, 0.25
SLOTS = 5
PAID_STAGES = 2
IDEAL_SECONDS = math.ceil(JOBS / SLOTS) * PAID_STAGES * CALL_SECONDS
ROUNDS = 3
WARM_UP_JOBS = 10

RATIO = Target(bound=Bound.AT_MOST, number=1.10)
AT_ONCE = Target(bound=Bound.AT_MOST, number=SLOTS)
NONE = Target(bound=Bound.EXACTLY, number=0)
CLOSED = frozenset({EventKind.JOB_COMPLETED, EventKind.JOB_FAILED, EventKind.JOB_CANCELLED})


async def measure() -> AsyncGenerator[Figure]:
    """Run the queue empty a few times; the middle round counts."""
    slow: dict[str, Any] = {
        "emulators_chat_seconds": CALL_SECONDS,
        "emulators_picture_seconds": CALL_SECONDS,
    }
    with TemporaryDirectory(prefix="darkroom-bench-") as folder:
        async with started_stack(Path(folder) / "var", **slow) as running:
            pids = pids_of(running)
            await _makespan(running, range(WARM_UP_JOBS))
            before = cpu_of(pids)
            remark(f"{ROUNDS} rounds of {JOBS} jobs, {IMAGES} pictures each")
            rounds = [
                await _makespan(running, range(first, first + JOBS))
                for first in range(WARM_UP_JOBS, WARM_UP_JOBS + ROUNDS * JOBS, JOBS)
            ]
            after = cpu_of(pids)
            ratios = sorted(seconds / IDEAL_SECONDS for seconds, _ in rounds)
            remark(f"ratios of the rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
            yield Figure(
                name="makespan: makespan / ideal",
                figure=ratios[len(ratios) // 2],
                unit="ratio",
                target=RATIO,
            )
            jobs = [job_id for _, job_ids in rounds for job_id in job_ids]
            at_once = await most_at_once(running, jobs)
            yield Figure(
                name="makespan: most jobs at once", figure=at_once, unit="jobs", target=AT_ONCE
            )
            for process in pids:
                spent = (after[process] - before[process]) * MILLISECONDS / (ROUNDS * JOBS)
                yield Figure(name=f"makespan: CPU of {process}", figure=spent, unit="ms/job")
            calls = [entry.call for entry in await running.bought()]
            twice = len(calls) - len(set(calls))
            yield Figure(name="makespan: bought twice", figure=twice, unit="pictures", target=NONE)


async def _makespan(running: Running, numbers: range) -> tuple[float, list[JobId]]:
    """Submit all at once; answers seconds until the last is over, and the jobs."""
    began = time.perf_counter()
    job_ids = await asyncio.gather(*(_submit(running, number) for number in numbers))
    handles = [running.temporal.get_workflow_handle(job_id) for job_id in job_ids]
    await asyncio.gather(*(handle.result() for handle in handles))
    return time.perf_counter() - began, list(job_ids)


async def _submit(running: Running, number: int) -> JobId:
    """Ask for pictures under a number of their own, so that no prompt comes from the cache."""
    places = [f"{number}-{picture}" for picture in range(IMAGES)]
    return await running.submit(
        dimensions={"place": {"options": places}},
        count=IMAGES,
        prompt={"template": "A lamp at {place}"},
    )


async def most_at_once(running: Running, jobs: list[JobId]) -> int:
    """Count from the logs how many jobs were at work at the busiest moment."""
    moves: list[tuple[float, int]] = []
    for job_id in jobs:
        events = await running.events(job_id)
        begun = next(e.at for e in events if e.kind is EventKind.JOB_STARTED)
        closed = next(e.at for e in events if e.kind in CLOSED)
        moves += [(begun.timestamp(), 1), (closed.timestamp(), -1)]
    at_work = most = 0
    for _, change in sorted(moves):
        at_work += change
        most = max(most, at_work)
    return most
