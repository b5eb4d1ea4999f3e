"""Every worker makes the schedules known at its start, on a real Temporal server."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleOverlapPolicy,
)
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.dead_letters import EscalationActivities
from darkroom.domain.escalation import Escalated, Ladder
from darkroom.domain.names import ESCALATE_DEAD_LETTERS, TASK_QUEUE
from darkroom.runtime.notifiers import LogOnlyNotifier
from darkroom.runtime.schedules import Chore, ensure_schedules
from darkroom.runtime.temporal import connect
from tests.support.databases import memory_letters
from tests.support.fakes import MemoryState
from tests.support.waiting import eventually
from tests.support.workers import STRICT
from workflows.schedules import EscalateWorkflow

pytest_plugins = ["tests.support.gateways"]

HOUR = timedelta(hours=1)
ESCALATE = Chore(
    workflow=ESCALATE_DEAD_LETTERS,
    question=Ladder(rungs=(HOUR,)),
    every=HOUR,
    says="tell operators",
)
NAME = "escalate-dead-letters"


@pytest.fixture
async def temporal(temporal_address: str) -> AsyncGenerator[Client]:
    """A client of a server without our schedule."""
    client = await connect(address=temporal_address, namespace="default")
    yield client
    await client.get_schedule_handle(NAME).delete()


async def listed(client: Client) -> list[str]:
    """List the schedules as `temporal schedule list` does."""
    return [schedule.id async for schedule in await client.list_schedules()]


async def ladder_of(client: Client) -> Ladder:
    """Read what the schedule will ask of its workflow."""
    description = await client.get_schedule_handle(NAME).describe()
    action = description.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    (ladder,) = await client.data_converter.decode(action.args, [Ladder])
    return ladder


async def test_workers_that_start_at_once_make_one_schedule(temporal: Client) -> None:
    """Whoever is first makes it, and the others agree."""
    await asyncio.gather(*(ensure_schedules(temporal, [ESCALATE]) for _ in range(4)))

    names = await eventually(lambda: listed(temporal), what="the schedule in the list")
    assert names == [NAME]
    schedule = (await temporal.get_schedule_handle(NAME).describe()).schedule
    assert schedule.spec.intervals[0].every == HOUR
    assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert not schedule.state.paused


async def test_restart_with_other_settings_changes_the_schedule(temporal: Client) -> None:
    """What the environment says now is what happens."""
    await ensure_schedules(temporal, [ESCALATE])
    sooner = Chore(
        workflow=ESCALATE.workflow,
        question=Ladder(rungs=(2 * HOUR,)),
        every=timedelta(minutes=5),
        says=ESCALATE.says,
    )

    await ensure_schedules(temporal, [sooner])

    schedule = (await temporal.get_schedule_handle(NAME).describe()).schedule
    assert schedule.spec.intervals[0].every == timedelta(minutes=5)
    assert await ladder_of(temporal) == Ladder(rungs=(2 * HOUR,))


async def test_restart_leaves_an_operators_pause_alone(temporal: Client) -> None:
    """Whoever paused a schedule finds it paused after any restart, with their words."""
    await ensure_schedules(temporal, [ESCALATE])
    await temporal.get_schedule_handle(NAME).pause(note="moving house")

    await ensure_schedules(temporal, [ESCALATE])

    state = (await temporal.get_schedule_handle(NAME).describe()).schedule.state
    assert (state.paused, state.note) == (True, "moving house")


async def test_schedule_starts_a_workflow_that_is_served(temporal: Client) -> None:
    """Type, task queue and input fit what is served."""
    letters = memory_letters(MemoryState())
    activities = [EscalationActivities(letters, LogOnlyNotifier()).escalate]
    await ensure_schedules(temporal, [ESCALATE])
    handle = temporal.get_schedule_handle(NAME)

    async def finished() -> str | None:
        for action in (await handle.describe()).info.recent_actions:
            started = action.action
            assert isinstance(started, ScheduleActionExecutionStartWorkflow)
            return started.workflow_id
        return None

    async with Worker(
        temporal,
        task_queue=TASK_QUEUE,
        workflows=[EscalateWorkflow],
        activities=activities,
        workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
    ):
        await handle.trigger()
        workflow_id = await eventually(finished, what="the chore's start")
        assert workflow_id
        assert workflow_id.startswith(f"{NAME}-")
        chore = temporal.get_workflow_handle(workflow_id, result_type=Escalated)
        assert await chore.result() == Escalated(told=0, is_done=True)
