"""Where the parts of a job wait whose calls a provider's gate holds back.

The gate hears of the job once, however many of its parts wait; it answers with `gate_opened`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.gates import GateActivities
from darkroom.domain.breakers import GateKey, GateOpened
from darkroom.domain.errors import Failure
from darkroom.domain.job import JobStart
from darkroom.domain.names import LEAVE_SIGNAL, gate_id
from darkroom.domain.parking import LeaveOrder, ParkOrder
from darkroom.domain.permits import PROVIDER_PARKED
from workflows.durably import steadily

# A gate's workflow that an operator ended has forgotten whom it was to wake. Doubles each time,
# because a job may be parked for weeks and its history is finite.
PARK_AGAIN = timedelta(minutes=5)
PARK_AGAIN_AT_MOST = timedelta(hours=1)
# A provider that needs an operator without any gate knowing of it is asked again so often.
WITHOUT_GATE = timedelta(minutes=1)


@dataclass(eq=False, slots=True)
class _Ticket:
    """One waiting part."""

    may_go: bool = False


@dataclass(slots=True)
class _Lot:
    """The parts that wait before one gate, in the order in which they came."""

    tickets: list[_Ticket] = field(default_factory=list[_Ticket])
    is_announced: bool = False


class Parking:
    """Parts of one run, by gate."""

    def __init__(self, start: JobStart) -> None:
        self._start = start
        self._lots: dict[GateKey, _Lot] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    async def park(
        self,
        part: str,
        failure: Failure,
        *,
        until: Callable[[], bool] = lambda: False,
        admitted_at: datetime | None = None,
    ) -> None:
        """Wait until the gate lets this part try again, or until `until` holds."""
        if failure.code != PROVIDER_PARKED or not (failure.provider and failure.model):
            await _within(WITHOUT_GATE, until)
            return
        order = self._order(
            GateKey(provider=failure.provider, model=failure.model), part, admitted_at
        )
        lot = self._lots.setdefault(order.key, _Lot())
        ticket = _Ticket()
        lot.tickets.append(ticket)
        patience = PARK_AGAIN
        try:
            while not (ticket.may_go or until()):
                await self._announce(lot, order)
                if not await _within(patience, lambda: ticket.may_go or until()):
                    lot.is_announced = False
                    patience = min(2 * patience, PARK_AGAIN_AT_MOST)
        except asyncio.CancelledError:
            self._leave(lot, ticket, order)
            raise
        self._leave(lot, ticket, order)

    def opened(self, told: GateOpened) -> None:
        """Let one part go if the job is the canary, else all of that gate."""
        lot = self._lots.get(told.key, _Lot())
        waiting = [ticket for ticket in lot.tickets if not ticket.may_go]
        if not told.is_canary:
            lot.is_announced = False  # the gate has forgotten the job
        for ticket in waiting[:1] if told.is_canary else waiting:
            ticket.may_go = True

    async def _announce(self, lot: _Lot, order: ParkOrder) -> None:
        if not lot.is_announced:
            lot.is_announced = True
            await steadily(GateActivities.park, order)

    def _leave(self, lot: _Lot, ticket: _Ticket, order: ParkOrder) -> None:
        """Take a part out; the last one that gives up tells the gate, without waiting."""
        lot.tickets.remove(ticket)
        if lot.is_announced and not ticket.may_go and not lot.tickets:
            lot.is_announced = False
            farewell = asyncio.create_task(_say_farewell(order))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)

    def _order(self, key: GateKey, part: str, admitted_at: datetime | None) -> ParkOrder:
        info = workflow.info()
        return ParkOrder(
            key=key,
            workflow_id=info.workflow_id,
            first_run_id=info.first_execution_run_id,
            part=part,
            parked_at=workflow.now(),
            admitted_at=admitted_at,
            priority=self._start.request.priority,
        )


async def _within(limit: timedelta, condition: Callable[[], bool]) -> bool:
    """Wait for a condition, but not for ever; false when the time is up."""
    try:
        await workflow.wait_condition(condition, timeout=limit, timeout_summary="parked")
    except TimeoutError:
        return False
    return True


async def _say_farewell(order: ParkOrder) -> None:
    gate = workflow.get_external_workflow_handle(gate_id(order.key.provider, order.key.model))
    left = LeaveOrder(workflow_id=order.workflow_id, first_run_id=order.first_run_id)
    try:
        await gate.signal(LEAVE_SIGNAL, left)
    except FailureError:
        return  # the gate is over, or was ended: nobody is listed there
