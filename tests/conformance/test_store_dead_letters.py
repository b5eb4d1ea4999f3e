"""A failed run is parked with its end, and closed by its job's next run or by people."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from darkroom.domain.checkpoint import Claimed
from darkroom.domain.dead_letters import (
    DeadLetter,
    LetterCount,
    LetterFilter,
    LetterRecord,
    LetterState,
    LetterVerdict,
)
from darkroom.domain.events import EventKind, JobResult, Statistics
from darkroom.domain.job import JobId, JobKind, RetryTerms
from darkroom.domain.ledger import Cost
from darkroom.domain.lifecycle import JobState, Outcome
from darkroom.domain.stages import Stage
from tests.support.builders import (
    ADA,
    BOB,
    FAILURE,
    FIRST_WRITER,
    JOB,
    NOW,
    START,
    a_batch,
    a_claim,
    a_failed_end,
    a_failure,
    a_job_id,
    a_letter,
    a_snapshot,
    a_start,
    an_event,
)
from tests.support.databases import Stores

pytest_plugins = ["tests.support.databases"]

HOUR = timedelta(hours=1)
LADDER = (timedelta(minutes=15), HOUR)
RESULT = JobResult(
    outcome=Outcome.NONE,
    images=(),
    errors=(),
    statistics=Statistics(
        pictures=0,
        failed=2,
        attempts_failed=8,
        processing_seconds=12.5,
        spent_micros=40_000,
        unknown_micros=7,
    ),
)
COST = Cost(estimated_micros=80_000, spent_micros=40_000, unknown_micros=7)


async def failed_job(stores: Stores, job_id: JobId = JOB, **changes: Any) -> None:
    """Carry a job to its failed end, in two events."""
    await stores.jobs.claim(a_claim(a_start(job_id=job_id)))
    end = a_failed_end(2, **({"result": RESULT} | changes))
    snapshot = a_snapshot(2, state=JobState.FAILED, failure=end.failure, cost=COST)
    batch = a_batch(an_event(1), end, job_id=job_id, snapshot=snapshot)
    recorded = await stores.outbox.append(batch)
    assert recorded.appended
    assert recorded.is_writer


async def retried(stores: Stores, *, writer: str = "writer-of-run-2", by: str = "ada") -> None:
    """Claim the job's second run, and report it."""
    start = a_start(expected_run=1, retry=RetryTerms(by=by))
    assert isinstance(await stores.jobs.claim(a_claim(start, writer=writer)), Claimed)
    await reported(stores, writer=writer, run=2)


async def reported(stores: Stores, *, writer: str, run: int) -> None:
    """Say in the log that the job was taken up again."""
    event = an_event(3, run=run, kind=EventKind.JOB_RETRIED, state=JobState.PENDING)
    await stores.outbox.append(a_batch(event, writer=writer))


async def the_letter(stores: Stores, job_id: JobId = JOB, run: int | None = None) -> LetterRecord:
    """Read a letter that must be there."""
    record = await stores.letters.letter(job_id, run=run)
    assert record is not None
    return record


async def parked(stores: Stores, *letters: DeadLetter) -> None:
    """Park letters as reconciliation does."""
    for letter in letters:
        await stores.letters.park(letter, by="reconcile")


def a_verdict(**changes: Any) -> LetterVerdict:
    """Decide about the first run of Ada's job."""
    verdict = LetterVerdict(job_id=JOB, run=1, by="operator", at=NOW + HOUR, note="seen")
    return replace(verdict, **changes)


async def test_a_failed_end_parks_a_letter(stores: Stores) -> None:
    """Everything triage needs stands in it: whose, where, why, how often, for how much."""
    await failed_job(stores)

    record = await the_letter(stores)

    letter = record.letter
    assert letter == DeadLetter(
        job_id=JOB,
        run=1,
        owner=START.owner,
        kind=JobKind.IMAGE_GENERATION,
        failure=FAILURE,
        stage=Stage.GENERATE,
        item="0001",
        attempts=8,
        cost=COST,
        parked_at=NOW,
        remedy=letter.remedy,
    )
    assert "redrive" in letter.remedy
    assert record == LetterRecord(letter=letter)


