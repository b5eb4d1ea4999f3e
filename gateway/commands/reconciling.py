"""Start a reconciliation and hear its report."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from darkroom.domain import names
from darkroom.domain.drift import RECONCILE, ReconcileOrder, ReconcileReport
from workflows.options import WORKFLOW_TASK_TIMEOUT
from workflows.reconcile import ReconcileWorkflow

REPORTED_WITHIN = timedelta(seconds=30)
RPC_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciling:
    """A reconciliation that was begun; without a report it is still under way."""

    workflow_id: str
    report: ReconcileReport | None = None


class ReconcileCommands:
    """One on demand at a time, and one dry run beside it: whoever asks meanwhile joins it."""

    def __init__(self, client: Client, *, within: timedelta = REPORTED_WITHIN) -> None:
        self._client = client
        self._within = within

    async def reconcile(self, order: ReconcileOrder) -> Reconciling:
        """Begin one, or join the one that runs, and wait for its report for a while.

        Raises:
            RPCError: Temporal does not answer.
            WorkflowFailureError: it was ended from outside before it had a report.
        """
        handle = await self._client.start_workflow(
            ReconcileWorkflow.run,
            order,
            id=f"{RECONCILE}-dry-run" if order.dry_run else f"{RECONCILE}-on-demand",
            task_queue=names.TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            static_summary=f"asked for by {order.by}",
            rpc_timeout=RPC_WITHIN,
        )
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                return Reconciling(workflow_id=handle.id, report=await handle.result())
        except TimeoutError:
            return Reconciling(workflow_id=handle.id)
