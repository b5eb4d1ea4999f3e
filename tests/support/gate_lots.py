"""A gate with jobs that park before it, and the row that calls would move.

PYTEST_DONT_REWRITE: what is asserted here guards the tests themselves.
"""

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.gates import GateActivities
from darkroom.domain.breakers import Gate, GateKey, GateState
from darkroom.domain.errors import Disposition, Failure
from darkroom.domain.names import DESCRIBE, gate_id
from darkroom.domain.parking import CloseOrder, GateView, OpenOrder
from darkroom.domain.permits import PROVIDER_PARKED
from darkroom.runtime.gate_signals import TemporalGateSignals
from tests.support.builders import a_start
from tests.support.fakes import MemoryState
from tests.support.parked_jobs import ParkedJob, ParkedStart
from tests.support.passages import a_board
from tests.support.workers import STRICT, renamed
from workflows.options import WORKFLOW_TASK_TIMEOUT
from workflows.provider_gate import ProviderGateWorkflow

Parked = WorkflowHandle[ParkedJob, list[str]]

KEY = GateKey(provider="nanobanana", model="nano-banana-2")
GATE = gate_id(KEY.provider, KEY.model)
CLOSED = Gate(key=KEY)
HELD_BY_HAND = Gate(key=KEY, state=GateState.OPEN)
PARKED = Failure(
    code=PROVIDER_PARKED,
    message="nanobanana is away",
    disposition=Disposition.WAIT,
    provider=KEY.provider,
    model=KEY.model,
)


@dataclass(kw_only=True)
class Lot:
    """A worker that serves gates and stand-in jobs, and the row that calls would move."""

    env: WorkflowEnvironment
    state: MemoryState = field(default_factory=MemoryState)
    task_queue: str = field(default_factory=lambda: f"test-{uuid.uuid4()}")

    @property
    def client(self) -> Client:
        """A client of the server."""
        return self.env.client

    @property
    def signals(self) -> TemporalGateSignals:
        """The way to a gate's workflow."""
        return TemporalGateSignals(
            self.client, task_timeout=WORKFLOW_TASK_TIMEOUT, task_queue=self.task_queue
        )

    @property
    def gate(self) -> WorkflowHandle[Any, Any]:
        """The gate's workflow."""
        return self.client.get_workflow_handle(GATE)

    def row(self) -> Gate:
        """Read the row."""
        return self.state.doorway.gate(KEY)

    def put(self, gate: Gate) -> None:
        """Move the row, as a call would."""
        self.state.doorway.gates[KEY] = gate

    async def cooling(self, seconds: float) -> Gate:
        """Open the gate for a while."""
        now = await self.env.get_current_time()
        gate = Gate(key=KEY, state=GateState.OPEN, until=now + timedelta(seconds=seconds))
        self.put(gate)
        return gate

    async def half_open(self) -> None:
        """Let a canary through, as its call would."""
        lease = await self.env.get_current_time() + timedelta(seconds=45)
        self.put(Gate(key=KEY, state=GateState.HALF_OPEN, canary="a", lease_until=lease))

    async def park(self, parts: int = 1, failure: Failure = PARKED) -> Parked:
        """Start a job whose parts park."""
        start = renamed(a_start())
        return await self.client.start_workflow(
            ParkedJob.run,
            ParkedStart(start=start, parts=parts, failure=failure),
            id=start.job_id,
            task_queue=self.task_queue,
        )

    async def view(self) -> GateView:
        """Ask the gate how things stand."""
        return await self.gate.query(DESCRIBE, result_type=GateView)

    async def parked(self, count: int) -> bool:
        """Say whether so many jobs are parked; a gate may not be there yet."""
        try:
            return (await self.view()).parked_count == count
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise

    async def move(self, update: str, *order: OpenOrder | CloseOrder) -> Gate:
        """Move the gate by hand, by the name that operators type."""
        return await self.gate.execute_update(update, args=order, result_type=Gate)  # pyright: ignore[reportUnknownMemberType] -- the SDK leaves one generic open

    async def is_over(self) -> bool:
        """Say whether the gate's workflow has ended by itself."""
        status = (await self.gate.describe()).status
        assert status in {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED}
        return status is WorkflowExecutionStatus.COMPLETED


@asynccontextmanager
async def serving(lot: Lot) -> AsyncGenerator[None]:
    """Serve until the block ends."""
    gates = GateActivities(board=a_board(lot.state), signals=lot.signals)
    worker = Worker(
        lot.client,
        task_queue=lot.task_queue,
        workflows=[ProviderGateWorkflow, ParkedJob],
        activities=[gates.read_gate, gates.move_gate, gates.park],
        workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
    )
    async with worker:
        yield
