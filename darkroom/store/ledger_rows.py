"""How a purchase is named in a statement, and how its row becomes a value."""

from typing import Any

from sqlalchemy import Row, and_, bindparam

from darkroom.domain.job import JobId, OwnerId
from darkroom.domain.ledger import CallKey, LedgerRow, LedgerState
from darkroom.store.rows import LEDGER

OF_THIS_CALL = and_(
    LEDGER.c.job_id == bindparam("of_job"),
    LEDGER.c.item == bindparam("of_item"),
    LEDGER.c.take == bindparam("of_take"),
)


def named(key: CallKey) -> dict[str, Any]:
    """Fill in what `OF_THIS_CALL` asks for."""
    return {"of_job": key.job, "of_item": key.item, "of_take": key.take}


def ledger_row(row: Row[Any]) -> LedgerRow:
    """Read one row of the ledger."""
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
