"""A job that only parks: a stand-in for the real one at a gate."""

import asyncio
from dataclasses import dataclass

from temporalio import workflow

from darkroom.domain.breakers import GateOpened
from darkroom.domain.errors import Failure
from darkroom.domain.job import JobStart
from darkroom.domain.names import GATE_OPENED_SIGNAL
from workflows.parking import Parking


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedStart:
    """Which job, how many of its parts park, and why."""

    start: JobStart
    parts: int
    failure: Failure


@workflow.defn(name="parked_job")
class ParkedJob:
    """Parks its parts side by side, and ends when all may go or it is told to stop."""

    @workflow.init
    def __init__(self, order: ParkedStart) -> None:
        self._parking = Parking(order.start)
        self._gone: list[str] = []
        self._told: list[bool] = []
        self._is_stopping = False

    @workflow.run
    async def run(self, order: ParkedStart) -> list[str]:
        """Answer the parts that could go, in the order in which they went."""
        parts = [f"{number:04}" for number in range(1, order.parts + 1)]
        await asyncio.gather(*(self._park(part, order.failure) for part in parts))
        return self._gone

    @workflow.signal(name=GATE_OPENED_SIGNAL)
    def gate_opened(self, told: GateOpened) -> None:
        """Let parts go."""
        self._told.append(told.is_canary)
        self._parking.opened(told)

    @workflow.signal
    def stop(self) -> None:
        """Wait for nothing any more."""
        self._is_stopping = True

    @workflow.query
    def gone(self) -> list[str]:
        """Answer the parts that went so far."""
        return self._gone

    @workflow.query
    def told(self) -> list[bool]:
        """Answer how often the gate spoke, and whether it asked for a canary."""
        return self._told

    async def _park(self, part: str, failure: Failure) -> None:
        await self._parking.park(part, failure, until=lambda: self._is_stopping)
        if not self._is_stopping:
            self._gone.append(part)
