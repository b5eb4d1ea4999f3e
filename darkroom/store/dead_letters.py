"""Failed runs that somebody must look at: listed, told, and decided about by people."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, Update, and_, exists, func, or_, select, update

from darkroom.domain.audit import AuditEntry, detail_text
from darkroom.domain.dead_letters import (
    DeadLetter,
    LetterCount,
    LetterFilter,
    LetterRecord,
    LetterState,
    LetterVerdict,
)
from darkroom.domain.escalation import Escalation, level_due
from darkroom.domain.job import JobId
from darkroom.domain.lifecycle import JobState
from darkroom.domain.stages import Stage
from darkroom.store.audit import audit
from darkroom.store.letter_filing import park
from darkroom.store.letter_rows import (
    OLDEST_FIRST,
    letter_record,
    matching,
    on_this_page,
)
from darkroom.store.rows import DEAD_LETTERS, JOBS
from darkroom.store.threads import ThreadedEngine

ALIKE = (DEAD_LETTERS.c.code, DEAD_LETTERS.c.stage)
COUNT = func.count().label("letters")
COUNTS = (
    select(*ALIKE, COUNT, func.min(DEAD_LETTERS.c.parked_at).label("oldest_at"))
    .group_by(*ALIKE)
    .order_by(COUNT.desc(), *ALIKE)
)
IS_STILL_FAILED = exists().where(
    JOBS.c.id == DEAD_LETTERS.c.job_id,
    JOBS.c.run == DEAD_LETTERS.c.run,
    JOBS.c.state == JobState.FAILED,
)
IS_PARKED = DEAD_LETTERS.c.state == LetterState.PARKED
IS_REDRIVEN = DEAD_LETTERS.c.state == LetterState.REDRIVEN
IS_DISCARDED = DEAD_LETTERS.c.state == LetterState.DISCARDED


class SqlDeadLetterStore:
    """The port `DeadLetterStore` over one database."""

    def __init__(self, engine: ThreadedEngine) -> None:
        """Take the database to speak to."""
        self._engine = engine

    async def park(self, letter: DeadLetter, *, by: str) -> None:
        """Park a run that cannot say itself that it failed; one that is there is renewed."""
        await self._engine.write(partial(_park, letter=letter, by=by))

    async def letters(self, wanted: LetterFilter, *, limit: int) -> tuple[LetterRecord, ...]:
        """List letters, oldest first by (parked_at, job_id, run)."""
        page = select(DEAD_LETTERS).where(*on_this_page(wanted)).order_by(*OLDEST_FIRST)
        rows = await self._engine.read(lambda c: c.execute(page.limit(limit)).all())
        return tuple(letter_record(row) for row in rows)

    async def letter(self, job_id: JobId, *, run: int | None = None) -> LetterRecord | None:
        """Read the letter of a run, or of the job's latest run that has one."""
        asked = select(DEAD_LETTERS).where(DEAD_LETTERS.c.job_id == job_id)
        if run is not None:
            asked = asked.where(DEAD_LETTERS.c.run == run)
        latest = asked.order_by(DEAD_LETTERS.c.run.desc()).limit(1)
        row = await self._engine.read(lambda c: c.execute(latest).one_or_none())
        return None if row is None else letter_record(row)

    async def counts(self, wanted: LetterFilter) -> tuple[LetterCount, ...]:
        """Count letters by code and stage, most first; the filter's place is ignored."""
        asked = COUNTS.where(*matching(wanted))
        rows = await self._engine.read(lambda c: c.execute(asked).all())
        return tuple(
            LetterCount(
                code=row.code, stage=Stage(row.stage), count=row.letters, oldest_at=row.oldest_at
            )
            for row in rows
        )

    async def due(
        self, at: datetime, ladder: Sequence[timedelta], *, limit: int
    ) -> tuple[Escalation, ...]:
        """Find parked letters whose level is lower than their age asks for, oldest first."""
        owed = [
            and_(DEAD_LETTERS.c.level <= level, DEAD_LETTERS.c.parked_at <= at - rung)
            for level, rung in enumerate((timedelta(0), *ladder))
        ]
        page = select(DEAD_LETTERS).where(IS_PARKED, or_(*owed)).order_by(*OLDEST_FIRST)
        rows = await self._engine.read(lambda c: c.execute(page.limit(limit)).all())
        return tuple(
            Escalation(record=record, level=level_due(at - record.letter.parked_at, ladder))
            for record in map(letter_record, rows)
        )

    async def escalate(self, told: Sequence[Escalation], *, at: datetime, by: str) -> int:
        """Raise the level of letters that were told; counts those that were still due."""
        return await self._engine.write(partial(_escalate, told=told, at=at, by=by))

    async def discard(self, verdict: LetterVerdict) -> bool:
        """Close a parked letter for good; false when it is not parked (any more)."""
        closing = (
            update(DEAD_LETTERS)
            .where(*_of_run(verdict.job_id, verdict.run), IS_PARKED)
            .values(
                state=LetterState.DISCARDED,
                closed_at=verdict.at,
                closed_by=verdict.by,
                note=verdict.note,
            )
        )
        deed = _deed(verdict, "discard_dead_letter")
        return await self._engine.write(partial(_change, change=closing, deed=deed))

    async def reopen(self, verdict: LetterVerdict) -> bool:
        """Park a discarded letter again; false when it is not, or its job went on."""
        untold = {"level": 0, "escalated_at": None, "closed_at": None, "closed_by": "", "note": ""}
        reopening = (
            update(DEAD_LETTERS)
            .where(*_of_run(verdict.job_id, verdict.run), IS_DISCARDED, IS_STILL_FAILED)
            .values(state=LetterState.PARKED, **untold)
        )
        deed = _deed(verdict, "reopen_dead_letter")
        return await self._engine.write(partial(_change, change=reopening, deed=deed))

    async def redriven(self, verdict: LetterVerdict) -> bool:
        """Close a letter whose job was started again, or say why its claim has closed it.

        False when somebody else did, or it is said already.
        """
        is_mine = and_(IS_REDRIVEN, DEAD_LETTERS.c.closed_by == verdict.by)
        is_unexplained = and_(is_mine, DEAD_LETTERS.c.note == "")
        closing = (
            update(DEAD_LETTERS)
            .where(*_of_run(verdict.job_id, verdict.run), or_(IS_PARKED, is_unexplained))
            .values(
                state=LetterState.REDRIVEN,
                closed_at=func.coalesce(DEAD_LETTERS.c.closed_at, verdict.at),
                closed_by=verdict.by,
                note=verdict.note,
            )
        )
        return await self._engine.write(partial(_change, change=closing, deed=None))


