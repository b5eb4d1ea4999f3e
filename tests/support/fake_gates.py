"""Gates and limits in memory; they pass the same suite as the databases."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from darkroom.domain.audit import AuditEntry, detail_text
from darkroom.domain.breakers import (
    BreakerPlan,
    FailedCall,
    Gate,
    GateKey,
    HandMove,
    ask,
    failed,
    move,
    succeeded,
)
from darkroom.domain.ledger import CallKey
from darkroom.domain.names import gate_id
from darkroom.domain.parking import ParkOrder
from darkroom.domain.permits import (
    HOUR,
    MINUTE,
    WANTED_WITHIN,
    CallLimits,
    CallTerms,
    Held,
    Use,
    holding,
    longest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """One purchase in line."""

    provider: str
    admitted_at: datetime
    wanted_at: datetime


@dataclass(slots=True, kw_only=True)
class Doorway:
    """Gates, the line before them, and what passed, as all fakes of one test share them."""

    gates: dict[GateKey, Gate] = field(default_factory=dict[GateKey, Gate])
    called: list[tuple[str, datetime]] = field(default_factory=list[tuple[str, datetime]])
    line: dict[CallKey, Waiter] = field(default_factory=dict[CallKey, Waiter])

    def gate(self, key: GateKey) -> Gate:
        """Read a gate."""
        return self.gates.get(key, Gate(key=key))

    def ask(self, key: GateKey, call: str, terms: CallTerms) -> Gate | Held:
        """Ask a gate, and leave it as it is."""
        lease = terms.limits.answered_within
        return ask(self.gate(key), call=call, now=terms.called_at, lease=lease)

    def change(self, gate: Gate) -> None:
        """Keep a gate; one that nothing ever moved has no row."""
        if gate != self.gate(gate.key):
            self.gates[gate.key] = gate

    def count(self, provider: str, terms: CallTerms) -> None:
        """Remember a call for the rates."""
        if terms.limits.has_rates:
            self.called.append((provider, terms.called_at))

    def ahead(self, key: CallKey, admitted_at: datetime, now: datetime, provider: str) -> int:
        """Count who waits before a purchase."""
        place = (admitted_at, key.job, key.item)
        return sum(
            waiter.provider == provider
            and waiter.wanted_at > now - WANTED_WITHIN
            and (waiter.admitted_at, other.job, other.item) < place
            for other, waiter in self.line.items()
        )

    def held(
        self, provider: str, limits: CallLimits, *, now: datetime, flying: int = 0, ahead: int = 0
    ) -> Held | None:
        """Hold a call back that some limit holds back."""
        uses: list[Use] = []
        if limits.concurrency is not None:
            uses.append(Use(what="calls at once", limit=limits.concurrency, used=flying))
        for what, limit, window in (
            ("calls a minute", limits.per_minute, MINUTE),
            ("calls an hour", limits.per_hour, HOUR),
        ):
            if limit is not None:
                past = sorted(at for who, at in self.called if who == provider)
                recent = [at for at in past if at > now - window]
                frees_at = None
                if len(recent) >= limit:
                    skipped = min(len(recent) - limit + ahead, len(recent) - 1)
                    frees_at = recent[skipped] + window
                uses.append(Use(what=what, limit=limit, used=len(recent), frees_at=frees_at))
        return longest(holding(provider, use, ahead=ahead) for use in uses)


class MemoryGateBoard:
    """The port `GateBoard` in memory.

    Args:
        doorway: shared with the ledger's fake.
        deeds: where an operator's moves are audited.
        reach: the way to the database.
    """

    def __init__(
        self, doorway: Doorway, *, deeds: list[AuditEntry], reach: Callable[[], None]
    ) -> None:
        self._doorway = doorway
        self._deeds = deeds
        self._reach = reach

    async def gate(self, key: GateKey) -> Gate:
        """Read a gate; one that was never moved is closed."""
        self._reach()
        return self._doorway.gate(key)

    async def gates(self) -> tuple[Gate, ...]:
        """Read every gate that was ever moved, by provider and model."""
        self._reach()
        known = self._doorway.gates.values()
        return tuple(sorted(known, key=lambda gate: (gate.key.provider, gate.key.model)))

    async def ask(self, key: GateKey, call: str, terms: CallTerms) -> Held | None:
        """Let a call without a ledger row through, counting it where there are rates."""
        self._reach()
        passed = self._doorway.ask(key, call, terms)
        if isinstance(passed, Held):
            return passed
        rates = replace(terms.limits, concurrency=None)
        if held := self._doorway.held(key.provider, rates, now=terms.called_at):
            return held
        self._doorway.change(passed)
        self._doorway.count(key.provider, terms)
        return None

    async def succeeded(self, key: GateKey, call: str) -> None:
        """Forget failures, and close a gate whose canary this was."""
        self._reach()
        self._doorway.change(succeeded(self._doorway.gate(key), call=call))

    async def failed(self, told: FailedCall, plan: BreakerPlan) -> Gate:
        """Count a failure, and answer the gate after it."""
        self._reach()
        self._doorway.change(failed(self._doorway.gate(told.key), told, plan))
        return self._doorway.gate(told.key)

    async def move(self, moved: HandMove) -> Gate:
        """Open or close a gate by hand, audited with it."""
        self._reach()
        before = self._doorway.gate(moved.key)
        entry = AuditEntry(
            at=moved.at,
            actor=moved.by,
            action=f"{moved.hand}_gate",
            target=gate_id(moved.key.provider, moved.key.model),
            reason=moved.reason,
            detail=detail_text({"was": before.state.value}),
        )
        marks = {(deed.target, deed.at, deed.action) for deed in self._deeds}
        if (entry.target, entry.at, entry.action) in marks:
            return before
        self._doorway.change(move(before, moved))
        self._deeds.append(entry)
        return self._doorway.gate(moved.key)


class FakeGateSignals:
    """Remembers what gates were told."""

    def __init__(self) -> None:
        self.parked: list[ParkOrder] = []
        self.watched: list[GateKey] = []

    async def park(self, order: ParkOrder) -> None:
        """Have a job woken when its calls may pass."""
        self.parked.append(order)

    async def watch(self, key: GateKey) -> None:
        """Have somebody look after a gate that has opened."""
        self.watched.append(key)
