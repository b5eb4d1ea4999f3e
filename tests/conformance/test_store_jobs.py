"""Every store of jobs keeps these promises."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from darkroom.domain.checkpoint import Claimed, ClaimRefused, JobRecord
from darkroom.domain.items import ItemState
from darkroom.domain.job import JobId, JobKind, JobStart, Priority
from darkroom.domain.ledger import Cost
from darkroom.domain.lifecycle import JobState, Outcome, Waiting, WaitingOn
from darkroom.domain.ports import JobFilter
from darkroom.domain.stages import Progress, Stage
from tests.support.builders import (
    ADA,
    BOB,
    FIRST_WRITER,
    JOB,
    NOW,
    a_batch,
    a_claim,
    a_failure,
    a_job_id,
    a_picture,
    a_request,
    a_snapshot,
    a_start,
    an_event,
    an_item,
)
from tests.support.databases import Stores, sql_stores
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases"]

SECOND_WRITER = "writer-of-run-2"
RETRY = a_start(expected_run=1)
ITEMS = (an_item(key="0001", picture=a_picture(), state=ItemState.STORED), an_item(key="0002"))
FAILED = a_snapshot(
    state=JobState.FAILED,
    progress=Progress(percent=60, stage=Stage.GENERATE, message="1 of 2", done=1, total=2),
    waiting=Waiting(on=WaitingOn.PROVIDER, since=NOW, why="nanobanana is away"),
    outcome=Outcome.NONE,
    failure=a_failure(),
    completed_at=NOW + timedelta(minutes=3),
    cost=Cost(estimated_micros=3, spent_micros=2, unknown_micros=1),
)


async def ended(stores: Stores, state: JobState) -> JobRecord:
    """Bring Ada's job to an end in its first run."""
    await stores.jobs.claim(a_claim())
    snapshot = replace(FAILED, state=state)
    await stores.outbox.append(a_batch(items=ITEMS, snapshot=snapshot))
    return await found(stores, JOB)


async def found(stores: Stores, job_id: JobId) -> JobRecord:
    """Read a job that must be there."""
    record = await stores.jobs.job(job_id)
    assert record is not None
    return record


async def listed(stores: Stores, wanted: JobFilter, *, limit: int = 100) -> list[JobId]:
    """List jobs by id."""
    return [record.start.job_id for record in await stores.jobs.jobs(wanted, limit=limit)]


async def claimed(stores: Stores, *starts: JobStart) -> None:
    """Store jobs as submitted."""
    for start in starts:
        await stores.jobs.claim(a_claim(start))


async def test_first_claim_creates_the_job_as_its_first_run(stores: Stores) -> None:
    """Creates the row when there is none: pending, run 1, nothing recorded."""
    answer = await stores.jobs.claim(a_claim())

    assert isinstance(answer, Claimed)
    assert (answer.snapshot.run, answer.snapshot.seq) == (1, 0)
    assert answer.snapshot.state is JobState.PENDING
    assert answer.items == ()
    assert await found(stores, JOB) == JobRecord(start=a_start(), snapshot=answer.snapshot)


async def test_the_same_claim_again_is_answered_as_the_first_time(stores: Stores) -> None:
    """A claim whose answer was lost is repeated without harm."""
    first = await stores.jobs.claim(a_claim())

    assert await stores.jobs.claim(a_claim()) == first


async def test_the_same_claim_later_learns_what_was_recorded_since(stores: Stores) -> None:
    """A resumed writer gets the checkpoint, in the state that was recorded."""
    await stores.jobs.claim(a_claim())
    batch = a_batch(an_event(1), an_event(2), items=ITEMS)
    await stores.outbox.append(batch)

    answer = await stores.jobs.claim(a_claim())

    assert answer == Claimed(snapshot=batch.snapshot, items=ITEMS)


async def test_another_writer_cannot_claim_the_same_run(stores: Stores) -> None:
    """A run has one writer; the refusal names the run that stands."""
    await stores.jobs.claim(a_claim())

    answer = await stores.jobs.claim(a_claim(writer="somebody-else"))

    assert answer == ClaimRefused(run=1)


async def test_of_many_first_claims_at_once_one_wins(stores: Stores) -> None:
    """The compare-and-set holds under real concurrency."""
    claims = [a_claim(writer=f"writer-{number}") for number in range(8)]

    answers = await asyncio.gather(*(stores.jobs.claim(claim) for claim in claims))

    assert sum(isinstance(answer, Claimed) for answer in answers) == 1
    assert answers.count(ClaimRefused(run=1)) == len(claims) - 1


async def test_a_retry_of_an_unknown_job_is_refused(stores: Stores) -> None:
    """Only a submitted job is created; a retry needs the job it retries."""
    assert await stores.jobs.claim(a_claim(RETRY)) == ClaimRefused(run=0)
    assert await stores.jobs.job(JOB) is None


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
async def test_a_retry_of_an_ended_job_becomes_its_next_run(
    stores: Stores, state: JobState
) -> None:
    """Progress, cost, items and numbers stay; how the last run ended is forgotten."""
    before = await ended(stores, state)

    answer = await stores.jobs.claim(a_claim(RETRY, writer=SECOND_WRITER))

    fresh = replace(
        before.snapshot,
        run=2,
        state=JobState.PENDING,
        waiting=None,
        outcome=None,
        failure=None,
        completed_at=None,
    )
    assert answer == Claimed(snapshot=fresh, items=ITEMS)
    assert await found(stores, JOB) == JobRecord(start=RETRY, snapshot=fresh, items=ITEMS)


