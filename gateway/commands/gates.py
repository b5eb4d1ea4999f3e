"""What operators ask and tell the gates of the providers; a gate that is not there is made."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import QueryRejectCondition, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain import names
from darkroom.domain.breakers import Gate, GateKey
from darkroom.domain.parking import CloseOrder, GateQuestion, GateStart, GateView, OpenOrder
from gateway.commands.hearing import HEARD_WITHIN, heard
from gateway.commands.jobs import ANSWER_WITHIN
from workflows.options import WORKFLOW_TASK_TIMEOUT
from workflows.provider_gate import ProviderGateWorkflow


class GateCommands:
    """Speaks to gates."""

    def __init__(self, client: Client, *, within: timedelta = HEARD_WITHIN) -> None:
        self._client = client
        self._within = within

    async def view(self, key: GateKey) -> GateView | None:
        """Ask who waits at a gate; None if it does not answer in time.

        A gate without a workflow has nobody waiting.
        """
        handle = self._client.get_workflow_handle_for(
            ProviderGateWorkflow.run, names.gate_id(key.provider, key.model)
        )
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                return await handle.query(
                    ProviderGateWorkflow.describe,
                    GateQuestion(),
                    reject_condition=QueryRejectCondition.NOT_OPEN,
                    rpc_timeout=ANSWER_WITHIN,
                )
        except WorkflowQueryRejectedError:
            return _deserted(key)
        except RPCError as silence:
            return _deserted(key) if silence.status is RPCStatusCode.NOT_FOUND else None
        except (TimeoutError, WorkflowQueryFailedError):
            return None

    async def open(self, key: GateKey, order: OpenOrder) -> Gate:
        """Hold all calls back until somebody closes the gate.

        Raises:
            OrderUnheard, OrderRefused: as they say.
            RPCError: Temporal does not answer.
        """
        return await self._told(key, names.OPEN, order)

    async def close(self, key: GateKey, order: CloseOrder) -> Gate:
        """Let one call find out now, and all of them if it succeeds.

        Raises:
            OrderUnheard, OrderRefused: as they say.
            RPCError: Temporal does not answer.
        """
        return await self._told(key, names.CLOSE, order)

    async def _told(self, key: GateKey, name: str, order: Any) -> Gate:
        gate_id = names.gate_id(key.provider, key.model)
        start = WithStartWorkflowOperation(
            ProviderGateWorkflow.run,
            GateStart(key=key),
            id=gate_id,
            task_queue=names.TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
        )
        telling = self._client.execute_update_with_start_workflow(  # pyright: ignore[reportUnknownMemberType] -- one of the SDK's overloads has an open type
            name, order, start_workflow_operation=start, result_type=Gate, rpc_timeout=self._within
        )
        return await heard(telling, who=gate_id, within=self._within)


def _deserted(key: GateKey) -> GateView:
    return GateView(gate=Gate(key=key), parked_count=0, parked=())
