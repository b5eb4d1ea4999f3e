"""A worker under a memory limit meets results that are too large for it: the jobs still end."""

import resource
from pathlib import Path

import psutil

from tests.chaos.aftermath import IN_ANY_WAY
from tests.chaos.conftest import Conclude
from tests.chaos.stage import an_order, breakable_stack
from tests.support.stacks import Running
from tests.support.waiting import eventually

SPARE_BYTES = 12 * 1024 * 1024
LARGE_BYTES = 30 * 1024 * 1024  # within MAX_PICTURE_BYTES, so it is read to the end


def limit_memory(running: Running) -> None:
    """Let the running worker take little more memory than it has now."""
    pid = running.stack.child("worker").pid
    assert pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    taken = int(psutil.Process(pid).memory_info().vms)
    resource.prlimit(pid, resource.RLIMIT_AS, (taken + SPARE_BYTES, hard))


def memory_errors(running: Running) -> int:
    """Count in the worker's log how often it had no memory, or died of it and was started."""
    log = (running.layout.log_dir / "worker.log").read_text(errors="replace")
    return log.count("MemoryError") + log.count("worker_started") - 1


async def test_jobs_end_though_their_pictures_are_larger_than_memory(
    tmp_path: Path, conclude: Conclude
) -> None:
    """The large ones are given up after some attempts; the small ones are delivered."""
    async with breakable_stack(tmp_path / "var") as running:
        warm = await running.submit(**an_order("pebble"))
        await running.closed(warm)
        limit_memory(running)
        await running.emulated.befall(
            {"endpoint": "result", "action": "huge", "size_bytes": LARGE_BYTES, "match": "glacier"}
        )
        large = await running.submit(**an_order("glacier"))

        await eventually(
            lambda: memory_errors(running), within_seconds=30, what="the worker meeting its limit"
        )
        small = await running.submit(**an_order("brook"))

        await conclude(
            running,
            "worker under a memory limit",
            jobs=[warm, large, small],
            outcomes={large: IN_ANY_WAY},
        )
