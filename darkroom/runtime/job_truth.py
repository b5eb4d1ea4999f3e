"""What Temporal says of jobs, read from outside, and what is done to a run from outside.

Workflows are named by their type: this room does not know their code. An RPC that fails leaves
as Temporal's own error, so the step that asked is tried again.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
    WorkflowQueryFailedError,
)
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain import names
from darkroom.domain.admission import QueueQuestion, QueueView
from darkroom.domain.checkpoint import DescribeQuestion, LiveJob
from darkroom.domain.drift import RunStatus, RunView, lost
from darkroom.domain.errors import MESSAGE_LENGTH, Failure
from darkroom.domain.job import TEMPORAL_PRIORITY_KEYS, JobId, JobKind, JobStart
from darkroom.runtime import showing

Answer = TypeVar("Answer")

RPC_WITHIN = timedelta(seconds=5)
ANSWER_WITHIN = timedelta(seconds=5)  # a worker may have to replay the job first

STATUSES = {
    WorkflowExecutionStatus.RUNNING: RunStatus.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: RunStatus.RUNNING,
    WorkflowExecutionStatus.COMPLETED: RunStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELED,
    WorkflowExecutionStatus.TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}
RECORD_ACTIVITY = "record"
KINDS = ", ".join(f"'{kind}'" for kind in JobKind)
JOBS = f"WorkflowType IN ({KINDS})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartTerms:
    """What every run of a job is started with beside its own input."""

    task_timeout: timedelta
    task_queue: str = names.TASK_QUEUE


class TemporalJobTruth:
    """The port `JobTruth` over one namespace."""

    def __init__(self, client: Client, terms: RestartTerms) -> None:
        """Take the way to Temporal."""
        self._client = client
        self._terms = terms

    async def run_of(self, workflow_id: str) -> RunView | None:
        """Describe the latest run; None if Temporal knows none."""
        try:
            described = await self._client.get_workflow_handle(workflow_id).describe(
                rpc_timeout=RPC_WITHIN
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return _view(described)

    async def running(self) -> AsyncIterator[JobId]:
        """Name the jobs that run; one that began or ended just now may be missed."""
        async for job_id in self._listed("ExecutionStatus = 'Running'"):
            yield job_id

    async def ended_since(self, moment: datetime) -> AsyncIterator[JobId]:
        """Name the jobs of which a run was over at that moment or later, some more than once."""
        async for job_id in self._listed(f"CloseTime >= '{moment.isoformat()}'"):
            yield job_id

    async def live(self, job_id: JobId) -> LiveJob | None:
        """Ask a job's latest run what it knows; None if no worker answers."""
        return await self._answer(job_id, names.DESCRIBE, DescribeQuestion(), LiveJob)

    async def queue(self) -> QueueView | None:
        """Ask the pool who holds a slot; None if there is no pool, or no worker answers."""
        return await self._answer(names.SLOT_POOL_ID, names.QUEUE, QueueQuestion(), QueueView)

    async def start_of(self, run: RunView) -> JobStart:
        """Read with what a run was started.

        Raises:
            LookupError: the history does not begin with a start.
        """
        async for event in self._run(run).fetch_history_events(page_size=1, rpc_timeout=RPC_WITHIN):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                payloads = event.workflow_execution_started_event_attributes.input.payloads
                (start,) = await self._client.data_converter.decode(payloads, [JobStart])
                return start
        raise LookupError(f"the history of {run.workflow_id} does not begin with a start")

    async def end_of(self, run: RunView) -> Failure:
        """Read how a run that is over came to its end, in words and with its code."""
        closing = self._run(run).fetch_history_events(
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT, rpc_timeout=RPC_WITHIN
        )
        async for event in closing:
            if event.HasField("workflow_execution_failed_event_attributes"):
                return await self._failed(event)
            if event.HasField("workflow_execution_terminated_event_attributes"):
                told = event.workflow_execution_terminated_event_attributes
                reason = told.reason or "without a reason"
                return lost(f"its workflow was terminated by {told.identity}: {reason}")
        return lost(f"its workflow is {run.status} in Temporal, and wrote no end of the job")

    async def terminate(self, run: RunView, *, reason: str) -> None:
        """End a run without a word to it; harmless when it is over."""
        try:
            await self._run(run).terminate(reason=reason, rpc_timeout=RPC_WITHIN)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def restart(self, start: JobStart, *, then: str | None = None) -> bool:
        """Start one more run of a job; false if one is running already.

        What it is told then, it may hear a moment after it began.
        """
        request = start.request
        try:
            handle = await self._client.start_workflow(
                request.kind.value,
                start,
                id=start.job_id,
                task_queue=self._terms.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                task_timeout=self._terms.task_timeout,
                priority=Priority(priority_key=TEMPORAL_PRIORITY_KEYS[request.priority]),
                memo=await self._memo(start.job_id),
                search_attributes=showing.search_attributes(start),
                static_summary=showing.summary(start),
                static_details=showing.details(start),
                rpc_timeout=RPC_WITHIN,
            )
        except WorkflowAlreadyStartedError:
            return False
        if then == names.CANCEL:
            await handle.cancel(rpc_timeout=RPC_WITHIN)
        elif then is not None:
            await handle.signal(then, rpc_timeout=RPC_WITHIN)
        return True

    async def _answer(
        self, workflow_id: str, query: str, question: object, kind: type[Answer]
    ) -> Answer | None:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                return await handle.query(  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's overloads has an open type
                    query, question, result_type=kind, rpc_timeout=ANSWER_WITHIN
                )
        except (TimeoutError, RPCError, WorkflowQueryFailedError):
            return None

    async def _listed(self, wanted: str) -> AsyncIterator[JobId]:
        ours = f"{JOBS} AND TaskQueue = '{self._terms.task_queue}'"
        found = self._client.list_workflows(f"{wanted} AND {ours}", rpc_timeout=RPC_WITHIN)
        async for execution in found:
            yield JobId(execution.id)

    async def _memo(self, job_id: JobId) -> dict[str, object]:
        """Hand on what the run before remembers of the request, where there was one."""
        try:
            described = await self._client.get_workflow_handle(job_id).describe(
                rpc_timeout=RPC_WITHIN
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return {}
            raise
        return dict(await described.memo())

    async def _failed(self, event: HistoryEvent) -> Failure:
        told = event.workflow_execution_failed_event_attributes.failure
        error = await self._client.data_converter.decode_failure(told)
        code = error.type if isinstance(error, ApplicationError) else None
        words = error.message if isinstance(error, ApplicationError) else str(error)
        return lost(words[:MESSAGE_LENGTH], code=code or "workflow_lost")

    def _run(self, run: RunView) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id)


def _view(described: WorkflowExecutionDescription) -> RunView:
    raw = described.raw_description
    recording = [
        pending.attempt
        for pending in raw.pending_activities
        if pending.activity_type.name == RECORD_ACTIVITY
    ]
    status = described.status or WorkflowExecutionStatus.RUNNING
    return RunView(
        workflow_id=described.id,
        run_id=described.run_id,
        first_run_id=raw.workflow_execution_info.first_run_id,
        status=STATUSES[status],
        started_at=described.start_time,
        closed_at=described.close_time,
        task_attempt=raw.pending_workflow_task.attempt,
        record_attempt=max(recording, default=0),
    )
