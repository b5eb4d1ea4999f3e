"""What the gateway asks of Temporal: start a job, cancel it, describe it.

The only place that knows the workflows. An RPC that fails for another reason than the ones
named here leaves as `RPCError`, which the door answers with 503.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import (
    Priority,
    QueryRejectCondition,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain import names
from darkroom.domain.checkpoint import DescribeQuestion, LiveJob
from darkroom.domain.events import JobResult
from darkroom.domain.job import TEMPORAL_PRIORITY_KEYS, JobId, JobStart
from darkroom.domain.lifecycle import JobState
from darkroom.domain.stages import Stage
from workflows.image_job import ImageJobWorkflow
from workflows.options import WORKFLOW_TASK_TIMEOUT

ANSWER_WITHIN = timedelta(milliseconds=300)  # durability.md rule 8
RPC_WITHIN = timedelta(seconds=5)
SUMMARY_LENGTH = 200

# What the server says of a query that no worker answers, or that it does not hold any more.
_SILENCE = frozenset({RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What Temporal remembers of a job's start, with or without a worker."""

    start: JobStart
    digest: str | None


class AlreadyStarted(Exception):
    """A job of this id was started before."""


class JobCommands:
    """Speaks to the workflows of jobs; a job's id is its workflow's id."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start_job(self, start: JobStart, *, digest: str) -> None:
        """Start a job's workflow; once this returns, the job cannot be lost.

        Raises:
            AlreadyStarted: the id is taken, now or within Temporal's memory.
        """
        request = start.request
        try:
            await self._client.start_workflow(
                ImageJobWorkflow.run,
                start,
                id=start.job_id,
                task_queue=names.TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                priority=Priority(priority_key=TEMPORAL_PRIORITY_KEYS[request.priority]),
                memo={names.REQUEST_DIGEST_MEMO: digest},
                search_attributes=_search_attributes(start),
                static_summary=_summary(start),
                static_details=_details(start),
                rpc_timeout=RPC_WITHIN,
            )
        except WorkflowAlreadyStartedError as taken:
            raise AlreadyStarted(start.job_id) from taken

    async def cancel_job(self, job_id: JobId) -> bool:
        """Ask a job to stop, as `temporal workflow cancel` does; False if it is over."""
        try:
            await self._workflow(job_id).cancel(rpc_timeout=RPC_WITHIN)
        except RPCError as refused:
            if refused.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
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


def _search_attributes(start: JobStart) -> TypedSearchAttributes:
    request = start.request
    words = {
        names.STATUS_ATTRIBUTE: JobState.PENDING,
        names.STAGE_ATTRIBUTE: Stage.ANALYZE,
        names.KIND_ATTRIBUTE: request.kind,
        names.OWNER_ATTRIBUTE: start.owner,
        names.PRIORITY_ATTRIBUTE: request.priority,
    }
    pairs: list[SearchAttributePair[str] | SearchAttributePair[list[str]]] = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), str(word))
        for name, word in words.items()
    ]
    if request.labels:
        labels = [f"{key}:{value}" for key, value in request.labels.items()]
        key = SearchAttributeKey.for_keyword_list(names.LABELS_ATTRIBUTE)
        pairs.append(SearchAttributePair(key, labels))
    return TypedSearchAttributes(pairs)


def _summary(start: JobStart) -> str:
    """Say in one line what an operator's list shows."""
    request = start.request
    pictures = _counted(request.picture_count, "picture")
    line = f"{pictures} for {start.owner}: {request.prompt.template}"
    return " ".join(line.split())[:SUMMARY_LENGTH]


def _details(start: JobStart) -> str:
    """Say in Markdown what an operator wants to know at a glance."""
    request, image = start.request, start.request.image
    chosen = ", ".join(f"{one.name} ({len(one.options)})" for one in request.dimensions)
    lines = [
        f"**{_counted(request.picture_count, 'picture')}**, {request.priority} priority",
        f"- owner: `{start.owner}`",
        f"- chosen from: {chosen or 'combinations the caller named'}",
        f"- drawn by: {image.provider} {image.model}, {image.size}, {image.aspect_ratio}",
        f"- estimated: {start.plans.estimated_micros / 1_000_000:.4f} USD",
        *(f"- label {key}: {value}" for key, value in request.labels.items()),
    ]
    return "\n".join(lines)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
