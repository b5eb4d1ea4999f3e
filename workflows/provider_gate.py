"""The story of one gate: who is parked before it, when they try again, and an operator's hand.

The row in the store decides which calls pass; this wakes those that it held back. It is there
while somebody is parked or the gate is open, and ends by itself. See docs/adr/0005.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.gates import GateActivities
from darkroom.domain.breakers import Gate, GateKey, GateOpened, GateState, Hand, HandMove
from darkroom.domain.errors import IllegalTransition
from darkroom.domain.names import (
    CLOSE,
    DESCRIBE,
    GATE_OPENED_SIGNAL,
    LEAVE_SIGNAL,
    LOOK_SIGNAL,
    OPEN,
    PARK_SIGNAL,
    PROVIDER_GATE,
    gate_id,
)
from darkroom.domain.parking import (
    CloseOrder,
    GateQuestion,
    GateStart,
    GateView,
    LeaveOrder,
    OpenOrder,
    ParkOrder,
)
from darkroom.domain.release import Over, ParkedJobs, Rest, Wake
from darkroom.domain.stages import counted
from workflows.durably import steadily

# What is meant by an order or a question that was typed without any input.
_OPEN, _CLOSE, _QUESTION = OpenOrder(), CloseOrder(), GateQuestion()


@workflow.defn(name=PROVIDER_GATE)
class ProviderGateWorkflow:
    """Parking lot of one model of a provider."""

    @workflow.init
    def __init__(self, start: GateStart) -> None:
        self._key = start.key
        self._jobs = ParkedJobs(start.parked)
        self._gate: Gate | None = None  # as last read
        self._is_moved = False  # by hand, since the last look

    @workflow.run
    async def run(self, start: GateStart) -> None:
        """Wake the parked jobs when their calls may pass.

        Raises:
            ApplicationError: started under a name that nobody would find it by.
        """
        _check_name(start.key)
        while workflow.info().get_current_history_length() < start.history_events:
            gate = await self._look()
            match self._jobs.step(gate, workflow.now()):
                case Over():
                    if workflow.all_handlers_finished():
                        return
                    await workflow.wait_condition(workflow.all_handlers_finished)
                case Wake() as wake:
                    await asyncio.gather(*(self._tell(order, wake) for order in wake.orders))
                    await self._rest(Rest(until=wake.until))
                case Rest() as rest:
                    await self._rest(rest)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(replace(start, parked=self._jobs.in_line))

    @workflow.signal(name=PARK_SIGNAL)
    def park(self, order: ParkOrder | None = None) -> None:
        """Take a job in; without an order, which only a hand can type, nothing happens."""
        if order and order.workflow_id:
            self._jobs.park(order)
            self._show()

    @workflow.signal(name=LOOK_SIGNAL)
    def look(self) -> None:
        """Read the row at once: a call has just opened the gate."""
        self._is_moved = True

    @workflow.signal(name=LEAVE_SIGNAL)
    def leave(self, order: LeaveOrder | None = None) -> None:
        """Let a job go that does not wait any more."""
        if order:
            self._jobs.leave(order)
            self._show()

    @workflow.update(name=OPEN)
    async def hold_back(self, order: OpenOrder = _OPEN) -> Gate:
        """Hold all calls back until somebody closes the gate."""
        return await self._move(Hand.OPEN, by=order.by, reason=order.reason)

    @hold_back.validator
    def _may_hold_back(self, order: OpenOrder = _OPEN) -> None:
        if not order.reason.strip():
            raise ApplicationError(
                f"say why {self._key} is to be held back: everybody who waits reads it. "
                '--input \'{"reason": "..."}\'',
                type=IllegalTransition.code,
                non_retryable=True,
            )

    @workflow.update(name=CLOSE)
    async def let_through(self, order: CloseOrder = _CLOSE) -> Gate:
        """Let one call find out now, and all of them if it succeeds.

        What this run last read may be old, so the row itself refuses to close a closed gate.
        """
        gate = await self._move(Hand.CLOSE, by=order.by, reason=order.reason)
        self._jobs.start_over()
        return gate

    @workflow.query(name=DESCRIBE)
    def describe(self, question: GateQuestion = _QUESTION) -> GateView:
        """Answer where the gate stands, and who waits at it."""
        return GateView(
            gate=self._gate or Gate(key=self._key),
            parked_count=len(self._jobs),
            parked=self._jobs.in_line[: max(0, question.limit)],
        )

    async def _look(self) -> Gate:
        """Read the row, which any call may have moved."""
        self._is_moved = False
        self._gate = gate = await steadily(GateActivities.read_gate, self._key)
        self._show()
        return gate

    def _show(self) -> None:
        """Say for `temporal workflow metadata` and the Web UI how things stand."""
        if self._gate:
            workflow.set_current_details(_words(self._gate, parked_count=len(self._jobs)))

    async def _rest(self, rest: Rest) -> None:
        left = max(rest.until - workflow.now(), timedelta(0))
        try:
            await workflow.wait_condition(
                lambda: self._is_moved, timeout=left, timeout_summary="next look"
            )
        except TimeoutError:
            return

    async def _tell(self, order: ParkOrder, wake: Wake) -> None:
        """Wake a job; one that is over is forgotten, and another takes its place at once."""
        opened = GateOpened(key=self._key, is_canary=wake.is_canary)
        job = workflow.get_external_workflow_handle(order.workflow_id)
        try:
            await job.signal(GATE_OPENED_SIGNAL, opened)
        except FailureError:
            self._jobs.forget(order.workflow_id)
            self._jobs.start_over()
            self._is_moved = True

    async def _move(self, hand: Hand, *, by: str, reason: str) -> Gate:
        moved = await steadily(
            GateActivities.move_gate,
            HandMove(key=self._key, hand=hand, by=by, reason=reason, at=workflow.now()),
        )
        self._is_moved = True
        if moved.refused:
            raise ApplicationError(moved.refused, type=IllegalTransition.code, non_retryable=True)
        self._gate = moved.gate
        return moved.gate


def _check_name(key: GateKey) -> None:
    name = gate_id(key.provider, key.model)
    if workflow.info().workflow_id != name:
        raise ApplicationError(
            f"the gate of {key} is called {name}; start it under that workflow id",
            type=IllegalTransition.code,
            non_retryable=True,
        )


def _words(gate: Gate, *, parked_count: int) -> str:
    lines = [f"**{gate.state}**, {counted(parked_count, 'job')} parked"]
    if gate.failure:
        lines.append(f"- because: {gate.failure.message}")
    if gate.state is GateState.OPEN:
        until = gate.until.isoformat(timespec="seconds") if gate.until else "an operator closes it"
        lines.append(f"- until: {until}")
    return "\n".join(lines)
