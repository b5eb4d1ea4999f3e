"""Keep a number of jobs under way, and read what they cost the processes that carry them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psutil

from tests.support.stacks import Running

MILLISECONDS = 1000.0
PROCESSES = ("temporal", "worker", "gateway", "emulators")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What some jobs took: by the clock, and by the processors."""

    jobs: int
    seconds: float
    cpu_seconds: dict[str, float]  # by process

    @property
    def jobs_per_second(self) -> float:
        """Jobs finished in a second."""
        return self.jobs / self.seconds

    @property
    def cpu_ms_per_job(self) -> float:
        """Processor time of a job over all processes, the driver's own left out."""
        return sum(self.cpu_seconds.values()) * MILLISECONDS / self.jobs

    def __add__(self, other: "Pace") -> "Pace":
        cpu = {
            name: self.cpu_seconds.get(name, 0.0) + other.cpu_seconds.get(name, 0.0)
            for name in self.cpu_seconds | other.cpu_seconds
        }
        return Pace(
            jobs=self.jobs + other.jobs, seconds=self.seconds + other.seconds, cpu_seconds=cpu
        )


async def paced(
    one: Callable[[int], Awaitable[object]],
    numbers: Iterable[int],
    *,
    at_once: int,
    pids: dict[str, int],
) -> Pace:
    """Run one job for each number, so many at once, and measure all of it.

    Args:
        one: starts a job and returns when it is over.
        numbers: name the jobs.
        at_once: the next job starts when one of these is over.
        pids: the processes whose time counts; they live throughout.
    """
    waiting = iter(numbers)
    finished: list[int] = []

    async def lane() -> None:
        for number in waiting:
            await one(number)
            finished.append(number)

    before, began = cpu_of(pids), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(lane())
    seconds, after = time.perf_counter() - began, cpu_of(pids)
    used = {name: after[name] - before[name] for name in pids}
    return Pace(jobs=len(finished), seconds=seconds, cpu_seconds=used)


def pids_of(running: Running) -> dict[str, int]:
    """Find the processes of a stack whose time counts."""
    children = {name: running.stack.child(name) for name in PROCESSES}
    return {name: child.pid for name, child in children.items() if child.pid}


def cpu_of(pids: dict[str, int]) -> dict[str, float]:
    """Read the processor seconds of each process so far, user and system."""
    return {name: _cpu_seconds(pid) for name, pid in pids.items()}


def _cpu_seconds(pid: int) -> float:
    times: Any = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
