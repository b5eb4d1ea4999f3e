"""The rows of the gates, inside a transaction of whoever asks.

Locks are taken in one order everywhere: the provider, then its gate, then a purchase.
"""

from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, or_, select, update

from darkroom.domain.breakers import Gate, GateKey, GateState
from darkroom.store.rows import GATES

OF_THIS_GATE = and_(
    GATES.c.provider == bindparam("of_provider"), GATES.c.model == bindparam("of_model")
)
GATE = select(GATES).where(OF_THIS_GATE)
GATE_FOR_CHANGE = GATE.with_for_update()
CHANGE = update(GATES).where(OF_THIS_GATE)
ADD = insert(GATES)
ALL_GATES = select(GATES).order_by(GATES.c.provider, GATES.c.model)
COLUMNS = tuple(field.name for field in fields(Gate) if field.name != "key")

LOCK_PROVIDER = select(
    func.pg_advisory_xact_lock(func.hashtextextended(bindparam("of_provider"), 0))
)

IS_NOT_QUIET = or_(
    and_(GATES.c.state == GateState.CLOSED, GATES.c.failures > 0),
    and_(GATES.c.state == GateState.HALF_OPEN, GATES.c.canary == bindparam("of_call")),
)
QUIETEN = (
    update(GATES)
    .where(OF_THIS_GATE, IS_NOT_QUIET)
    .values({name: getattr(Gate(key=GateKey(provider="", model="")), name) for name in COLUMNS})
)


def lock_provider(connection: Connection, provider: str) -> None:
    """Let nobody else decide about this provider's calls until the transaction ends.

    A limit is the provider's and a gate is a model's, so no row stands for what is locked. On
    SQLite the transaction is the only writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(LOCK_PROVIDER, {"of_provider": provider})


def read_gate(connection: Connection, key: GateKey, *, for_change: bool = False) -> Gate:
    """Read a gate; one that has no row is closed. Lock the provider before a change."""
    question = GATE_FOR_CHANGE if for_change else GATE
    row = connection.execute(question, gate_named(key)).one_or_none()
    return Gate(key=key) if row is None else gate_of(row)


def write_gate(connection: Connection, gate: Gate) -> None:
    """Keep a gate that was read for change."""
    values = {name: getattr(gate, name) for name in COLUMNS}
    changed = connection.execute(CHANGE.values(values), gate_named(gate.key))
    if not changed.rowcount:
        added = {"provider": gate.key.provider, "model": gate.key.model, **values}
        connection.execute(ADD, added)


def quieten(connection: Connection, key: GateKey, call: str) -> None:
    """Forget failures after a call that succeeded, as `breakers.succeeded` says.

    Touches nothing when there is nothing to forget, and then waits for nobody.
    """
    connection.execute(QUIETEN, {**gate_named(key), "of_call": call})


def gate_named(key: GateKey) -> dict[str, Any]:
    """Fill in what `OF_THIS_GATE` asks for."""
    return {"of_provider": key.provider, "of_model": key.model}


def gate_of(row: Row[Any]) -> Gate:
    """Read one row."""
    return Gate(
        key=GateKey(provider=row.provider, model=row.model),
        state=GateState(row.state),
        failures=row.failures,
        trips=row.trips,
        opened_at=row.opened_at,
        until=row.until,
        canary=row.canary,
        lease_until=row.lease_until,
        by=row.by,
        failure=row.failure,
    )