async def test_other_ends_park_nothing(stores: Stores) -> None:
    """A completed or cancelled job is nobody's trouble."""
    for number, kind in enumerate((EventKind.JOB_COMPLETED, EventKind.JOB_CANCELLED)):
        await failed_job(stores, a_job_id(number), kind=kind)

    assert await stores.letters.letters(LetterFilter(), limit=10) == ()


async def test_an_end_recorded_twice_parks_once(stores: Stores) -> None:
    """A repeated record does not undo what an operator decided in between."""
    await failed_job(stores)
    await stores.letters.discard(a_verdict())

    await failed_job(stores)

    assert (await the_letter(stores)).state is LetterState.DISCARDED


async def test_the_claim_of_a_retry_closes_the_letter(stores: Stores) -> None:
    """From then on nobody is told of it; who retried is known."""
    await failed_job(stores)
    start = a_start(expected_run=1, retry=RetryTerms(by="ada"))

    await stores.jobs.claim(a_claim(start, writer="second"))
    claimed = await the_letter(stores)
    await reported(stores, writer="second", run=2)

    assert (claimed.state, claimed.closed_by) == (LetterState.REDRIVEN, "ada")
    assert (await the_letter(stores)).closed_at == NOW
    assert (await the_letter(stores)).closed_by == "ada"


async def test_a_refused_claim_leaves_the_letter_parked(stores: Stores) -> None:
    """A run that never wrote anything has taken nothing up."""
    await failed_job(stores)

    await stores.jobs.claim(a_claim(a_start(expected_run=7), writer="late"))

    assert (await the_letter(stores)).state is LetterState.PARKED


async def test_a_reset_run_closes_its_own_letter_and_may_park_it_again(stores: Stores) -> None:
    """`temporal workflow reset` opens the same run again: the same letter, started over."""
    await failed_job(stores)
    await stores.letters.escalate(await due(stores, NOW), at=NOW, by="schedule")

    await reported(stores, writer=FIRST_WRITER, run=1)
    reset = await the_letter(stores)
    later = NOW + HOUR
    snapshot = a_snapshot(4, state=JobState.FAILED, cost=COST)
    await stores.outbox.append(a_batch(a_failed_end(4, at=later), snapshot=snapshot))

    assert (reset.state, reset.closed_at) == (LetterState.REDRIVEN, NOW)
    again = await the_letter(stores)
    assert (again.state, again.level, again.closed_at) == (LetterState.PARKED, 0, None)
    assert again.letter.parked_at == later


async def test_each_failed_run_has_a_letter_of_its_own(stores: Stores) -> None:
    """The latest is the one to act on; the earlier ones stay as history."""
    await failed_job(stores)
    await retried(stores)
    snapshot = a_snapshot(4, run=2, state=JobState.FAILED, cost=COST)
    batch = a_batch(a_failed_end(4, run=2), writer="writer-of-run-2", snapshot=snapshot)

    await stores.outbox.append(batch)

    assert (await the_letter(stores)).letter.run == 2
    assert (await the_letter(stores)).state is LetterState.PARKED
    assert (await the_letter(stores, run=1)).state is LetterState.REDRIVEN
    assert await stores.letters.letter(JOB, run=3) is None
    assert await stores.letters.letter(a_job_id(9)) is None


