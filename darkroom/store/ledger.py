"""Purchases of pictures, each moved on only by the attempt that holds its latest fence."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, select, tuple_, update

from darkroom.domain.errors import FenceLost, IllegalTransition
from darkroom.domain.job import JobId, OwnerId
from darkroom.domain.ledger import (
    ADOPTABLE,
    MOVES,
    CallKey,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    TakeOpening,
)
from darkroom.domain.names import Ring
from darkroom.store.engine import insert_into
from darkroom.store.ringing import ring
from darkroom.store.rows import LEDGER
from darkroom.store.threads import ThreadedEngine

FIRST_FENCE = 1
CHANGING = ("called_at", "task_id", "result_url", "picture", "failure")

OF_THIS_CALL = and_(
    LEDGER.c.job_id == bindparam("of_job"),
    LEDGER.c.item == bindparam("of_item"),
    LEDGER.c.take == bindparam("of_take"),
)
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
    """The port `CallLedger` over one database; every change is one statement."""

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
        return _ledger_row(row)

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
        named = _named(row.key)
        moved = await self._engine.write(lambda c: c.execute(moving, named).one_or_none())
        if moved is None:
            raise FenceLost(
                f"purchase {row.key} is no longer {row.state} under fence {row.fence}; another "
                "attempt has it, so leave it alone"
            )
        return _ledger_row(moved)

    async def adopt(self, key: CallKey, task_id: str) -> LedgerRow | None:
        """Book a callback: `calling | unknown -> accepted`, and in any state a hint; ring."""
        adopted = await self._engine.write(partial(_adopt, key=key, task_id=task_id))
        return None if adopted is None else _ledger_row(adopted)

    async def withdraw(self, key: CallKey, called_at: datetime) -> None:
        """Take a call back that was certainly not accepted: `calling -> intent`, or nothing."""
        asked = {**_named(key), "sent_at": called_at}
        await self._engine.write(lambda c: c.execute(WITHDRAW, asked))

    async def abandon(self, key: CallKey) -> None:
        """Mark a purchase whose job no longer waits for it."""
        await self._engine.write(lambda c: c.execute(ABANDON, _named(key)))

    async def rows(self, keys: Sequence[CallKey]) -> tuple[LedgerRow, ...]:
        """Read the rows that exist, in any order."""
        asked = {"keys": [(key.job, key.item, key.take) for key in keys]}
        found = await self._engine.read(lambda c: c.execute(ROWS, asked).all())
        return tuple(_ledger_row(row) for row in found)

    async def of_job(self, job_id: JobId) -> tuple[LedgerRow, ...]:
        """Read all purchases of a job, by item and take."""
        asked = {"of_job": job_id}
        found = await self._engine.read(lambda c: c.execute(ROWS_OF_JOB, asked).all())
        return tuple(_ledger_row(row) for row in found)


def _adopt(connection: Connection, *, key: CallKey, task_id: str) -> Row[Any] | None:
    values = {**_named(key), "adopted_task": task_id}
    adopted = connection.execute(ADOPT, values).one_or_none()
    if adopted is not None:
        ring(connection, Ring(call=key))
    return adopted


def _named(key: CallKey) -> dict[str, Any]:
    return {"of_job": key.job, "of_item": key.item, "of_take": key.take}


def _ledger_row(row: Row[Any]) -> LedgerRow:
    return LedgerRow(
        key=CallKey(job=JobId(row.job_id), item=row.item, take=row.take),
        owner=OwnerId(row.owner),
        provider=row.provider,
        model=row.model,
        price_micros=row.price_micros,
        state=LedgerState(row.state),
        fence=row.fence,
        called_at=row.called_at,
        task_id=row.task_id,
        result_url=row.result_url,
        picture=row.picture,
        failure=row.failure,
        hinted=row.hinted,
        abandoned=row.abandoned,
    )
