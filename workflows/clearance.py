"""May a part of the job spend money now? Pause, stop and slot are asked here, and only here.

A part asks before each paid call, where it has nothing in flight. The slot goes back to the
pool when the job can do nothing with it: it is paused, or all its parts wait for something
long. It is asked for again by whichever part may go on first.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from temporalio import workflow

from darkroom.domain.lifecycle import WaitingOn
from workflows.slot_lease import SlotLease
from workflows.standstill import Standstill, waiting_on

WAITS_FOR_SLOT = "as many jobs are at work as the queue allows; this one is in line"


class Stopping(Exception):
    """The job was told to end once what is in flight is collected."""


class Clearance:
    """The one place that knows whether the job is paused or stopping, and what is in flight."""

    def __init__(self, lease: SlotLease, standstill: Standstill) -> None:
        self._lease = lease
        self._standstill = standstill
        self._in_flight = 0
        self._interruptible: set[asyncio.Task[Any]] = set()
        self.is_paused = False
        self.is_stopping = False

    @property
    def is_halted(self) -> bool:
        """Say whether nothing may be bought because somebody said so."""
        return self.is_paused or self.is_stopping

    @property
    def admitted_at(self) -> datetime | None:
        """When the job got the slot it holds."""
        return self._lease.granted_at

    async def granted(self, part: str | None = None) -> None:
        """Wait until this part, or the job as a whole, may make a paid call.

        Raises:
            Stopping: it must not make any more.
        """
        while True:
            await self.unpaused()
            if self._lease.is_held:
                return
            await self._acquire(part)

    async def unpaused(self) -> None:
        """Wait until nobody wants the job to pause.

        Raises:
            Stopping: it is to end.
        """
        if self.is_paused:  # waiting for what is true already would still let others go first
            await workflow.wait_condition(lambda: self.is_stopping or not self.is_paused)
        if self.is_stopping:
            raise Stopping

    @contextmanager
    def in_flight(self) -> Generator[None]:
        """Count a call as under way until the block ends."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    @contextmanager
    def interruptible(self, call: asyncio.Task[Any]) -> Generator[None]:
        """Have a call that buys one thing after the other cut short by a halt."""
        self._interruptible.add(call)
        try:
            yield
        finally:
            self._interruptible.discard(call)

    def pause(self) -> None:
        """Buy nothing more until resumed."""
        self.is_paused = True
        self._interrupt()

    def resume(self) -> None:
        """Go on buying."""
        self.is_paused = False

    def stop(self) -> None:
        """Buy nothing more at all; parts end when they ask the next time."""
        self.is_stopping = True
        self._interrupt()

    async def keep_slot_in_use(self) -> None:
        """Give the slot back whenever the job cannot use it; runs beside the story."""
        while True:
            await workflow.wait_condition(self._is_idle)
            await self._lease.give_back()

    def _is_idle(self) -> bool:
        is_in_line_for_nothing = self.is_halted and self._lease.is_waiting
        is_useless = self.is_paused or self._standstill.is_long
        has_useless_slot = self._lease.is_held and is_useless
        return (is_in_line_for_nothing or has_useless_slot) and not self._in_flight

    async def _acquire(self, part: str | None) -> None:
        if part is None:
            await self._lease.acquire()
            return
        self._standstill.waits(part, waiting_on(WaitingOn.SLOT, WAITS_FOR_SLOT))
        await self._lease.acquire()
        self._standstill.moves(part)

    def _interrupt(self) -> None:
        for call in self._interruptible:
            call.cancel()
