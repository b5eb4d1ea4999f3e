"""kill -9 of the worker at the worst moments: nothing is lost, nothing is bought twice."""

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from darkroom.domain.job import JobId
from darkroom.domain.ledger import CallKey, LedgerRow, LedgerState
from tests.chaos.conftest import Conclude
from tests.chaos.stage import breakable_stack, seconds_until_work_goes_on, submit_jobs
from tests.support.emulated import Rule
from tests.support.stacks import Running
from tests.support.waiting import eventually

JOBS = ("harbour", "bakery", "station")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point of a purchase at which the worker dies."""

    name: str
    fault: Rule
    state: LedgerState
    picture_seconds: float = 0.2


MOMENTS = (
    Moment(
        name="accepted by the provider, but the reply is still on its way",
        fault={
            "endpoint": "generate",
            "action": "latency_after_acceptance",
            "seconds": 30,
            "times": 4,  # the purchases of the jobs that are at work when it dies
        },
        state=LedgerState.CALLING,
        picture_seconds=1.0,
    ),
    Moment(
        name="while the task is being asked about",
        fault={"endpoint": "callback", "action": "never"},
        state=LedgerState.ACCEPTED,
        picture_seconds=2.0,
    ),
    Moment(
        name="while the picture is downloaded",
        fault={"endpoint": "result", "action": "slow", "seconds": 30, "times": 1},
        state=LedgerState.READY,
    ),
)


async def first_take(running: Running, job_id: JobId) -> LedgerRow | None:
    """Read the first purchase of a job."""
    rows = await running.ledger.rows([CallKey(job=job_id, item="0001", take=1)])
    return rows[0] if rows else None


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name)
async def test_a_killed_worker_neither_loses_a_job_nor_buys_a_picture_twice(
    moment: Moment, tmp_path: Path, conclude: Conclude
) -> None:
    """Three jobs, two slots: the worker dies in the middle of the first purchases."""
    async with breakable_stack(
        tmp_path / "var", emulators_picture_seconds=moment.picture_seconds
    ) as running:
        await running.emulated.befall(moment.fault)
        jobs = await submit_jobs(running, JOBS)

        async def has_come() -> bool:
            row = await first_take(running, jobs[0])
            billed = {entry.call for entry in await running.bought()}
            return bool(row and row.state is moment.state and str(row.key) in billed)

        await eventually(has_come, what=moment.name)
        running.signal("worker", signal.SIGKILL)
        seconds = await seconds_until_work_goes_on(running, jobs)

        await conclude(running, f"kill -9 of the worker, {moment.name}", jobs=jobs, seconds=seconds)
        assert len(await running.bought()) == 2 * len(JOBS)