@pytest.mark.parametrize(
    "state", [JobState.PENDING, JobState.PROCESSING, JobState.PAUSED, JobState.COMPLETED]
)
async def test_a_retry_of_a_job_that_did_not_fail_is_refused(
    stores: Stores, state: JobState
) -> None:
    """A running job keeps its writer, and a completed job is final."""
    before = await ended(stores, state)

    assert await stores.jobs.claim(a_claim(RETRY, writer=SECOND_WRITER)) == ClaimRefused(run=1)
    assert await found(stores, JOB) == before


async def test_of_many_retries_at_once_one_wins(stores: Stores) -> None:
    """The compare-and-set holds for retries too."""
    await ended(stores, JobState.FAILED)
    claims = [a_claim(RETRY, writer=f"writer-{number}") for number in range(8)]

    answers = await asyncio.gather(*(stores.jobs.claim(claim) for claim in claims))

    assert sum(isinstance(answer, Claimed) for answer in answers) == 1
    assert answers.count(ClaimRefused(run=2)) == len(claims) - 1


async def test_retries_that_wait_for_each_other_still_win_once(postgresql_url: str) -> None:
    """A claim decides on what the winner left, not on what it saw before it had to wait."""
    claims = [a_claim(RETRY, writer=f"writer-{number}") for number in range(3)]
    async with sql_stores(postgresql_url) as stores:
        await ended(stores, JobState.FAILED)
        with psycopg.connect(postgresql_url) as other:
            other.execute("SELECT 1 FROM jobs FOR UPDATE")
            answers = asyncio.gather(*(stores.jobs.claim(claim) for claim in claims))
            await eventually(lambda: waiting_count(postgresql_url) == len(claims))

        assert sum(isinstance(answer, Claimed) for answer in await answers) == 1


