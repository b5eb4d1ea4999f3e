"""W(200 jobs, 1 image, 0 ms): the whole stack, and bare Temporal in the same run.

A job of ours is five stages behind HTTP: chosen, enhanced by a paid call, bought by another,
collected after a callback, downloaded, verified and stored, every step of it written to the
log and the ledger. A bare job is five activities that do nothing. Both are waited for in the
same way, by one long poll of Temporal a job; ours ends when the store has its whole log.

All three stand ready at once and take turns, so that a machine whose speed changes changes it
for all of them. What is compared is each round with itself, and the ratio is the middle one.
"""

import statistics
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import reduce
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.bare import Bare, running_bare, tuned_command, untuned_command
from bench.figures import Bound, Figure, Target, remark
from bench.load import MILLISECONDS, Pace, paced, pids_of
from darkroom.domain.job import JobId
from tests.support.stacks import Running, started_stack

ROUNDS = 5
JOBS_PER_ROUND = 40
AT_ONCE = 5
WARM_UP_JOBS = 10
FLOOD_JOBS = 200
FLOOD_CALLERS = 50
SAMPLED_JOBS = 20

OURS, UNTUNED, TUNED = "darkroom", "bare untuned Temporal", "bare tuned Temporal"
RATIO = Target(bound=Bound.AT_LEAST, number=1.2)
NONE = Target(bound=Bound.EXACTLY, number=0)


@dataclass(slots=True)
class Shop:
    """Our stack, the jobs it was given, and what its processes are."""

    running: Running
    numbers: Iterator[int] = field(default_factory=count)
    job_ids: list[JobId] = field(default_factory=list[JobId])

    @property
    def pids(self) -> dict[str, int]:
        """Processes whose time counts."""
        return pids_of(self.running)

    async def one(self, number: int) -> None:
        """Submit a job of one picture over HTTP and wait until it is over.

        Its number stands in its prompt, so that no prompt is answered from the cache.
        """
        template = f"Street lamp number {number}, {{timeOfDay}}, {{weather}}, {{location}}"
        job_id = await self.running.submit(prompt={"template": template})
        self.job_ids.append(job_id)
        await self.running.temporal.get_workflow_handle(job_id).result()

    async def run(self, jobs: int, *, at_once: int = AT_ONCE) -> Pace:
        """Run so many jobs."""
        return await paced(self.one, islice(self.numbers, jobs), at_once=at_once, pids=self.pids)


async def measure() -> AsyncGenerator[Figure]:
    """Measure everything, then tell; about a minute."""
    quick: dict[str, Any] = {"emulators_chat_seconds": 0.0, "emulators_picture_seconds": 0.0}
    async with AsyncExitStack() as until_exit:
        folder = Path(until_exit.enter_context(TemporaryDirectory(prefix="darkroom-bench-")))
        untuned = await until_exit.enter_async_context(
            running_bare(untuned_command, var_dir=folder / "untuned")
        )
        tuned = await until_exit.enter_async_context(
            running_bare(tuned_command, var_dir=folder / "tuned")
        )
        shop = Shop(
            await until_exit.enter_async_context(started_stack(folder / "darkroom", **quick))
        )
        rounds = await _rounds(shop, {UNTUNED: untuned, TUNED: tuned})
        for figure in _compared(rounds):
            yield figure
        history = await _history_events(shop)
        yield Figure(name="throughput: history", figure=history, unit="events/job")
        remark(f"{FLOOD_JOBS} more jobs, submitted as fast as {FLOOD_CALLERS} callers can")
        flood = await shop.run(FLOOD_JOBS, at_once=FLOOD_CALLERS)
        for figure in (*_flooded(flood), await _bought_twice(shop), await _lost(shop)):
            yield figure


async def _rounds(shop: Shop, bare: dict[str, Bare]) -> list[dict[str, Pace]]:
    """Let everybody run the same number of jobs in turn; the first, short round warms up."""
    remark(f"{ROUNDS} rounds of {JOBS_PER_ROUND} jobs each, {AT_ONCE} at once")
    rounds: list[dict[str, Pace]] = []
    for jobs in (WARM_UP_JOBS, *[JOBS_PER_ROUND] * ROUNDS):
        paces = {
            name: await paced(one.run, range(jobs), at_once=AT_ONCE, pids=one.pids)
            for name, one in bare.items()
        }
        rounds.append({OURS: await shop.run(jobs)} | paces)
    return rounds[1:]


def _compared(rounds: list[dict[str, Pace]]) -> Iterator[Figure]:
    ratios = [one[OURS].jobs_per_second / one[UNTUNED].jobs_per_second for one in rounds]
    remark(f"ratios of the rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    yield Figure(
        name=f"throughput: {OURS} / {UNTUNED}",
        figure=statistics.median(ratios),
        unit="ratio",
        target=RATIO,
    )
    totals = {name: _total(rounds, name) for name in (OURS, UNTUNED, TUNED)}
    for name, pace in totals.items():
        yield Figure(name=f"throughput: {name}", figure=pace.jobs_per_second, unit="jobs/s")
    for name, pace in totals.items():
        yield Figure(name=f"throughput: {name}, CPU", figure=pace.cpu_ms_per_job, unit="ms/job")
    for name in (OURS, TUNED):
        yield from _by_process(name, totals[name])


def _by_process(name: str, pace: Pace) -> Iterator[Figure]:
    for process, seconds in pace.cpu_seconds.items():
        yield Figure(
            name=f"throughput: {name}, CPU of {process}",
            figure=seconds * MILLISECONDS / pace.jobs,
            unit="ms/job",
        )


def _total(rounds: list[dict[str, Pace]], name: str) -> Pace:
    return reduce(Pace.__add__, (one[name] for one in rounds))


def _flooded(pace: Pace) -> Iterator[Figure]:
    what = f"throughput: {OURS}, {FLOOD_JOBS} jobs from {FLOOD_CALLERS} callers"
    yield Figure(name=what, figure=pace.jobs_per_second, unit="jobs/s")
    yield Figure(name=f"{what}, CPU", figure=pace.cpu_ms_per_job, unit="ms/job")


async def _history_events(shop: Shop) -> float:
    handles = [
        shop.running.temporal.get_workflow_handle(job_id) for job_id in shop.job_ids[-SAMPLED_JOBS:]
    ]
    return statistics.fmean([(await handle.describe()).history_length for handle in handles])


async def _bought_twice(shop: Shop) -> Figure:
    """Count the pictures that the provider's own ledger bills more than once."""
    times = Counter(purchase.call for purchase in await shop.running.bought())
    twice = sum(bought - 1 for bought in times.values())
    return Figure(name="throughput: bought twice", figure=twice, unit="pictures", target=NONE)


async def _lost(shop: Shop) -> Figure:
    """Count the jobs that are not completed for whoever asks over HTTP."""
    records = [await shop.running.job(job_id) for job_id in shop.job_ids]
    lost = sum(record.get("status") != "completed" for record in records)
    return Figure(name="throughput: jobs lost", figure=lost, unit="jobs", target=NONE)
