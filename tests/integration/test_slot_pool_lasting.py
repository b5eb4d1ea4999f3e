"""The pool outlives workers, its own end, its holders' ends, and its own history."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from darkroom.domain.admission import QueueTerms
from darkroom.domain.job import OwnerId
from darkroom.domain.names import SLOT_POOL_ID
from tests.support.slot_pools import QUICK, House, all_over
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.slot_pools"]

JOBS = 20


@pytest.fixture
def house(server: Client) -> House:
    """A queue with three slots, in which work takes a moment."""
    made = House(client=server, seeds=QueueTerms(concurrency=3))
    made.floor.seconds = 0.1
    return made


def held_back(house: House) -> House:
    """Let work end only when the test says so."""
    house.floor.seconds = -1
    return house


async def submit_all(house: House) -> list[WorkflowHandle[Any, Any]]:
    """Submit jobs of three owners."""
    return [
        await house.submit(f"job_{number:02d}", owner=OwnerId(f"owner_{number % 3}"))
        for number in range(JOBS)
    ]


async def begun(house: House, count: int) -> None:
    """Wait until so many jobs have begun to work."""
    await eventually(lambda: len(house.floor.began) >= count, what=f"{count} jobs at work")


async def test_a_worker_that_leaves_takes_nothing_with_it(house: House) -> None:
    """The next one goes on where it was; a job at work is only begun again."""
    async with house.open():
        jobs = await submit_all(house)
        await begun(house, 5)
    async with house.open():
        await all_over(jobs)
        await house.replayed()

    assert house.floor.most == 3
    assert len(house.floor.times_begun()) == JOBS


async def test_a_terminated_pool_is_made_anew_and_asks_first(house: House) -> None:
    """Again and again in the middle of everything: nobody is lost, and never more work at once."""
    async with house.open():
        jobs = await submit_all(house)
        for count in (2, 7, 12):
            await begun(house, count)
            await house.pool.terminate()

        await all_over(jobs)
        await house.replayed()

    assert house.floor.most == 3
    assert set(house.floor.times_begun().values()) == {1}
    assert len(house.floor.began) == JOBS


async def test_a_pool_goes_on_in_a_next_run(house: House) -> None:
    """Now and again, while words arrive at every point of it; nothing is lost or doubled."""
    house.plan = replace(QUICK, history_events=80)
    async with house.open():
        first = (await house.pool.describe()).run_id
        jobs = await submit_all(house)

        await all_over(jobs)
        last = await house.pool.describe()
        await house.replayed()

    assert last.run_id != first
    assert last.history_length < 160
    assert house.floor.most == 3
    assert set(house.floor.times_begun().values()) == {1}
    assert len(house.floor.began) == JOBS


async def test_terms_and_times_go_with_the_pool_into_its_next_run(house: House) -> None:
    """What an operator changed, and how long jobs take."""
    house.plan = replace(QUICK, history_events=20)
    async with house.open():
        await house.change(concurrency=1)
        first = (await house.pool.describe()).run_id
        await all_over(await submit_all(house))
        view = await house.view()

        assert (await house.pool.describe()).run_id != first
    assert view.terms.concurrency == 1
    assert house.floor.most == 1


async def test_a_dead_holder_s_slot_is_kept_for_as_long_as_it_may_still_call(
    house: House,
) -> None:
    """A terminated job says nothing, and its activity does not know."""
    held_back(house).seeds = QueueTerms(concurrency=1)
    house.plan = replace(QUICK, grace=timedelta(seconds=3))
    async with house.open():
        dead = await house.submit("dead")
        await house.at_work("dead")
        waits = await house.submit("next")
        await house.waiting(1)

        await dead.terminate()

        async def is_found() -> bool:
            return (await house.view()).working[0].free_at is not None

        await eventually(is_found, what="a look at the holder")
        closed_at = (await dead.describe()).close_time
        (kept,) = (await house.view()).working
        assert closed_at
        assert kept.free_at
        assert kept.free_at == closed_at + house.plan.grace

        await eventually(lambda: "next" in house.floor.began, what="the next one's turn")
        granted = (await house.view()).working
        assert granted[0].granted_at >= kept.free_at
        house.floor.send_home("dead", "next")
        await all_over([waits])


async def test_a_retry_is_a_holder_of_its_own(house: House) -> None:
    """The run before it may still be calling; the new one waits for a slot like everybody."""
    held_back(house).seeds = QueueTerms(concurrency=1)
    async with house.open():
        dead = await house.submit("job")
        await house.at_work("job")
        await dead.terminate()

        retry = await house.submit("job", expected_run=1)
        await house.waiting(1)

        await eventually(lambda: house.floor.times_begun()["job"] == 2, what="the retry's turn")
        house.floor.send_home("job")
        await all_over([retry])


async def test_a_cold_pool_counts_the_dead_that_may_still_call(house: House) -> None:
    """A job and the pool are terminated together: nobody remembers, and the slot is kept."""
    held_back(house).seeds = QueueTerms(concurrency=1)
    house.plan = replace(QUICK, grace=timedelta(seconds=5))
    async with house.open():
        dead = await house.submit("dead")
        await house.at_work("dead")
        waits = await house.submit("next")
        await house.waiting(1)
        await dead.terminate()
        await house.pool.terminate()

        closed_at = (await dead.describe()).close_time
        assert closed_at
        free_at = closed_at + house.plan.grace

        async def is_kept_for_the_dead() -> bool:
            working = (await house.counted()).working
            return [job.free_at for job in working] == [free_at]

        await eventually(is_kept_for_the_dead, what="a slot that is kept for the dead")
        assert [job.job_id for job in (await house.counted()).waiting] == ["next"]
        house.floor.send_home("dead", "next")
        await all_over([waits])
    assert house.floor.began == ["dead", "next"]


async def test_a_job_that_does_not_answer_counts_as_a_holder(house: House) -> None:
    """Until it answers: it may be at work."""
    held_back(house).seeds = QueueTerms(concurrency=1)
    elsewhere = House(client=house.client, floor=house.floor, task_queue="elsewhere")
    async with house.open():
        silent = await elsewhere.submit("silent")
        await house.pool.terminate()
        view = await house.counted()
        assert [(job.job_id, job.is_silent) for job in view.working] == [("silent", True)]
        waits = await house.submit("waits")
        await house.waiting(1)

        async with elsewhere.serving():
            await house.at_work("silent")  # it has said that it holds nothing, and was first

            house.floor.send_home("waits", "silent")
            await all_over([waits, silent])
    assert house.floor.began == ["silent", "waits"]


async def test_a_pool_that_was_reset_asks_first(house: House) -> None:
    """An operator's reset takes its memory of what happened since; the jobs have theirs."""
    async with house.open():
        jobs = await submit_all(house)
        await begun(house, 6)
        await _reset(house.client)

        await all_over(jobs)
        await eventually(lambda: _nobody_works(house), what="an empty floor")
        await house.replayed()

    assert house.floor.most == 3
    assert len(house.floor.times_begun()) == JOBS