def waiting_count(url: str) -> int:
    """Count the connections that wait for a lock in this database."""
    with psycopg.connect(url) as connection:
        waiting = connection.execute(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return len(waiting.fetchall())


async def test_the_same_retry_again_is_answered_as_the_first_time(stores: Stores) -> None:
    """A retry's lost answer is asked for again without harm."""
    await ended(stores, JobState.FAILED)
    retry = a_claim(RETRY, writer=SECOND_WRITER)
    first = await stores.jobs.claim(retry)

    assert await stores.jobs.claim(retry) == first


async def test_the_writer_of_an_earlier_run_is_refused(stores: Stores) -> None:
    """Whoever wrote run 1 learns that run 2 stands."""
    await ended(stores, JobState.FAILED)
    await stores.jobs.claim(a_claim(RETRY, writer=SECOND_WRITER))

    assert await stores.jobs.claim(a_claim(writer=FIRST_WRITER)) == ClaimRefused(run=2)


async def test_a_retry_with_edits_is_listed_by_them(stores: Stores) -> None:
    """What a retry changes in the request replaces what was asked before, labels included."""
    await ended(stores, JobState.FAILED)
    edited = a_request(priority=Priority.HIGH, labels={"campaign": "autumn", "team": "lamps"})
    await stores.jobs.claim(a_claim(replace(RETRY, request=edited), writer=SECOND_WRITER))

    assert await listed(stores, JobFilter(owner=ADA, priority=Priority.HIGH)) == [JOB]
    assert await listed(stores, JobFilter(owner=ADA, priority=Priority.NORMAL)) == []
    assert await listed(stores, JobFilter(owner=ADA, label=("campaign", "autumn"))) == [JOB]
    assert await listed(stores, JobFilter(owner=ADA, label=("campaign", "spring"))) == []


async def test_a_job_is_read_with_its_items_in_order(stores: Stores) -> None:
    """Items come by key, whatever order they were recorded in."""
    await stores.jobs.claim(a_claim())
    await stores.outbox.append(a_batch(items=tuple(reversed(ITEMS))))

    assert (await found(stores, JOB)).items == ITEMS


async def test_a_job_is_only_shown_to_its_owner(stores: Stores) -> None:
    """With an owner, a job is read only if it is theirs."""
    await stores.jobs.claim(a_claim())

    assert await stores.jobs.job(JOB, owner=ADA) == await found(stores, JOB)
    assert await stores.jobs.job(JOB, owner=BOB) is None


async def test_an_unknown_job_reads_as_none(stores: Stores) -> None:
    """Nothing is invented."""
    assert await stores.jobs.job(JOB) is None


async def test_jobs_are_listed_newest_first_without_items(stores: Stores) -> None:
    """The order is by moment of submission, then by id, both falling."""
    late, early = NOW + timedelta(microseconds=1), NOW
    await claimed(
        stores,
        a_start(job_id=a_job_id(1), submitted_at=early),
        a_start(job_id=a_job_id(3), submitted_at=early),
        a_start(job_id=a_job_id(2), submitted_at=late),
    )
    await stores.outbox.append(a_batch(items=ITEMS, job_id=a_job_id(2)))

    records = await stores.jobs.jobs(JobFilter(owner=ADA), limit=10)

    assert [r.start.job_id for r in records] == [a_job_id(2), a_job_id(3), a_job_id(1)]
    assert all(record.items == () for record in records)
    assert records[0] == replace(await found(stores, a_job_id(2)), items=())


async def test_a_list_shows_no_more_than_asked_and_nobody_elses(stores: Stores) -> None:
    """The limit holds, and so does the owner."""
    await claimed(
        stores,
        a_start(job_id=a_job_id(1)),
        a_start(job_id=a_job_id(2)),
        a_start(job_id=a_job_id(3), owner=BOB),
    )

    assert await listed(stores, JobFilter(owner=ADA), limit=1) == [a_job_id(2)]
    assert await listed(stores, JobFilter(owner=BOB)) == [a_job_id(3)]


@pytest.mark.parametrize(
    "wanted",
    [
        JobFilter(owner=ADA, state=JobState.PROCESSING),
        JobFilter(owner=ADA, kind=JobKind.COMBINATION_ANALYSIS),
        JobFilter(owner=ADA, priority=Priority.LOW),
        JobFilter(owner=ADA, label=("team", "lamps")),
        JobFilter(
            owner=ADA,
            state=JobState.PROCESSING,
            kind=JobKind.COMBINATION_ANALYSIS,
            priority=Priority.LOW,
            label=("team", "lamps"),
        ),
    ],
)
async def test_a_list_can_be_narrowed(stores: Stores, wanted: JobFilter) -> None:
    """Every question of the filter leaves out the jobs that do not answer it."""
    special = a_request(
        kind=JobKind.COMBINATION_ANALYSIS,
        priority=Priority.LOW,
        labels={"team": "lamps", "campaign": "spring"},
    )
    await claimed(stores, a_start(job_id=a_job_id(1), request=special), a_start(job_id=a_job_id(2)))
    await stores.outbox.append(a_batch(job_id=a_job_id(1)))

    assert await listed(stores, wanted) == [a_job_id(1)]


@pytest.mark.parametrize("label", [None, ("campaign", "spring")])
async def test_pages_follow_each_other_without_gap_or_repeat(
    stores: Stores, label: tuple[str, str] | None
) -> None:
    """A page begins after the last row of the page before, also among equal moments."""
    starts = [
        a_start(job_id=a_job_id(number), submitted_at=NOW + timedelta(seconds=number // 3))
        for number in range(10)
    ]
    await claimed(stores, *starts)
    pages: list[JobStart] = []
    wanted = JobFilter(owner=ADA, label=label)

    while page := await stores.jobs.jobs(wanted, limit=4):
        pages += [record.start for record in page]
        wanted = replace(wanted, before=(pages[-1].submitted_at, pages[-1].job_id))

    assert pages == list(reversed(starts))


async def test_an_owned_picture_is_found_by_either_hash(stores: Stores) -> None:
    """A picture answers to its own hash and to its thumbnail's."""
    await ended(stores, JobState.COMPLETED)
    picture = a_picture()

    assert await stores.jobs.owned_picture(ADA, picture.sha256) == picture
    assert await stores.jobs.owned_picture(ADA, picture.thumbnail_sha256) == picture


async def test_a_picture_is_not_found_for_others_nor_by_another_hash(stores: Stores) -> None:
    """Owning the bytes is decided by the owner's own jobs."""
    await ended(stores, JobState.COMPLETED)

    assert await stores.jobs.owned_picture(BOB, a_picture().sha256) is None
    assert await stores.jobs.owned_picture(ADA, a_picture("c").sha256) is None


async def test_an_owners_earlier_combinations_are_read_without_repeats(stores: Stores) -> None:
    """Of all jobs but the asking one, in the asked order; other dimensions and owners are left."""
    noon = (("timeOfDay", "noon"), ("weather", "sunny"))
    night = (("weather", "sunny"), ("timeOfDay", "night"))
    other = (("angle", "aerial"),)
    for number, (owner, combination) in enumerate(
        [(ADA, noon), (ADA, noon), (ADA, night), (ADA, other), (BOB, noon)], start=1
    ):
        start = a_start(job_id=a_job_id(number), owner=owner)
        await stores.jobs.claim(a_claim(start))
        item = an_item(combination=combination)
        await stores.outbox.append(a_batch(items=(item,), job_id=start.job_id))

    asked = ("timeOfDay", "weather")
    read = await stores.jobs.combinations_of(ADA, dimensions=asked, but_not=a_job_id(9))
    without = await stores.jobs.combinations_of(ADA, dimensions=asked, but_not=a_job_id(3))

    assert set(read) == {noon, (("timeOfDay", "night"), ("weather", "sunny"))}
    assert without == (noon,)
