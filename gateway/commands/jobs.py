"""Start jobs and ask what they are; what an open job is told stands in orders.py."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import (
    Priority,
    QueryRejectCondition,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain import names
from darkroom.domain.checkpoint import DescribeQuestion, LiveJob
from darkroom.domain.events import JobResult
from darkroom.domain.job import TEMPORAL_PRIORITY_KEYS, JobId, JobStart
from darkroom.runtime import showing
from workflows.image_job import ImageJobWorkflow
from workflows.options import WORKFLOW_TASK_TIMEOUT

ANSWER_WITHIN = timedelta(milliseconds=300)  # durability.md rule 8
RPC_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What Temporal remembers of a job's start, with or without a worker."""

    start: JobStart
    digest: str | None


class AlreadyStarted(Exception):
    """A submitted job was started before; a run to retry has not ended, or another came first."""


class JobCommands:
    """Speaks to the workflows of jobs; a job's id is its workflow's id."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start_job(self, start: JobStart, *, digest: str) -> None:
        """Start one run of a job; once this returns, it cannot be lost.

        Args:
            start: of a submitted job, or with the run that it follows, of a retry.
            digest: of the request as it was first submitted, for repeats of that.

        Raises:
            AlreadyStarted: a submitted job's id is taken, now or within Temporal's memory; or
                a run of this job has not ended yet.
        """
        is_first = start.expected_run == 0
        again = WorkflowIDReusePolicy
        try:
            await self._client.start_workflow(
                ImageJobWorkflow.run,
                start,
                id=start.job_id,
                task_queue=names.TASK_QUEUE,
                id_reuse_policy=again.REJECT_DUPLICATE if is_first else again.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                priority=Priority(priority_key=TEMPORAL_PRIORITY_KEYS[start.request.priority]),
                memo={names.REQUEST_DIGEST_MEMO: digest},
                search_attributes=showing.search_attributes(start),
                static_summary=showing.summary(start),
                static_details=showing.details(start),
                rpc_timeout=RPC_WITHIN,
            )
        except WorkflowAlreadyStartedError as taken:
            raise AlreadyStarted(start.job_id) from taken

    async def ended(self, job_id: JobId, *, within: timedelta) -> bool:
        """Wait for a job's latest run to be over; False when it still is not."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._workflow(job_id).result(rpc_timeout=within)
        except (TimeoutError, RPCError):
            return False
        except WorkflowFailureError:
            return True
        return True

    async def live(self, job_id: JobId, *, within: timedelta = ANSWER_WITHIN) -> LiveJob | None:
        """Ask a running workflow what it is; None if there is none or it does not answer."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await self._workflow(job_id).query(
                    ImageJobWorkflow.describe,
                    DescribeQuestion(),
                    reject_condition=QueryRejectCondition.NOT_OPEN,
                    rpc_timeout=within,
                )
        except (TimeoutError, RPCError, WorkflowQueryRejectedError, WorkflowQueryFailedError):
            return None

    async def submitted(self, job_id: JobId) -> Submitted | None:
        """Read how a job was started from its history, which needs no worker.

        Raises:
            RPCError: Temporal does not answer.
        """
        handle = self._workflow(job_id)
        try:
            memo = await (await handle.describe(rpc_timeout=RPC_WITHIN)).memo()
            start = await self._start_of(handle)
        except RPCError as refused:
            if refused.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        digest = memo.get(names.REQUEST_DIGEST_MEMO)
        return Submitted(start=start, digest=digest if isinstance(digest, str) else None)

    async def check(self) -> None:
        """Ask whether Temporal is there.

        Raises:
            RPCError: it is not.
        """
        await self._client.service_client.check_health(timeout=RPC_WITHIN)

    async def _start_of(
        self, handle: WorkflowHandle[ImageJobWorkflow, JobResult | None]
    ) -> JobStart:
        async for event in handle.fetch_history_events(page_size=1, rpc_timeout=RPC_WITHIN):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                payloads = event.workflow_execution_started_event_attributes.input.payloads
                (start,) = await self._client.data_converter.decode(payloads, [JobStart])
                return start
        raise LookupError(f"the history of {handle.id} does not begin with a start")

    def _workflow(self, job_id: JobId) -> WorkflowHandle[ImageJobWorkflow, JobResult | None]:
        return self._client.get_workflow_handle_for(ImageJobWorkflow.run, job_id)
