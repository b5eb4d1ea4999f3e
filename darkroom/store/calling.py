"""The transaction in which a purchase is called, or held back.

The usual call, at a closed gate without limits, is one statement; it waits for nobody.
"""

from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, select, update

from darkroom.domain.breakers import GateState, ask
from darkroom.domain.errors import FenceLost
from darkroom.domain.ledger import LedgerRow, LedgerState
from darkroom.domain.lifecycle import JobState
from darkroom.domain.permits import JOB_PAUSED, CallTerms, Held
from darkroom.store.gate_rows import lock_provider, read_gate, write_gate
from darkroom.store.ledger_rows import OF_THIS_CALL, named
from darkroom.store.line import Place, count_call, held_in_line
from darkroom.store.rows import GATES, JOBS, LEDGER

IS_MINE = and_(
    OF_THIS_CALL,
    LEDGER.c.fence == bindparam("my_fence"),
    LEDGER.c.state == LedgerState.INTENT.value,
)
IS_PAUSED = exists().where(JOBS.c.id == bindparam("of_job"), JOBS.c.state == JobState.PAUSED.value)
IS_HELD_BACK = exists().where(
    GATES.c.provider == LEDGER.c.provider,
    GATES.c.model == LEDGER.c.model,
    GATES.c.state != GateState.CLOSED.value,
)
CALL = (
    update(LEDGER)
    .where(IS_MINE)
    .values(state=LedgerState.CALLING.value, called_at=bindparam("at"), wanted_at=None)
    .returning(*LEDGER.c)
)
CALL_AT_ONCE = CALL.where(~IS_PAUSED, ~IS_HELD_BACK)
MINE = select(LEDGER.c.admitted_at, IS_PAUSED.label("is_paused")).where(IS_MINE)
WAIT = (
    update(LEDGER).where(IS_MINE).values(wanted_at=bindparam("at"), admitted_at=bindparam("since"))
)
STEP_ASIDE = (
    update(LEDGER).where(OF_THIS_CALL, LEDGER.c.wanted_at.is_not(None)).values(wanted_at=None)
)


def call_or_hold(connection: Connection, row: LedgerRow, terms: CallTerms) -> Row[Any] | Held:
    """Move `intent -> calling` if nothing holds the call back.

    Raises:
        FenceLost: the row has another fence or another state by now.
    """
    mine = {**named(row.key), "my_fence": row.fence}
    if terms.limits.is_unlimited:
        at_once = connection.execute(CALL_AT_ONCE, {**mine, "at": terms.called_at}).one_or_none()
        if at_once is not None:
            return at_once
    lock_provider(connection, row.provider)
    standing = connection.execute(MINE, mine).one_or_none()
    if standing is None:
        raise fence_lost(row)
    if standing.is_paused:
        held = Held(code=JOB_PAUSED, why=f"job {row.key.job} is paused")
        return _step_aside(connection, row, held)
    # A call whose job does not say since when it is admitted stands where it first asked.
    since = terms.admitted_at or standing.admitted_at or terms.called_at
    place = Place(admitted_at=since, key=row.key)
    return _decide(connection, row, terms, place)


def fence_lost(row: LedgerRow) -> FenceLost:
    """Say that somebody else has moved a purchase."""
    return FenceLost(
        f"purchase {row.key} is no longer {row.state} under fence {row.fence}; another "
        "attempt has it, so leave it alone"
    )


def _decide(
    connection: Connection, row: LedgerRow, terms: CallTerms, place: Place
) -> Row[Any] | Held:
    """Ask the gate first: whoever stands before an open one does not wait in line."""
    now, limits = terms.called_at, terms.limits
    gate = read_gate(connection, row.gate, for_change=True)
    passed = ask(gate, call=str(row.key), now=now, lease=limits.answered_within)
    if isinstance(passed, Held):
        return _step_aside(connection, row, passed)
    if held := held_in_line(connection, row.provider, limits, now=now, place=place):
        asked = {**named(row.key), "my_fence": row.fence}
        connection.execute(WAIT, {**asked, "at": now, "since": place.admitted_at})
        return held
    if passed != gate:
        write_gate(connection, passed)
    count_call(connection, row.provider, str(row.key), limits=limits, now=now)
    return _call(connection, row, terms)


def _call(connection: Connection, row: LedgerRow, terms: CallTerms) -> Row[Any]:
    asked = {**named(row.key), "my_fence": row.fence, "at": terms.called_at}
    called = connection.execute(CALL, asked).one_or_none()
    if called is None:
        raise fence_lost(row)
    return called


def _step_aside(connection: Connection, row: LedgerRow, held: Held) -> Held:
    connection.execute(STEP_ASIDE, named(row.key))
    return held
