"""How a dead letter becomes a row and comes back, and which rows a filter means."""

from typing import Any

from sqlalchemy import ColumnElement, Row, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from darkroom.domain.dead_letters import DeadLetter, LetterFilter, LetterRecord, LetterState
from darkroom.store.rows import DEAD_LETTERS

Insert = sqlite.Insert | postgresql.Insert

KEY = ("job_id", "run")
OLDEST_FIRST = (DEAD_LETTERS.c.parked_at, DEAD_LETTERS.c.job_id, DEAD_LETTERS.c.run)


def _renewing(inserting: Insert) -> Insert:
    """Write a letter; one of the same run starts over, whatever was decided about it."""
    fresh = {c.name: inserting.excluded[c.name] for c in DEAD_LETTERS.c if c.name not in KEY}
    return inserting.on_conflict_do_update(index_elements=list(KEY), set_=fresh)


RENEW: dict[str, Insert] = {
    "sqlite": _renewing(sqlite.insert(DEAD_LETTERS)),
    "postgresql": _renewing(postgresql.insert(DEAD_LETTERS)),
}


def letter_values(letter: DeadLetter) -> dict[str, Any]:
    """Fill every column of a letter that nobody has seen yet."""
    return {
        "job_id": letter.job_id,
        "run": letter.run,
        "owner": letter.owner,
        "kind": letter.kind,
        "code": letter.failure.code,
        "stage": letter.stage,
        "provider": letter.failure.provider,
        "state": LetterState.PARKED,
        "parked_at": letter.parked_at,
        "level": 0,
        "escalated_at": None,
        "closed_at": None,
        "closed_by": "",
        "note": "",
        "letter": letter,
    }


def letter_record(row: Row[Any]) -> LetterRecord:
    """Read a row of the table."""
    return LetterRecord(
        letter=row.letter,
        state=LetterState(row.state),
        level=row.level,
        escalated_at=row.escalated_at,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        note=row.note,
    )


def matching(wanted: LetterFilter) -> list[ColumnElement[bool]]:
    """Say which rows a filter means, apart from where its page begins."""
    asked = {
        "code": wanted.code,
        "stage": wanted.stage,
        "provider": wanted.provider,
        "owner": wanted.owner,
        "kind": wanted.kind,
    }
    clauses = [DEAD_LETTERS.c.state == wanted.state]
    clauses += [DEAD_LETTERS.c[name] == value for name, value in asked.items() if value is not None]
    if wanted.parked_before is not None:
        clauses.append(DEAD_LETTERS.c.parked_at < wanted.parked_before)
    return clauses


def on_this_page(wanted: LetterFilter) -> list[ColumnElement[bool]]:
    """Say which rows a filter means, from where its page begins."""
    if wanted.after is None:
        return matching(wanted)
    place = (wanted.after.parked_at, wanted.after.job_id, wanted.after.run)
    return [*matching(wanted), tuple_(*OLDEST_FIRST) > tuple_(*place)]
