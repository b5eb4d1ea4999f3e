"""A word to the workflow of a gate, which is made when it is not there."""

from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from darkroom.domain.breakers import GateKey
from darkroom.domain.names import LOOK_SIGNAL, PARK_SIGNAL, PROVIDER_GATE, TASK_QUEUE, gate_id
from darkroom.domain.parking import GateStart, ParkOrder

log = structlog.get_logger()


class TemporalGateSignals:
    """The port `GateSignals`, over Temporal.

    Args:
        client: connected to where the jobs run.
        task_timeout: of the gates' workflows, as of all others.
        task_queue: where they are served.
    """

    def __init__(
        self, client: Client, *, task_timeout: timedelta, task_queue: str = TASK_QUEUE
    ) -> None:
        self._client = client
        self._task_timeout = task_timeout
        self._task_queue = task_queue

    async def park(self, order: ParkOrder) -> None:
        """Have a job woken when its calls may pass; repeated: in place.

        Raises:
            RPCError: Temporal did not take it.
        """
        await self._tell(order.key, PARK_SIGNAL, [order])

    async def watch(self, key: GateKey) -> None:
        """Have somebody look after a gate that has opened; harmless when somebody does."""
        try:
            await self._tell(key, LOOK_SIGNAL, [])
        except RPCError as error:
            # The row holds calls back all the same, and the first job to park starts the gate.
            log.warning("gate_unwatched", gate=str(key), error=str(error))

    async def _tell(self, key: GateKey, signal: str, words: list[ParkOrder]) -> None:
        await self._client.start_workflow(
            PROVIDER_GATE,
            GateStart(key=key),
            id=gate_id(key.provider, key.model),
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=self._task_timeout,
            start_signal=signal,
            start_signal_args=words,
            static_summary=f"gate of {key}",
        )
