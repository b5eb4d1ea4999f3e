"""A worker that was only asleep: two attempts are alive at once, and only one may buy."""

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from darkroom.domain.ledger import LedgerState
from deploy.embedded.stack import worker_plan
from tests.chaos.conftest import Conclude
from tests.chaos.stage import an_order, breakable_stack, seconds_until_work_goes_on
from tests.support.emulated import Rule
from tests.support.waiting import eventually

PICTURE_SECONDS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point of a purchase at which the worker falls asleep."""

    name: str
    fault: Rule
    state: LedgerState


STOPS = (
    Moment(
        name="its POST is on the way",
        fault={"endpoint": "generate", "action": "latency_after_acceptance", "seconds": 4},
        state=LedgerState.CALLING,
    ),
    Moment(
        name="its task is being drawn",
        fault={"endpoint": "callback", "action": "twice"},
        state=LedgerState.ACCEPTED,
    ),
)


@pytest.mark.parametrize("moment", STOPS, ids=lambda moment: moment.name)
async def test_two_attempts_alive_at_once_never_both_buy(
    moment: Moment, tmp_path: Path, conclude: Conclude
) -> None:
    """A worker that was stopped for longer than its heartbeat wakes up beside its successor."""
    async with breakable_stack(
        tmp_path / "var", emulators_picture_seconds=PICTURE_SECONDS
    ) as running:
        await running.emulated.befall(moment.fault)
        job_id = await running.submit(**an_order("lighthouse", pictures=3))

        async def have_come() -> bool:
            rows = await running.ledger.of_job(job_id)
            billed = {entry.call for entry in await running.bought()}
            return len(billed) == 3 and {row.state for row in rows} == {moment.state}

        await eventually(have_come, what=moment.name)
        running.signal("worker", signal.SIGSTOP)
        successor = worker_plan(running.layout, running.settings, name="successor")
        await running.stack.start(successor)
        seconds = await seconds_until_work_goes_on(running, [job_id])

        async def is_taken_over() -> bool:
            return all(row.fence > 1 for row in await running.ledger.of_job(job_id))

        await eventually(is_taken_over, within_seconds=40, what="the successor")
        running.signal("worker", signal.SIGCONT)

        await conclude(
            running, f"SIGSTOP of the worker while {moment.name}", jobs=[job_id], seconds=seconds
        )
        assert len(await running.bought()) == 3
