"""Whether each model of each provider may be called, as all workers see it."""

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection, and_, bindparam, exists, select

from darkroom.domain.audit import AuditEntry, detail_text
from darkroom.domain.breakers import (
    BreakerPlan,
    FailedCall,
    Gate,
    GateKey,
    GateState,
    HandMove,
    ask,
    failed,
    move,
)
from darkroom.domain.names import gate_id
from darkroom.domain.permits import CallTerms, Held
from darkroom.store.audit import audit
from darkroom.store.gate_rows import (
    ALL_GATES,
    gate_of,
    lock_provider,
    quieten,
    read_gate,
    write_gate,
)
from darkroom.store.line import count_call, held_in_line
from darkroom.store.rows import AUDIT
from darkroom.store.threads import ThreadedEngine

IS_AUDITED = select(
    exists().where(
        and_(
            AUDIT.c.target == bindparam("target"),
            AUDIT.c.at == bindparam("at"),
            AUDIT.c.action == bindparam("action"),
        )
    )
)


class SqlGateBoard:
    """The port `GateBoard` over one database."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine

    async def gate(self, key: GateKey) -> Gate:
        """Read a gate; one that was never moved is closed."""
        return await self._engine.read(partial(read_gate, key=key))

    async def gates(self) -> tuple[Gate, ...]:
        """Read every gate that was ever moved, by provider and model."""
        rows = await self._engine.read(lambda connection: connection.execute(ALL_GATES).all())
        return tuple(gate_of(row) for row in rows)

    async def ask(self, key: GateKey, call: str, terms: CallTerms) -> Held | None:
        """Let a call without a ledger row through, counting it where there are rates."""
        if terms.limits.is_unlimited and (await self.gate(key)).state is GateState.CLOSED:
            return None
        return await self._engine.write(partial(_ask, key=key, call=call, terms=terms))

    async def succeeded(self, key: GateKey, call: str) -> None:
        """Forget failures, and close a gate whose canary this was."""
        if not (await self.gate(key)).is_quiet:
            await self._engine.write(partial(quieten, key=key, call=call))

    async def failed(self, told: FailedCall, plan: BreakerPlan) -> Gate:
        """Count a failure, and answer the gate after it."""
        return await self._engine.write(partial(_failed, told=told, plan=plan))

    async def move(self, moved: HandMove) -> Gate:
        """Open or close a gate by hand, audited in the same transaction.

        Raises:
            IllegalTransition: it is closed already.
        """
        return await self._engine.write(partial(_move, moved=moved))


def _ask(connection: Connection, *, key: GateKey, call: str, terms: CallTerms) -> Held | None:
    now, limits = terms.called_at, terms.limits
    lock_provider(connection, key.provider)
    gate = read_gate(connection, key, for_change=True)
    passed = ask(gate, call=call, now=now, lease=limits.answered_within)
    if isinstance(passed, Held):
        return passed
    rates = replace(limits, concurrency=None)  # only the ledger knows what is in flight
    if held := held_in_line(connection, key.provider, rates, now=now):
        return held
    if passed != gate:
        write_gate(connection, passed)
    count_call(connection, key.provider, call, limits=limits, now=now)
    return None


def _failed(connection: Connection, *, told: FailedCall, plan: BreakerPlan) -> Gate:
    lock_provider(connection, told.key.provider)
    before = read_gate(connection, told.key, for_change=True)
    after = failed(before, told, plan)
    if after != before:
        write_gate(connection, after)
    return after


def _move(connection: Connection, *, moved: HandMove) -> Gate:
    lock_provider(connection, moved.key.provider)
    before = read_gate(connection, moved.key, for_change=True)
    entry = _entry(moved, before)
    asked = {"target": entry.target, "at": entry.at, "action": entry.action}
    if connection.scalar(IS_AUDITED, asked):
        return before  # the same move again: it was made, and the gate may have gone on since
    after = move(before, moved)
    write_gate(connection, after)
    audit(connection, entry)
    return after


def _entry(moved: HandMove, before: Gate) -> AuditEntry:
    return AuditEntry(
        at=moved.at,
        actor=moved.by,
        action=f"{moved.hand}_gate",
        target=gate_id(moved.key.provider, moved.key.model),
        reason=moved.reason,
        detail=detail_text({"was": before.state.value}),
    )
