"""Jobs park before an open gate, and are woken one by one once calls may pass."""

import uuid
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from darkroom.domain.breakers import GateKey, GateOpened, GateState
from darkroom.domain.names import (
    CLOSE,
    GATE_OPENED_SIGNAL,
    LEAVE_SIGNAL,
    OPEN,
    PARK_SIGNAL,
    PROVIDER_GATE,
)
from darkroom.domain.parking import CloseOrder, GateStart, OpenOrder
from darkroom.domain.release import LOOK_AGAIN
from tests.support.gate_lots import (
    CLOSED,
    GATE,
    HELD_BY_HAND,
    KEY,
    PARKED,
    Lot,
    Parked,
    serving,
)
from tests.support.parked_jobs import ParkedJob
from tests.support.waiting import eventually
from workflows.provider_gate import ProviderGateWorkflow


@pytest.fixture
async def lot(env: WorkflowEnvironment) -> AsyncGenerator[Lot]:
    """A worker over a store in memory, under the strict sandbox."""
    lot = Lot(env=env)
    async with serving(lot):
        yield lot


async def went(job: Parked) -> list[str]:
    """Read which parts could go."""
    return await job.query(ParkedJob.gone)


async def test_parking_makes_the_gate_and_announces_a_job_once(lot: Lot) -> None:
    """However many parts wait, the gate hears of the job, and of nobody else."""
    lot.put(HELD_BY_HAND)

    job = await lot.park(parts=4)
    other = await lot.park()

    await eventually(lambda: lot.parked(2))
    view = await lot.view()
    assert {order.workflow_id for order in view.parked} == {job.id, other.id}
    assert view.gate == HELD_BY_HAND
    assert await went(job) == []


async def test_a_canary_tries_with_one_part_and_the_rest_follow(lot: Lot) -> None:
    """One call finds out; when it succeeds the gate lets everybody go, and is over."""
    await lot.cooling(60)
    job = await lot.park(parts=3)
    await eventually(lambda: lot.parked(1))

    await lot.env.sleep(62)
    await eventually(lambda: went(job), what="the canary")
    await lot.half_open()
    assert await went(job) == ["0001"]
    lot.put(CLOSED)

    assert sorted(await job.result()) == ["0001", "0002", "0003"]
    assert await job.query(ParkedJob.told) == [True, False]
    await eventually(lot.is_over)


async def test_the_canary_of_a_dead_job_is_the_next_one(lot: Lot) -> None:
    """A job that was terminated while it was parked holds nobody up."""
    await lot.cooling(60)
    dead = await lot.park()
    await eventually(lambda: lot.parked(1))
    alive = await lot.park()
    await eventually(lambda: lot.parked(2))
    await dead.terminate()

    await lot.env.sleep(62)

    await eventually(lambda: went(alive), what="the canary")
    await eventually(lambda: lot.parked(1))


async def test_a_canary_that_does_not_call_is_followed_by_another(lot: Lot) -> None:
    """It may be paused; the lease passes on after a while."""
    await lot.cooling(60)
    jobs = [await lot.park(), await lot.park()]
    await eventually(lambda: lot.parked(2))

    await lot.env.sleep(90)

    for job in jobs:
        await eventually(lambda job=job: went(job))


async def test_a_failed_canary_leaves_the_others_parked(lot: Lot) -> None:
    """The gate is open again, for longer; nobody was woken but one."""
    await lot.cooling(60)
    first, second = await lot.park(parts=2), await lot.park(parts=2)
    await eventually(lambda: lot.parked(2))
    await lot.env.sleep(62)
    await eventually(lambda: went_any(first, second))

    await lot.cooling(3600)
    await lot.env.sleep(60)

    assert len(await went(first) + await went(second)) == 1
    assert await lot.parked(2)


async def went_any(*jobs: Parked) -> list[str]:
    """Read which parts of any of these jobs could go."""
    return [part for job in jobs for part in await went(job)]


async def test_the_release_ramps(lot: Lot) -> None:
    """A closed gate lets one job go, then two, then four: not all of them in one second."""
    lot.put(HELD_BY_HAND)
    jobs = [await lot.park() for _ in range(7)]
    await eventually(lambda: lot.parked(7))
    lot.put(replace(HELD_BY_HAND, state=GateState.HALF_OPEN))
    await lot.move(CLOSE)
    lot.put(CLOSED)

    for job in jobs:
        await job.result()
    releases = await wakes(lot.gate)
    assert releases == [1, 2, 4]


async def wakes(gate: WorkflowHandle[Any, Any]) -> list[int]:
    """Count from its history how many jobs the gate released in each workflow task."""
    sizes: dict[int, int] = {}
    async for event in gate.fetch_history_events():
        if event.HasField("signal_external_workflow_execution_initiated_event_attributes"):
            told = event.signal_external_workflow_execution_initiated_event_attributes
            payload = told.input.payloads[0].data
            if b'"is_canary":false' in payload:
                task = told.workflow_task_completed_event_id
                sizes[task] = sizes.get(task, 0) + 1
    return list(sizes.values())


async def test_a_job_that_is_told_to_stop_leaves(lot: Lot) -> None:
    """Nobody wakes it later, and it does not wait for the gate."""
    lot.put(HELD_BY_HAND)
    job = await lot.park(parts=2)
    await eventually(lambda: lot.parked(1))

    await job.signal(ParkedJob.stop)

    assert await job.result() == []
    await eventually(lambda: lot.parked(0))