async def test_letters_are_listed_oldest_first_page_by_page(stores: Stores) -> None:
    """Whoever has waited longest stands at the top; equal moments are told apart."""
    letters = [
        a_letter(job_id=a_job_id(n), parked_at=NOW + timedelta(seconds=n // 2)) for n in range(5)
    ]
    await parked(stores, *reversed(letters))

    first = await stores.letters.letters(LetterFilter(), limit=3)
    rest = await stores.letters.letters(LetterFilter(after=first[-1].place), limit=3)

    assert [record.letter for record in (*first, *rest)] == letters


async def test_letters_are_found_by_what_went_wrong_and_whose_they_are(stores: Stores) -> None:
    """Each filter narrows; together they narrow more."""
    refused = a_failure(code="content_refused", provider="gemini")
    mine = a_letter(job_id=a_job_id(1))
    hers = a_letter(job_id=a_job_id(2), owner=BOB, failure=refused, stage=Stage.ENHANCE)
    late = a_letter(job_id=a_job_id(3), kind=JobKind.BATCH_PROCESSING, parked_at=NOW + HOUR)
    await parked(stores, mine, hers, late)

    async def found(**asked: Any) -> list[DeadLetter]:
        records = await stores.letters.letters(LetterFilter(**asked), limit=10)
        return [record.letter for record in records]

    assert await found(code="content_refused") == [hers]
    assert await found(stage=Stage.GENERATE) == [mine, late]
    assert await found(provider="gemini") == [hers]
    assert await found(owner=ADA) == [mine, late]
    assert await found(kind=JobKind.BATCH_PROCESSING) == [late]
    assert await found(parked_before=NOW + HOUR) == [mine, hers]
    assert await found(owner=BOB, stage=Stage.GENERATE) == []
    assert await found(state=LetterState.DISCARDED) == []


async def test_letters_are_counted_by_cause(stores: Stores) -> None:
    """The most frequent cause comes first, with the moment of its oldest letter."""
    refused = a_failure(code="content_refused")
    await parked(
        stores,
        a_letter(job_id=a_job_id(1), failure=refused),
        a_letter(job_id=a_job_id(2), parked_at=NOW + HOUR),
        a_letter(job_id=a_job_id(3), parked_at=NOW),
    )

    counts = await stores.letters.counts(LetterFilter())

    assert counts == (
        LetterCount(code="provider_unavailable", stage=Stage.GENERATE, count=2, oldest_at=NOW),
        LetterCount(code="content_refused", stage=Stage.GENERATE, count=1, oldest_at=NOW),
    )
    assert await stores.letters.counts(LetterFilter(owner=BOB)) == ()


async def due(stores: Stores, at: datetime) -> Any:
    """Ask which tellings are due."""
    return await stores.letters.due(at, LADDER, limit=10)


async def test_a_parked_letter_is_due_at_once_and_again_with_each_rung(stores: Stores) -> None:
    """Told at level 1 when it is parked, then once with each age of the ladder."""
    await parked(stores, a_letter())
    levels: list[int] = []
    for minutes in (0, 1, 14, 15, 16, 59, 60, 61, 6000):
        at = NOW + timedelta(minutes=minutes)
        told = await due(stores, at)
        levels += [one.level for one in told]
        await stores.letters.escalate(told, at=at, by="schedule")

    assert levels == [1, 2, 3]
    record = await the_letter(stores)
    assert (record.level, record.escalated_at) == (3, NOW + HOUR)


async def test_a_schedule_that_was_away_tells_once(stores: Stores) -> None:
    """Three rungs that passed unseen are one telling, at the level that fits."""
    await parked(stores, a_letter())

    told = await due(stores, NOW + 5 * HOUR)

    assert [one.level for one in told] == [3]
    assert await stores.letters.escalate(told, at=NOW, by="schedule") == 1
    assert await stores.letters.escalate(told, at=NOW, by="schedule") == 0
    assert await due(stores, NOW + 5 * HOUR) == ()


async def test_due_letters_are_handed_out_oldest_first_and_bounded(stores: Stores) -> None:
    """A flood is told in portions."""
    letters = [a_letter(job_id=a_job_id(n), parked_at=NOW + timedelta(seconds=n)) for n in range(3)]
    await parked(stores, *letters)

    told = await stores.letters.due(NOW + HOUR, LADDER, limit=2)

    assert [one.record.letter for one in told] == letters[:2]


async def test_a_closed_letter_is_not_told(stores: Stores) -> None:
    """Whoever decided has been told enough, even if the telling was under way."""
    await parked(stores, a_letter())
    told = await due(stores, NOW)
    await stores.letters.discard(a_verdict())

    raised = await stores.letters.escalate(told, at=NOW, by="schedule")

    assert raised == 0
    assert await due(stores, NOW + HOUR) == ()


async def test_a_discarded_letter_says_who_when_and_why(stores: Stores) -> None:
    """Only a parked letter can be discarded, and only once."""
    await parked(stores, a_letter())

    assert await stores.letters.discard(a_verdict(note="a test job"))
    assert not await stores.letters.discard(a_verdict(note="again"))
    assert not await stores.letters.discard(a_verdict(job_id=a_job_id(9)))

    record = await the_letter(stores)
    assert record.state is LetterState.DISCARDED
    assert (record.closed_at, record.closed_by, record.note) == (
        *(NOW + HOUR, "operator", "a test job"),
    )


async def test_a_discarded_letter_can_be_opened_again(stores: Stores) -> None:
    """As if nobody had looked at it: it will be told anew."""
    await failed_job(stores)
    before = await the_letter(stores)
    assert not await stores.letters.reopen(a_verdict())
    await stores.letters.escalate(await due(stores, NOW), at=NOW, by="schedule")
    await stores.letters.discard(a_verdict())

    assert await stores.letters.reopen(a_verdict(note="it matters"))

    assert await the_letter(stores) == before


async def test_a_discarded_letter_of_a_job_that_went_on_stays_closed(stores: Stores) -> None:
    """Its owner may retry the job all the same; then there is nothing left to triage."""
    await failed_job(stores)
    await stores.letters.discard(a_verdict())
    await retried(stores)

    assert not await stores.letters.reopen(a_verdict())

    assert (await the_letter(stores)).state is LetterState.DISCARDED


async def test_a_redriven_letter_is_closed_before_a_worker_claims(stores: Stores) -> None:
    """With every worker down, a second bulk redrive takes the next letters."""
    await failed_job(stores)

    assert await stores.letters.redriven(a_verdict(note="key mended"))
    assert not await stores.letters.redriven(a_verdict(note="again"))
    await retried(stores, by="somebody else")

    record = await the_letter(stores)
    assert record.state is LetterState.REDRIVEN
    assert (record.closed_at, record.closed_by, record.note) == (
        *(NOW + HOUR, "operator", "key mended"),
    )


async def test_a_letter_that_the_claim_has_closed_is_told_why(stores: Stores) -> None:
    """The worker is mostly quicker than the operator's door; the reason is kept all the same."""
    await failed_job(stores)
    await retried(stores, by="operator")

    assert not await stores.letters.redriven(a_verdict(by="somebody else"))
    assert await stores.letters.redriven(a_verdict(note="key mended"))
    assert not await stores.letters.redriven(a_verdict(note="again"))

    record = await the_letter(stores)
    assert (record.closed_at, record.closed_by, record.note) == (NOW, "operator", "key mended")


async def test_every_deed_about_a_letter_is_audited_once(stores: Stores) -> None:
    """Whoever asks later what happened to a job reads it in order; what changed nothing is not."""
    await failed_job(stores)
    await parked(stores, a_letter())
    await stores.letters.escalate(await due(stores, NOW), at=NOW, by="schedule")
    for note in ("wrong", "twice"):
        await stores.letters.discard(a_verdict(note=note))
    await stores.letters.reopen(a_verdict(note="right"))

    deeds = await stores.audit.entries(JOB, limit=10)

    assert [(one.entry.action, one.entry.actor, one.entry.reason) for one in deeds] == [
        ("reopen_dead_letter", "operator", "right"),
        ("discard_dead_letter", "operator", "wrong"),
        ("escalate_dead_letter", "schedule", ""),
        ("park_dead_letter", "reconcile", ""),
    ]
    assert deeds[2].entry.detail == '{"level":1,"run":1}'
