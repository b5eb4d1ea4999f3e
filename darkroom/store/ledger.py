"""Purchases of pictures, each moved on only by the attempt that holds its latest fence."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, select, tuple_, update
from sqlalchemy.sql.dml import ReturningUpdate

from darkroom.domain.errors import IllegalTransition
from darkroom.domain.job import JobId
from darkroom.domain.ledger import (
    ADOPTABLE,
    ANSWERED,
    MOVES,
    CallKey,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    TakeOpening,
)
from darkroom.domain.names import Ring
from darkroom.domain.permits import CallTerms, Held
from darkroom.store.calling import STEP_ASIDE, call_or_hold, fence_lost
from darkroom.store.engine import insert_into
from darkroom.store.gate_rows import quieten
from darkroom.store.ledger_rows import OF_THIS_CALL, ledger_row, named
from darkroom.store.ringing import ring
from darkroom.store.rows import LEDGER
from darkroom.store.threads import ThreadedEngine

FIRST_FENCE = 1
CHANGING = ("called_at", "task_id", "result_url", "picture", "failure")

ADOPTED = LEDGER.c.state.in_(sorted(ADOPTABLE))
ADOPTED_TASK = bindparam("adopted_task", type_=LEDGER.c.task_id.type)
ADOPT = (
    update(LEDGER)
    .where(OF_THIS_CALL)
    .values(
        hinted=True,
        state=case((ADOPTED, LedgerState.ACCEPTED.value), else_=LEDGER.c.state),
        task_id=case((ADOPTED, ADOPTED_TASK), else_=LEDGER.c.task_id),
    )
    .returning(*LEDGER.c)
)
WITHDRAW = (
    update(LEDGER)
    .where(
        OF_THIS_CALL,
        LEDGER.c.state == LedgerState.CALLING,
        LEDGER.c.called_at == bindparam("sent_at"),
    )
    .values(state=LedgerState.INTENT)
)
ABANDON = update(LEDGER).where(OF_THIS_CALL).values(abandoned=True)
ROWS = select(LEDGER).where(
    tuple_(LEDGER.c.job_id, LEDGER.c.item, LEDGER.c.take).in_(bindparam("keys", expanding=True))
)
ROWS_OF_JOB = (
    select(LEDGER)
    .where(LEDGER.c.job_id == bindparam("of_job"))
    .order_by(LEDGER.c.item, LEDGER.c.take)
)


class SqlCallLedger:
    """The port `CallLedger` over one database; every change is one transaction."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine
        self._open = (
            insert_into(engine, LEDGER)
            .on_conflict_do_update(
                index_elements=["job_id", "item", "take"],
                set_={"fence": LEDGER.c.fence + 1},
            )
            .returning(*LEDGER.c)
        )

    async def open(self, opening: TakeOpening) -> LedgerRow:
        """Create the row if there is none, take the next fence, and read it."""
        values = {
            "job_id": opening.key.job,
            "item": opening.key.item,
            "take": opening.key.take,
            "owner": opening.owner,
            "provider": opening.provider,
            "model": opening.model,
            "price_micros": opening.price_micros,
            "state": LedgerState.INTENT,
            "fence": FIRST_FENCE,
        }
        row = await self._engine.write(lambda c: c.execute(self._open, values).one())
        return ledger_row(row)

    async def move(self, row: LedgerRow, to: LedgerState, changes: LedgerChanges) -> LedgerRow:
        """Make one transition under `row.fence` from `row.state`, or nothing.

        Raises:
            FenceLost: the row has another fence or another state by now.
            IllegalTransition: the table of moves has no such step.
        """
        if to not in MOVES[row.state]:
            raise IllegalTransition(
                f"purchase {row.key} cannot go from {row.state} to {to}; see domain/ledger.py"
            )
        given = {name: getattr(changes, name) for name in CHANGING}
        values = {name: value for name, value in given.items() if value is not None}
        moving = (
            update(LEDGER)
            .where(OF_THIS_CALL, LEDGER.c.fence == row.fence, LEDGER.c.state == row.state)
            .values(state=to, **values)
            .returning(*LEDGER.c)
        )
        moved = await self._engine.write(partial(_move, row=row, to=to, moving=moving))
        if moved is None:
            raise fence_lost(row)
        return ledger_row(moved)

    async def call(self, row: LedgerRow, terms: CallTerms) -> LedgerRow | Held:
        """Move `intent -> calling`, if the gate and the provider's limits let this call through.

        Raises:
            FenceLost: the row has another fence or another state by now.
        """
        answer = await self._engine.write(partial(call_or_hold, row=row, terms=terms))
        return answer if isinstance(answer, Held) else ledger_row(answer)

    async def step_aside(self, key: CallKey) -> None:
        """Stop waiting in line; harmless if it does not wait."""
        await self._engine.write(lambda c: c.execute(STEP_ASIDE, named(key)))

    async def adopt(self, key: CallKey, task_id: str) -> LedgerRow | None:
        """Book a callback: `calling | unknown -> accepted`, and in any state a hint; ring."""
        adopted = await self._engine.write(partial(_adopt, key=key, task_id=task_id))
        return None if adopted is None else ledger_row(adopted)

    async def withdraw(self, key: CallKey, called_at: datetime) -> None:
        """Take a call back that was certainly not accepted: `calling -> intent`, or nothing."""
        asked = {**named(key), "sent_at": called_at}
        await self._engine.write(lambda c: c.execute(WITHDRAW, asked))

    async def abandon(self, key: CallKey) -> None:
        """Mark a purchase whose job no longer waits for it."""
        await self._engine.write(lambda c: c.execute(ABANDON, named(key)))

    async def rows(self, keys: Sequence[CallKey]) -> tuple[LedgerRow, ...]:
        """Read the rows that exist, in any order."""
        asked = {"keys": [(key.job, key.item, key.take) for key in keys]}
        found = await self._engine.read(lambda c: c.execute(ROWS, asked).all())
        return tuple(ledger_row(row) for row in found)

    async def of_job(self, job_id: JobId) -> tuple[LedgerRow, ...]:
        """Read all purchases of a job, by item and take."""
        asked = {"of_job": job_id}
        found = await self._engine.read(lambda c: c.execute(ROWS_OF_JOB, asked).all())
        return tuple(ledger_row(row) for row in found)


def _move(
    connection: Connection, *, row: LedgerRow, to: LedgerState, moving: ReturningUpdate[Any]
) -> Row[Any] | None:
    if row.state is LedgerState.CALLING and to in ANSWERED:
        quieten(connection, row.gate, str(row.key))
    return connection.execute(moving, named(row.key)).one_or_none()


def _adopt(connection: Connection, *, key: CallKey, task_id: str) -> Row[Any] | None:
    values = {**named(key), "adopted_task": task_id}
    adopted = connection.execute(ADOPT, values).one_or_none()
    if adopted is not None:
        ring(connection, Ring(call=key))
    return adopted