async def test_a_job_that_was_reset_asks_again(house: House) -> None:
    """What it held is somebody else's by now; it must not work without a slot."""
    held_back(house).seeds = QueueTerms(concurrency=1)
    async with house.open():
        job = await house.submit("job")
        await house.at_work("job")
        house.floor.send_home("job")
        await all_over([job])
        other = await house.submit("other")
        await house.at_work("other")

        await _reset(house.client, "job")

        await house.waiting(1)
        assert house.floor.at_work == ["other"]
        house.floor.send_home("other")
        await all_over([other, house.client.get_workflow_handle("job")])
    assert house.floor.most == 1


async def test_a_pool_that_was_cancelled_is_made_anew(house: House) -> None:
    """A worker looks after it."""
    async with house.open():
        first = (await house.pool.describe()).run_id
        await house.pool.cancel()
        with pytest.raises(WorkflowFailureError):
            await house.client.get_workflow_handle(SLOT_POOL_ID, run_id=first).result()

        await house.counted()

        assert (await house.pool.describe()).run_id != first


async def _reset(client: Client, workflow_id: str = SLOT_POOL_ID) -> None:
    """Send a workflow back to its first task, as `temporal workflow reset` does."""
    handle = client.get_workflow_handle(workflow_id)
    history = await handle.fetch_history()
    first_task = next(
        event.event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    )
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=history.run_id),
            reason="a test",
            workflow_task_finish_event_id=first_task,
            request_id=f"reset-{workflow_id}",
        )
    )


async def _nobody_works(house: House) -> bool:
    view = await house.view()
    return not view.working and not view.is_counting
