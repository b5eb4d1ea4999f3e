"""How much of a provider's limits is used, and which calls wait in line for the rest.

Asked under the provider's lock, so that what is counted is still true when a call is made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, tuple_

from darkroom.domain.ledger import CallKey
from darkroom.domain.permits import (
    HOUR,
    MINUTE,
    WANTED_WITHIN,
    CallLimits,
    Held,
    Use,
    holding,
    longest,
)
from darkroom.store.rows import CALLS, IN_FLIGHT, IS_WANTED, LEDGER

FLYING = (
    select(func.count())
    .select_from(LEDGER)
    .where(
        LEDGER.c.provider == bindparam("of_provider"),
        LEDGER.c.called_at > bindparam("since"),
        text(IN_FLIGHT),
    )
)
PLACE_AT = bindparam("place_at", type_=LEDGER.c.admitted_at.type)
AHEAD = (
    select(func.count())
    .select_from(LEDGER)
    .where(
        LEDGER.c.provider == bindparam("of_provider"),
        LEDGER.c.wanted_at > bindparam("since"),
        text(IS_WANTED),
        tuple_(LEDGER.c.admitted_at, LEDGER.c.job_id, LEDGER.c.item)
        < tuple_(PLACE_AT, bindparam("place_job"), bindparam("place_item")),
    )
)
CALLED = (
    select(func.count())
    .select_from(CALLS)
    .where(CALLS.c.provider == bindparam("of_provider"), CALLS.c.called_at > bindparam("since"))
)
CALLED_AT = (
    select(CALLS.c.called_at)
    .where(CALLS.c.provider == bindparam("of_provider"), CALLS.c.called_at > bindparam("since"))
    .order_by(CALLS.c.called_at)
    .limit(1)
    .offset(bindparam("skipped"))
)
COUNT_CALL = insert(CALLS)
FORGET_CALLS = delete(CALLS).where(
    CALLS.c.provider == bindparam("of_provider"), CALLS.c.called_at <= bindparam("since")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a purchase stands in line: earlier admitted jobs first."""

    admitted_at: datetime
    key: CallKey


def held_in_line(
    connection: Connection,
    provider: str,
    limits: CallLimits,
    *,
    now: datetime,
    place: Place | None = None,
) -> Held | None:
    """Say whether a call must wait, and for what; without a place nobody is ahead of it."""
    if limits.is_unlimited:
        return None
    ahead = _ahead(connection, provider, place, now) if place else 0
    uses = _uses(connection, provider, limits, now=now, ahead=ahead)
    return longest(holding(provider, use, ahead=ahead) for use in uses)


def count_call(
    connection: Connection, provider: str, call: str, *, limits: CallLimits, now: datetime
) -> None:
    """Remember a call for the rates; calls that no rate looks back at are forgotten."""
    if not limits.has_rates:
        return
    connection.execute(FORGET_CALLS, {"of_provider": provider, "since": now - HOUR})
    connection.execute(COUNT_CALL, {"provider": provider, "called_at": now, "call": call})


def _uses(
    connection: Connection, provider: str, limits: CallLimits, *, now: datetime, ahead: int
) -> Iterator[Use]:
    if limits.concurrency is not None:
        asked = {"of_provider": provider, "since": now - limits.counted_within}
        flying = connection.scalar(FLYING, asked) or 0
        yield Use(what="calls at once", limit=limits.concurrency, used=flying)
    for what, limit, window in (
        ("calls a minute", limits.per_minute, MINUTE),
        ("calls an hour", limits.per_hour, HOUR),
    ):
        if limit is not None:
            asked = {"of_provider": provider, "since": now - window}
            used = connection.scalar(CALLED, asked) or 0
            frees_at = None
            if used >= limit:
                skipped = min(used - limit + ahead, used - 1)
                frees_at = _leaves_at(connection, provider, now - window, skipped) + window
            yield Use(what=what, limit=limit, used=used, frees_at=frees_at)


def _leaves_at(connection: Connection, provider: str, since: datetime, skipped: int) -> datetime:
    asked = {"of_provider": provider, "since": since, "skipped": skipped}
    return connection.execute(CALLED_AT, asked).scalar_one()


def _ahead(connection: Connection, provider: str, place: Place, now: datetime) -> int:
    asked = {
        "of_provider": provider,
        "since": now - WANTED_WITHIN,
        "place_at": place.admitted_at,
        "place_job": place.key.job,
        "place_item": place.key.item,
    }
    return connection.scalar(AHEAD, asked) or 0
