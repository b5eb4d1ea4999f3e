"""There is no room for pictures: what was paid for waits until there is.

The worker may write only small files for a while, which is a limit that needs no rights; to the
writer, a full disk and a quota look alike. The database is a server of its own, so that only
pictures, and not the worker's log or the store, meet the limit.
"""

import resource
from pathlib import Path

from darkroom.domain.ledger import LedgerState
from tests.chaos.conftest import Conclude
from tests.chaos.stage import breakable_stack, seconds_until_work_goes_on, submit_jobs
from tests.support.databases import running_postgres
from tests.support.stacks import Running, settled
from tests.support.waiting import eventually

JOBS = ("granary", "bridge", "tower")
PICTURE_PIXELS = 1024  # a picture of some hundred kilobytes
SMALL_BYTES = 60_000  # more than the worker's log will be, less than a picture
FULL_SECONDS = 4.0


def let_write(running: Running, *, at_most_bytes: int) -> None:
    """Bound the size of any file that the running worker writes."""
    pid = running.stack.child("worker").pid
    assert pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (at_most_bytes, hard))


async def test_a_full_disk_costs_time_and_nothing_else(tmp_path: Path, conclude: Conclude) -> None:
    """Pictures are fetched again once there is room; none is paid for again."""
    with running_postgres() as postgres:
        async with breakable_stack(
            tmp_path / "var",
            database_url=postgres.create(),
            emulators_picture_pixels=PICTURE_PIXELS,
        ) as running:
            let_write(running, at_most_bytes=SMALL_BYTES)
            jobs = await submit_jobs(running, JOBS, pictures=2)

            async def stands_at_the_disk() -> bool:
                rows = await running.ledger.of_job(jobs[0])
                return bool(rows) and all(row.state is LedgerState.READY for row in rows)

            await eventually(stands_at_the_disk, within_seconds=30, what="paid for, not stored")
            await settled(FULL_SECONDS)
            assert await stands_at_the_disk()
            let_write(running, at_most_bytes=resource.RLIM_INFINITY)
            seconds = await seconds_until_work_goes_on(running, jobs)

            await conclude(running, "disk full for pictures", jobs=jobs, seconds=seconds)
            assert len(await running.bought()) == 2 * len(JOBS)
