"""Dead letters and the audit log in memory; they pass the same suite as the databases."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from darkroom.domain.audit import AuditEntry, AuditRecord, detail_text
from darkroom.domain.checkpoint import Claim, RecordBatch
from darkroom.domain.dead_letters import (
    DeadLetter,
    LetterCount,
    LetterFilter,
    LetterPlace,
    LetterRecord,
    LetterState,
    LetterVerdict,
    letter_of,
)
from darkroom.domain.escalation import Escalation, level_due
from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.job import JobId, JobStart


@dataclass(slots=True, kw_only=True)
class Archive:
    """Letters and deeds, as all fakes of one test share them."""

    letters: dict[tuple[JobId, int], LetterRecord] = field(
        default_factory=dict[tuple[JobId, int], LetterRecord]
    )
    deeds: list[AuditEntry] = field(default_factory=list[AuditEntry])

    def keep_letters(self, batch: RecordBatch, events: Sequence[JobEvent], start: JobStart) -> None:
        """Park and close what these events ask for."""
        for event in events:
            letter = letter_of(batch, event, owner=start.owner, kind=start.request.kind)
            if letter is not None:
                self.park(letter)
            elif event.kind is EventKind.JOB_RETRIED:
                self._take_up(batch.job_id, by=event.by or "", at=event.at)

    def close_letters(self, claim: Claim) -> None:
        """Close what is parked of a job that its next run claims."""
        by = claim.start.retry.by if claim.start.retry else ""
        self._take_up(claim.start.job_id, by=by, at=None)

    def park(self, letter: DeadLetter) -> None:
        """Write a letter; one of the same run starts over."""
        self.letters[letter.job_id, letter.run] = LetterRecord(letter=letter)

    def _take_up(self, job_id: JobId, *, by: str, at: datetime | None) -> None:
        for key, known in self.letters.items():
            is_undated = known.state is LetterState.REDRIVEN and known.closed_at is None
            if key[0] == job_id and (known.state is LetterState.PARKED or is_undated):
                self.letters[key] = replace(
                    known,
                    state=LetterState.REDRIVEN,
                    closed_at=at,
                    closed_by=known.closed_by or by,
                )


class MemoryAuditLog:
    """The port `AuditLog` in memory."""

    def __init__(self, archive: Archive, *, reach: Callable[[], None]) -> None:
        """Share an archive; `reach` stands for the way to the database."""
        self._archive = archive
        self._reach = reach

    async def add(self, entry: AuditEntry) -> None:
        """Write one deed down."""
        self._reach()
        self._archive.deeds.append(entry)

    async def entries(
        self, target: str | None = None, *, before: int | None = None, limit: int
    ) -> tuple[AuditRecord, ...]:
        """Read deeds, newest first; with a target, only what was done to it."""
        self._reach()
        numbered = enumerate(self._archive.deeds, start=1)
        records = [AuditRecord(number=number, entry=entry) for number, entry in numbered]
        asked = [
            record
            for record in reversed(records)
            if target in {None, record.entry.target} and (before is None or record.number < before)
        ]
        return tuple(asked[:limit])


class MemoryDeadLetterStore:
    """The port `DeadLetterStore` in memory."""

    def __init__(
        self,
        archive: Archive,
        *,
        reach: Callable[[], None],
        is_failed: Callable[[JobId, int], bool],
    ) -> None:
        """Share an archive; `is_failed` says whether a job still stands at a failed run."""
        self._archive = archive
        self._reach = reach
        self._is_failed = is_failed

    async def park(self, letter: DeadLetter, *, by: str) -> None:
        """Park a run that cannot say itself that it failed; one that is there is renewed."""
        self._reach()
        self._archive.park(letter)
        detail = detail_text({"run": letter.run, "code": letter.failure.code})
        deed = AuditEntry(
            at=letter.parked_at,
            actor=by,
            action="park_dead_letter",
            target=letter.job_id,
            detail=detail,
        )
        self._archive.deeds.append(deed)

    async def letters(self, wanted: LetterFilter, *, limit: int) -> tuple[LetterRecord, ...]:
        """List letters, oldest first by (parked_at, job_id, run)."""
        self._reach()
        after = wanted.after and _order(wanted.after)
        asked = [one for one in self._matching(wanted) if not after or _order(one.place) > after]
        return tuple(asked[:limit])

    async def letter(self, job_id: JobId, *, run: int | None = None) -> LetterRecord | None:
        """Read the letter of a run, or of the job's latest run that has one."""
        self._reach()
        runs = [of for job, of in self._archive.letters if job == job_id and run in {None, of}]
        return self._archive.letters[job_id, max(runs)] if runs else None

    async def counts(self, wanted: LetterFilter) -> tuple[LetterCount, ...]:
        """Count letters by code and stage, most first; the filter's place is ignored."""
        self._reach()
        letters = [record.letter for record in self._matching(wanted)]
        counted = Counter((letter.failure.code, letter.stage) for letter in letters)
        oldest = {
            (letter.failure.code, letter.stage): letter.parked_at for letter in reversed(letters)
        }
        most_first = sorted(counted.items(), key=lambda one: (-one[1], *one[0]))
        return tuple(
            LetterCount(code=code, stage=stage, count=count, oldest_at=oldest[code, stage])
            for (code, stage), count in most_first
        )

    async def due(
        self, at: datetime, ladder: Sequence[timedelta], *, limit: int
    ) -> tuple[Escalation, ...]:
        """Find parked letters whose level is lower than their age asks for, oldest first."""
        self._reach()
        parked = [
            (record, at - record.letter.parked_at) for record in self._matching(LetterFilter())
        ]
        owed = [
            Escalation(record=record, level=level_due(age, ladder))
            for record, age in parked
            if age >= timedelta(0) and record.level < level_due(age, ladder)
        ]
        return tuple(owed[:limit])

    async def escalate(self, told: Sequence[Escalation], *, at: datetime, by: str) -> int:
        """Raise the level of letters that were told; counts those that were still due."""
        self._reach()
        return sum(self._is_raised(one, at=at, by=by) for one in told)

    async def discard(self, verdict: LetterVerdict) -> bool:
        """Close a parked letter for good; false when it is not parked (any more)."""
        self._reach()
        key = (verdict.job_id, verdict.run)
        known = self._archive.letters.get(key)
        if known is None or known.state is not LetterState.PARKED:
            return False
        self._archive.letters[key] = replace(
            known,
            state=LetterState.DISCARDED,
            closed_at=verdict.at,
            closed_by=verdict.by,
            note=verdict.note,
        )
        self._note(verdict, "discard_dead_letter")
        return True

    async def reopen(self, verdict: LetterVerdict) -> bool:
        """Park a discarded letter again; false when it is not, or its job went on."""
        self._reach()
        known = self._archive.letters.get((verdict.job_id, verdict.run))
        if known is None or known.state is not LetterState.DISCARDED:
            return False
        if not self._is_failed(verdict.job_id, verdict.run):
            return False
        self._archive.park(known.letter)
        self._note(verdict, "reopen_dead_letter")
        return True

    async def redriven(self, verdict: LetterVerdict) -> bool:
        """Close a letter whose job was started again, or say why its claim has closed it."""
        self._reach()
        key = (verdict.job_id, verdict.run)
        known = self._archive.letters.get(key)
        if known is None or not (
            known.state is LetterState.PARKED or _is_unexplained(known, verdict)
        ):
            return False
        self._archive.letters[key] = replace(
            known,
            state=LetterState.REDRIVEN,
            closed_at=known.closed_at or verdict.at,
            closed_by=verdict.by,
            note=verdict.note,
        )
        return True

    def _is_raised(self, one: Escalation, *, at: datetime, by: str) -> bool:
        letter = one.record.letter
        key = (letter.job_id, letter.run)
        known = self._archive.letters[key]
        if known.state is not LetterState.PARKED or known.level >= one.level:
            return False
        self._archive.letters[key] = replace(known, level=one.level, escalated_at=at)
        detail = detail_text({"run": letter.run, "level": one.level})
        deed = AuditEntry(
            at=at, actor=by, action="escalate_dead_letter", target=letter.job_id, detail=detail
        )
        self._archive.deeds.append(deed)
        return True

    def _note(self, verdict: LetterVerdict, action: str) -> None:
        deed = AuditEntry(
            at=verdict.at,
            actor=verdict.by,
            action=action,
            target=verdict.job_id,
            reason=verdict.note,
            detail=detail_text({"run": verdict.run}),
        )
        self._archive.deeds.append(deed)

    def _matching(self, wanted: LetterFilter) -> list[LetterRecord]:
        records = [one for one in self._archive.letters.values() if _matches(one, wanted)]
        return sorted(records, key=lambda record: _order(record.place))


def _is_unexplained(known: LetterRecord, verdict: LetterVerdict) -> bool:
    is_theirs = known.state is LetterState.REDRIVEN and known.closed_by == verdict.by
    return is_theirs and not known.note


def _matches(record: LetterRecord, wanted: LetterFilter) -> bool:
    letter = record.letter
    pairs = (
        (wanted.code, letter.failure.code),
        (wanted.stage, letter.stage),
        (wanted.provider, letter.failure.provider),
        (wanted.owner, letter.owner),
        (wanted.kind, letter.kind),
    )
    return (
        record.state is wanted.state
        and all(asked in {None, is_so} for asked, is_so in pairs)
        and (wanted.parked_before is None or letter.parked_at < wanted.parked_before)
    )


def _order(place: LetterPlace) -> tuple[datetime, str, int]:
    return (place.parked_at, place.job_id, place.run)
