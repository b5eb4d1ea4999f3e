"""What Temporal knows of the jobs that need slots, for a pool that must find out who holds one.

Jobs are named by their workflow type; this room does not know their code.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain.admission import SlotClaim, SlotQuestion
from darkroom.domain.job import JobKind, OwnerId
from darkroom.domain.names import OWNER_ATTRIBUTE, SLOT
from darkroom.domain.ports import JobRun

NEEDS_SLOT = f"WorkflowType = '{JobKind.IMAGE_GENERATION}'"
RUNNING = f"{NEEDS_SLOT} AND ExecutionStatus = 'Running'"
ENDED = f"{NEEDS_SLOT} AND ExecutionStatus IN ('Terminated', 'TimedOut')"

_OWNER = SearchAttributeKey.for_keyword(OWNER_ATTRIBUTE)

# A worker that was killed keeps its jobs' queries to itself for the sticky queue's timeout, 1 s.
ANSWER_WITHIN = timedelta(seconds=4)


class TemporalJobRuns:
    """The port `JobRuns` over one namespace."""

    def __init__(self, client: Client) -> None:
        """Take the way to Temporal."""
        self._client = client

    async def running(self) -> tuple[JobRun, ...]:
        """List open runs; one that began within the last second may be missing."""
        return tuple([_job_run(one) async for one in self._listed(RUNNING)])

    async def ended_since(self, moment: datetime) -> tuple[JobRun, ...]:
        """List runs that were ended from outside: terminated, or timed out by Temporal."""
        wanted = f"{ENDED} AND CloseTime >= '{moment.isoformat()}'"
        return tuple([_job_run(one) async for one in self._listed(wanted)])

    async def run_of(self, workflow_id: str, *, run_id: str | None = None) -> JobRun | None:
        """Find a run, by default the job's latest; None when Temporal has forgotten it."""
        try:
            described = await self._client.get_workflow_handle(
                workflow_id, run_id=run_id
            ).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        first_run_id = described.raw_description.workflow_execution_info.first_run_id
        return _job_run(described, first_run_id=first_run_id)

    async def slot_claim(self, run: JobRun) -> SlotClaim | None:
        """Ask a run, open or not, what it holds or waits for; None: it does not answer."""
        handle = self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
        try:
            return await handle.query(  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's overloads has an open type
                SLOT, SlotQuestion(), result_type=SlotClaim, rpc_timeout=ANSWER_WITHIN
            )
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None

    async def is_alone(self, workflow_id: str, run_id: str, *, since: datetime) -> bool:
        """Say whether no other run of a workflow was open at or after a moment."""
        lately = f"(ExecutionStatus = 'Running' OR CloseTime >= '{since.isoformat()}')"
        runs = self._listed(f"WorkflowId = '{workflow_id}' AND {lately}")
        return not [run async for run in runs if run.run_id != run_id]

    def _listed(self, wanted: str) -> AsyncIterator[WorkflowExecution]:
        return self._client.list_workflows(wanted)


def _job_run(execution: WorkflowExecution, *, first_run_id: str | None = None) -> JobRun:
    return JobRun(
        workflow_id=execution.id,
        run_id=execution.run_id,
        first_run_id=first_run_id,
        owner=OwnerId(execution.typed_search_attributes.get(_OWNER) or ""),
        started_at=execution.start_time,
        closed_at=execution.close_time,
    )