async def test_a_cancelled_job_leaves(lot: Lot) -> None:
    """The same by Temporal's own cancel."""
    lot.put(HELD_BY_HAND)
    job = await lot.park()
    await eventually(lambda: lot.parked(1))

    await job.cancel()

    await eventually(lambda: lot.parked(0))


async def looked(lot: Lot) -> bool:
    """Say whether the gate knows that it is held by hand."""
    return (await lot.view()).gate == HELD_BY_HAND


async def are_at_rest(*workflows: WorkflowHandle[Any, Any]) -> bool:
    """Say whether none of them waits for an activity."""
    described = [await workflow.describe() for workflow in workflows]
    return not any(one.raw_description.pending_activities for one in described)


async def test_a_gate_that_was_terminated_is_told_again(lot: Lot) -> None:
    """A parked job does not depend on the memory of one workflow."""
    lot.put(HELD_BY_HAND)
    job = await lot.park(parts=2)
    await eventually(lambda: lot.parked(1))

    await eventually(lambda: looked(lot), what="the gate's look at its row")
    # The test server skips no time any more once a terminate has cut off a step.
    await eventually(lambda: are_at_rest(lot.gate, job), what="no step under way")
    await lot.gate.terminate("an operator's mistake")
    lot.put(CLOSED)

    assert sorted(await job.result()) == ["0001", "0002"]


async def test_parked_jobs_outlive_a_long_history(lot: Lot) -> None:
    """A gate that is open for weeks begins anew now and then, and forgets nobody."""
    lot.put(HELD_BY_HAND)
    first = await lot.client.start_workflow(
        ProviderGateWorkflow.run,
        GateStart(key=KEY, history_events=40),
        id=GATE,
        task_queue=lot.task_queue,
    )
    job = await lot.park()
    await eventually(lambda: lot.parked(1))

    await lot.env.sleep(60 * LOOK_AGAIN)

    assert (await lot.gate.describe()).run_id != first.first_execution_run_id
    assert await lot.parked(1)
    lot.put(CLOSED)
    assert await job.result() == ["0001"]


async def test_an_operator_holds_calls_back_and_lets_them_through(lot: Lot) -> None:
    """Both by update, with the name of who did it and why, in the row and the audit log."""
    await lot.cooling(3600)
    job = await lot.park()
    await eventually(lambda: lot.parked(1))

    order = OpenOrder(reason="maintenance", by="ada")
    held = await lot.move(OPEN, order)
    let = await lot.move(CLOSE, CloseOrder(by="bob"))

    assert (held.state, held.until, held.by) == (GateState.OPEN, None, "ada")
    assert (let.state, let.by) == (GateState.HALF_OPEN, "bob")
    deeds = [(deed.actor, deed.action, deed.reason) for deed in lot.state.archive.deeds]
    assert deeds == [("ada", "open_gate", "maintenance"), ("bob", "close_gate", "")]
    await eventually(lambda: went(job), what="the canary")


async def test_orders_typed_without_input_work_or_say_what_is_missing(lot: Lot) -> None:
    """`--name close` is enough; to hold calls back takes a reason."""
    lot.put(HELD_BY_HAND)
    await lot.signals.watch(KEY)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await lot.move(OPEN)
    let = await lot.move(CLOSE)

    assert isinstance(refused.value.cause, ApplicationError)
    assert "say why" in str(refused.value.cause)
    assert let.state is GateState.HALF_OPEN
    assert len(lot.state.archive.deeds) == 1


async def test_a_closed_gate_refuses_to_be_closed(lot: Lot) -> None:
    """Nothing is changed, and whoever typed it hears why."""
    lot.put(HELD_BY_HAND)
    await lot.signals.watch(KEY)

    await eventually(lambda: looked(lot), what="the gate's first look at its row")
    lot.put(CLOSED)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await lot.move(CLOSE)

    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == "wrong_state"
    assert lot.row() == CLOSED
    assert not lot.state.archive.deeds


async def test_a_gate_that_is_told_looks_at_once(lot: Lot) -> None:
    """Otherwise it would look again in a minute; calls move the row without asking it."""
    lot.put(HELD_BY_HAND)
    job = await lot.park()
    await eventually(lambda: lot.parked(1))
    lot.put(CLOSED)

    await lot.signals.watch(KEY)

    await eventually(lambda: went(job))


async def test_signals_typed_with_nonsense_change_nothing(lot: Lot) -> None:
    """Without input, with the wrong input, with nobody in it."""
    lot.put(HELD_BY_HAND)
    job = await lot.park()
    await eventually(lambda: lot.parked(1))

    for name in (PARK_SIGNAL, LEAVE_SIGNAL):
        await lot.gate.signal(name)
        await lot.gate.signal(name, "all of them")
        await lot.gate.signal(name, {"workflow_id": 7})
    await job.signal(GATE_OPENED_SIGNAL, GateOpened(key=GateKey(provider="x", model="y")))

    assert await lot.parked(1)
    assert await went(job) == []


async def test_a_gate_under_a_wrong_name_does_not_start(lot: Lot) -> None:
    """No job would ever find it."""
    handle = await lot.client.start_workflow(
        PROVIDER_GATE, GateStart(key=KEY), id=f"other-{uuid.uuid4()}", task_queue=lot.task_queue
    )

    async def failed() -> bool:
        return (await handle.describe()).status is WorkflowExecutionStatus.FAILED

    await eventually(failed)


async def test_an_operator_s_failure_without_a_gate_is_waited_out(lot: Lot) -> None:
    """A key that was refused while a picture was collected is tried again after a while."""
    job = await lot.park(failure=replace(PARKED, code="key_refused", model=None))

    assert await job.result() == ["0001"]
