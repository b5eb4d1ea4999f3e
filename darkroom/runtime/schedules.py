"""Chores that Temporal starts by itself, made known by every worker at its start."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain.names import TASK_QUEUE

log = structlog.get_logger()

# A run that was missed is made good by the next one: each looks at all there is. So only
# what a restart of Temporal swallowed is caught up; the server takes no less than 10 s.
CATCH_UP = timedelta(seconds=10)

# A cluster that has no schedules, or does not let us make them: jobs are served all the same.
REFUSED = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """A workflow that is started again and again, never beside itself."""

    workflow: str  # its type
    question: object  # its input
    every: timedelta
    says: str  # what operators read in `temporal schedule describe` and `workflow list`

    @property
    def schedule_id(self) -> str:
        """Name the schedule, and begin the ids of the workflows it starts."""
        return self.workflow.replace("_", "-")


async def ensure_schedules(client: Client, chores: Iterable[Chore]) -> None:
    """Make each chore's schedule, or bring it up to date; any number of workers may at once.

    An operator's pause stays, and so does their note. A schedule that they deleted comes back.

    Raises:
        RPCError: the server could not be asked.
    """
    for chore in chores:
        try:
            await _ensure(client, chore)
        except RPCError as error:
            if error.status not in REFUSED:
                raise
            log.warning("schedule_refused", schedule=chore.schedule_id, error=str(error))


async def _ensure(client: Client, chore: Chore) -> None:
    try:
        await client.create_schedule(chore.schedule_id, _schedule(chore, _unpaused(chore)))
    except ScheduleAlreadyRunningError:

        def update(known: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(_schedule(chore, known.description.schedule.state))

        await client.get_schedule_handle(chore.schedule_id).update(update)


def _unpaused(chore: Chore) -> ScheduleState:
    return ScheduleState(note=chore.says)


def _schedule(chore: Chore, state: ScheduleState) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            chore.workflow,
            chore.question,
            id=chore.schedule_id,
            task_queue=TASK_QUEUE,
            static_summary=chore.says,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=chore.every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        state=state,
    )
