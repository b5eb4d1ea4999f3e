"""What cancelling a job would bill and save. Pure: it reads the ledger's rows and the items."""

from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.control import CancelMode
from darkroom.domain.items import ItemState
from darkroom.domain.ledger import ADOPTABLE, PAID, LedgerRow, LedgerState, bill

# Bought, and neither kept nor given up yet.
IN_FLIGHT = PAID - {LedgerState.SETTLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelQuote:
    """Money in micro-units of USD, counts in pictures. Nothing of it is a promise.

    `bills_micros` is what the whole job will have cost, `abandoned_micros` the part of it that
    buys pictures nobody will keep. `unknown_micros` may or may not be charged on top.
    """

    mode: CancelMode
    bills_micros: int
    saves_micros: int
    unknown_micros: int
    abandoned_micros: int
    kept: int
    in_flight: int
    unknown: int
    not_made: int


def cancel_quote(
    record: JobRecord, rows: Sequence[LedgerRow], *, prompts_micros: int, mode: CancelMode
) -> CancelQuote:
    """Say what a cancel would bill and save if it came right now."""
    estimated = record.start.plans.estimated_micros
    cost = bill(rows, prompts_micros=prompts_micros, estimated_micros=estimated)
    awaited = {(item.key, item.take) for item in record.items if not item.is_finished}
    flying = [
        row for row in rows if row.state in IN_FLIGHT and (row.key.item, row.key.take) in awaited
    ]
    collects = mode is CancelMode.AFTER_CURRENT
    stored = sum(item.state is ItemState.STORED for item in record.items)
    kept = stored + (len(flying) if collects else 0)
    return CancelQuote(
        mode=mode,
        bills_micros=cost.spent_micros,
        saves_micros=max(0, estimated - cost.spent_micros - cost.unknown_micros),
        unknown_micros=cost.unknown_micros,
        abandoned_micros=0 if collects else sum(row.price_micros for row in flying),
        kept=kept,
        in_flight=len(flying),
        unknown=sum(row.state in ADOPTABLE for row in rows),
        not_made=record.start.request.picture_count - kept,
    )