def _park(connection: Connection, *, letter: DeadLetter, by: str) -> None:
    park(connection, letter)
    deed = AuditEntry(
        at=letter.parked_at,
        actor=by,
        action="park_dead_letter",
        target=letter.job_id,
        detail=detail_text({"run": letter.run, "code": letter.failure.code}),
    )
    audit(connection, deed)


def _escalate(connection: Connection, *, told: Sequence[Escalation], at: datetime, by: str) -> int:
    return sum(_is_raised(connection, one, at=at, by=by) for one in told)


def _is_raised(connection: Connection, one: Escalation, *, at: datetime, by: str) -> bool:
    letter = one.record.letter
    raising = (
        update(DEAD_LETTERS)
        .where(*_of_run(letter.job_id, letter.run), IS_PARKED, DEAD_LETTERS.c.level < one.level)
        .values(level=one.level, escalated_at=at)
    )
    deed = AuditEntry(
        at=at,
        actor=by,
        action="escalate_dead_letter",
        target=letter.job_id,
        detail=detail_text({"run": letter.run, "level": one.level}),
    )
    return _change(connection, change=raising, deed=deed)


def _of_run(job_id: JobId, run: int) -> tuple[ColumnElement[bool], ...]:
    return (DEAD_LETTERS.c.job_id == job_id, DEAD_LETTERS.c.run == run)


def _deed(verdict: LetterVerdict, action: str) -> AuditEntry:
    return AuditEntry(
        at=verdict.at,
        actor=verdict.by,
        action=action,
        target=verdict.job_id,
        reason=verdict.note,
        detail=detail_text({"run": verdict.run}),
    )


def _change(connection: Connection, *, change: Update, deed: AuditEntry | None) -> bool:
    """Change one letter if it is still as expected, and then write the deed down with it."""
    is_changed = connection.execute(change).rowcount > 0
    if is_changed and deed is not None:
        audit(connection, deed)
    return is_changed
