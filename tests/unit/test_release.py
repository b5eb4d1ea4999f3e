"""Parked jobs are woken one by one: a canary first, then twice as many each second."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from darkroom.domain.breakers import Gate, GateKey, GateState
from darkroom.domain.job import Priority
from darkroom.domain.parking import LeaveOrder, ParkOrder
from darkroom.domain.release import CANARY_WITHIN, LOOK_AGAIN, Over, ParkedJobs, Rest, Wake
from tests.support.builders import NOW

KEY = GateKey(provider="nanobanana", model="nano-banana-2")
SECOND = timedelta(seconds=1)
CLOSED = Gate(key=KEY)
COOLING = Gate(key=KEY, state=GateState.OPEN, until=NOW + 10 * SECOND)
COOLED = Gate(key=KEY, state=GateState.OPEN, until=NOW)
HELD_BY_HAND = Gate(key=KEY, state=GateState.OPEN)
TRYING = Gate(key=KEY, state=GateState.HALF_OPEN, canary="a call", lease_until=NOW + 45 * SECOND)


def an_order(number: int, **changes: object) -> ParkOrder:
    """Park one job; a higher number was admitted later."""
    order = ParkOrder(
        key=KEY,
        workflow_id=f"job-{number}",
        first_run_id=f"run-{number}",
        part="0001",
        parked_at=NOW,
        admitted_at=NOW + number * SECOND,
    )
    return replace(order, **changes)  # pyright: ignore[reportArgumentType] -- a builder takes what a test changes


def woken(jobs: ParkedJobs, gate: Gate, at: datetime = NOW) -> list[str]:
    """Make one step that must wake somebody."""
    step = jobs.step(gate, at)
    assert isinstance(step, Wake)
    return [order.workflow_id for order in step.orders]


def test_nobody_is_woken_while_the_gate_cools_down() -> None:
    """The next look is when it may be tried, and now and then in case a hand was elsewhere."""
    jobs = ParkedJobs([an_order(1)])

    assert jobs.step(COOLING, NOW) == Rest(until=NOW + 10 * SECOND)
    assert jobs.step(HELD_BY_HAND, NOW) == Rest(until=NOW + LOOK_AGAIN)
    far_off = replace(COOLING, until=NOW + timedelta(hours=9))
    assert jobs.step(far_off, NOW) == Rest(until=NOW + LOOK_AGAIN)


@pytest.mark.parametrize(
    "gate", [COOLED, replace(TRYING, canary=None), replace(TRYING, lease_until=NOW)]
)
def test_one_job_is_woken_as_the_canary(gate: Gate) -> None:
    """After the cooldown, after a hand has closed the gate, after a canary was lost."""
    jobs = ParkedJobs([an_order(2), an_order(1)])

    step = jobs.step(gate, NOW)

    assert step == Wake(orders=(an_order(1),), is_canary=True, until=NOW + SECOND)
    assert jobs.step(gate, NOW + SECOND) == Rest(until=NOW + 2 * SECOND)
    assert len(jobs) == 2


def test_a_canary_that_does_not_call_is_followed_by_the_next_job() -> None:
    """It may be paused, wait for a slot, or have ended; each gets its turn before a second one."""
    jobs = ParkedJobs([an_order(1), an_order(2)])

    turns = [woken(jobs, COOLED, NOW + number * CANARY_WITHIN) for number in range(3)]

    assert turns == [["job-1"], ["job-2"], ["job-1"]]


def test_nobody_else_is_woken_while_a_canary_finds_out() -> None:
    """Once somebody has called, its lease decides how long that may take."""
    jobs = ParkedJobs([an_order(1), an_order(2)])
    assert woken(jobs, COOLED) == ["job-1"]

    step = jobs.step(TRYING, NOW + 2 * CANARY_WITHIN)

    assert step == Rest(until=NOW + 2 * CANARY_WITHIN + SECOND)
    assert woken(jobs, TRYING, NOW + 45 * SECOND) == ["job-2"]


def test_a_closed_gate_releases_twice_as_many_each_second() -> None:
    """Jobs that were admitted earlier go first; whoever was released is not parked any more."""
    jobs = ParkedJobs(an_order(number) for number in range(10))

    sizes = [len(woken(jobs, CLOSED, NOW + number * SECOND)) for number in range(4)]

    assert sizes == [1, 2, 4, 3]
    assert jobs.step(CLOSED, NOW) == Over()


def test_a_gate_that_opens_again_begins_its_release_anew() -> None:
    """A provider that broke down under the second wave gets one call at a time again."""
    jobs = ParkedJobs(an_order(number) for number in range(10))
    woken(jobs, CLOSED)
    woken(jobs, CLOSED)

    jobs.step(COOLING, NOW)

    assert woken(jobs, CLOSED) == ["job-3"]


def test_a_gate_without_parked_jobs_is_over_unless_it_stays_open() -> None:
    """While it is open an operator may want to speak to it."""
    jobs = ParkedJobs()

    assert [jobs.step(gate, NOW) for gate in (CLOSED, COOLED, TRYING)] == [Over()] * 3
    assert isinstance(jobs.step(COOLING, NOW), Rest)
    assert isinstance(jobs.step(HELD_BY_HAND, NOW), Rest)


def test_a_job_that_parks_again_keeps_its_moment() -> None:
    """A repeated word changes nothing; a new run of the job is somebody else."""
    jobs = ParkedJobs([an_order(1)])

    jobs.park(an_order(1, parked_at=NOW + SECOND))
    assert jobs.in_line == (an_order(1),)
    rerun = an_order(1, first_run_id="another", parked_at=NOW + SECOND)
    jobs.park(rerun)

    assert jobs.in_line == (rerun,)


def test_a_job_that_leaves_is_woken_no_more() -> None:
    """But an earlier run's farewell does not take a later one out."""
    jobs = ParkedJobs([an_order(1), an_order(2)])

    jobs.leave(LeaveOrder(workflow_id="job-1", first_run_id="another"))
    jobs.leave(LeaveOrder(workflow_id="job-2", first_run_id="run-2"))
    jobs.leave(LeaveOrder(workflow_id="job-3", first_run_id="run-3"))

    assert jobs.in_line == (an_order(1),)


def test_the_line_is_by_admission_then_priority() -> None:
    """Finish-first; whoever has no slot yet stands where it parked."""
    waiting = an_order(9, admitted_at=None, parked_at=NOW + SECOND)
    urgent = an_order(3, admitted_at=NOW + SECOND, priority=Priority.HIGH)
    jobs = ParkedJobs([an_order(2), waiting, an_order(1), urgent])

    names = [order.workflow_id for order in jobs.in_line]

    assert names == ["job-3", "job-1", "job-9", "job-2"]


def test_a_hand_asks_for_a_canary_at_once() -> None:
    """Nobody waits for the one that was woken before and did not call."""
    jobs = ParkedJobs([an_order(1), an_order(2)])
    woken(jobs, COOLED)

    jobs.start_over()

    assert woken(jobs, replace(TRYING, canary=None)) == ["job-2"]
