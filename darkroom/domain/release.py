"""Which parked jobs a gate wakes, and when: one canary first, then more and more of them.

Pure: the gate's workflow asks, and carries it out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias, assert_never

from darkroom.domain.breakers import Gate, GateState
from darkroom.domain.parking import LeaveOrder, ParkOrder

# A woken canary must have called by then, or the next job is asked: it may be paused, wait for
# a slot, or be gone.
CANARY_WITHIN = timedelta(seconds=10)
WATCH_EVERY = timedelta(seconds=1)  # while a canary finds out, and between two releases
LOOK_AGAIN = timedelta(minutes=1)  # at a gate that stays open: somebody else may have moved it
FIRST_RELEASE = 1  # jobs in the first second after a canary succeeded; doubles each second


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """Have these jobs try again, then look again at `until`."""

    orders: tuple[ParkOrder, ...]
    is_canary: bool
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Nothing is to be done before this moment, unless an operator moves the gate."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Nobody is parked, and calls pass by themselves or will."""


Step: TypeAlias = Wake | Rest | Over


class ParkedJobs:
    """The parked jobs of one gate, and how far their release has come."""

    def __init__(self, parked: Iterable[ParkOrder] = ()) -> None:
        """Take over whom an earlier run of the gate had parked."""
        self._parked = {order.workflow_id: order for order in parked}
        self._tried: dict[str, int] = {}  # how often each job was woken as the canary
        self._canary_until: datetime | None = None
        self._release = FIRST_RELEASE

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def in_line(self) -> tuple[ParkOrder, ...]:
        """Everybody who is parked: first who is woken first."""
        return tuple(sorted(self._parked.values(), key=lambda order: order.place))

    def park(self, order: ParkOrder) -> None:
        """Take a job in; the same job again keeps the moment since when it is parked."""
        before = self._parked.get(order.workflow_id)
        if before is None or before.first_run_id != order.first_run_id:
            self._parked[order.workflow_id] = order

    def leave(self, order: LeaveOrder) -> None:
        """Let a job go that does not wait any more."""
        parked = self._parked.get(order.workflow_id)
        if parked and parked.first_run_id == order.first_run_id:
            self.forget(order.workflow_id)

    def forget(self, workflow_id: str) -> None:
        """Let a job go that there is not any more."""
        self._parked.pop(workflow_id, None)
        self._tried.pop(workflow_id, None)

    def start_over(self) -> None:
        """Ask for a canary at once: an operator has let calls through."""
        self._canary_until = None

    def step(self, gate: Gate, now: datetime) -> Step:
        """Say what is to be done now, and count it as done."""
        match gate.state:
            case GateState.CLOSED:
                return self._release_more(now)
            case GateState.OPEN:
                return self._at_open_gate(gate, now)
            case GateState.HALF_OPEN:
                return self._at_half_open_gate(gate, now)
            case _:
                assert_never(gate.state)

    def _release_more(self, now: datetime) -> Step:
        if not self._parked:
            return Over()
        released = self.in_line[: self._release]
        self._release *= 2
        self._canary_until = None
        for order in released:
            self.forget(order.workflow_id)
        return Wake(orders=released, is_canary=False, until=now + WATCH_EVERY)

    def _at_open_gate(self, gate: Gate, now: datetime) -> Step:
        self._release = FIRST_RELEASE
        if gate.until is None:
            return Rest(until=now + LOOK_AGAIN)
        if now < gate.until:
            return Rest(until=min(gate.until, now + LOOK_AGAIN))
        return self._wake_canary(now)

    def _at_half_open_gate(self, gate: Gate, now: datetime) -> Step:
        self._release = FIRST_RELEASE
        is_led = gate.canary is not None and now < (gate.lease_until or now)
        if is_led and self._parked:
            self._canary_until = None  # it called: from here on its lease counts
            return Rest(until=now + WATCH_EVERY)
        return self._wake_canary(now)

    def _wake_canary(self, now: datetime) -> Step:
        if not self._parked:
            return Over()
        if self._canary_until and now < self._canary_until:
            return Rest(until=now + WATCH_EVERY)
        chosen = min(
            self._parked.values(),
            key=lambda order: (self._tried.get(order.workflow_id, 0), order.place),
        )
        self._tried[chosen.workflow_id] = self._tried.get(chosen.workflow_id, 0) + 1
        self._canary_until = now + CANARY_WITHIN
        return Wake(orders=(chosen,), is_canary=True, until=now + WATCH_EVERY)
