"""Every outbox keeps these promises."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from darkroom.domain.checkpoint import Claimed, JobRecord, RecordBatch, Recorded
from darkroom.domain.events import (
    EventKind,
    ImageError,
    ImageResult,
    JobEvent,
    JobResult,
    Statistics,
)
from darkroom.domain.items import Item, ItemState, StoredPicture
from darkroom.domain.lifecycle import JobState, Outcome, Waiting, WaitingOn
from darkroom.domain.stages import Progress, Stage
from tests.support.builders import (
    JOB,
    NOW,
    a_batch,
    a_claim,
    a_failure,
    a_job_id,
    a_picture,
    a_snapshot,
    a_start,
    an_event,
    an_item,
)
from tests.support.databases import Stores

pytest_plugins = ["tests.support.databases"]

PLANNED = an_item(key="0001")
STORED = an_item(key="0001", state=ItemState.STORED, picture=a_picture())


@pytest.fixture
async def claimed(stores: Stores) -> Stores:
    """The stores once Ada's job has a writer."""
    assert isinstance(await stores.jobs.claim(a_claim()), Claimed)
    return stores


def first(count: int) -> tuple[JobEvent, ...]:
    """Tell the first events of the log."""
    return tuple(an_event(number) for number in range(1, count + 1))


def other(seq: int) -> JobEvent:
    """Tell something else under the same number."""
    return an_event(seq, kind=EventKind.JOB_WAITING)


async def log_of(stores: Stores) -> tuple[JobEvent, ...]:
    """Read Ada's whole log."""
    return await stores.outbox.events_after(JOB, 0, limit=1000)


async def record_of(stores: Stores) -> JobRecord:
    """Read Ada's job."""
    record = await stores.jobs.job(JOB)
    assert record is not None
    return record


async def test_appended_events_are_read_in_order(claimed: Stores) -> None:
    """What one batch or several bring is one log."""
    await claimed.outbox.append(a_batch(*first(2)))

    answer = await claimed.outbox.append(a_batch(an_event(3)))

    assert answer == Recorded(head=3)
    assert await log_of(claimed) == first(3)


async def test_reading_begins_after_a_number_and_ends_at_the_limit(claimed: Stores) -> None:
    """A reader goes on where it stopped, in pieces of its own size."""
    await claimed.outbox.append(a_batch(*first(5)))

    assert await claimed.outbox.events_after(JOB, 2, limit=2) == first(4)[2:]
    assert await claimed.outbox.events_after(JOB, 4, limit=2) == first(5)[4:]
    assert await claimed.outbox.events_after(JOB, 5, limit=2) == ()


def a_result(picture: StoredPicture) -> JobResult:
    """Deliver one picture and miss another."""
    image = ImageResult(
        item="0001",
        sha256=picture.sha256,
        thumbnail_sha256=picture.thumbnail_sha256,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
    )
    statistics = Statistics(
        pictures=1,
        failed=1,
        attempts_failed=3,
        processing_seconds=12.25,
        spent_micros=40_000,
        unknown_micros=0,
    )
    return JobResult(
        outcome=Outcome.PARTIAL,
        images=(image,),
        errors=(ImageError(item="0002", code="content_refused", message="too bright"),),
        statistics=statistics,
    )


async def test_an_event_comes_back_with_every_field(claimed: Stores) -> None:
    """Nothing of an event is lost in the store, not even a microsecond."""
    picture = a_picture()
    full = JobEvent(
        seq=1,
        run=1,
        at=NOW,
        kind=EventKind.JOB_COMPLETED,
        state=JobState.COMPLETED,
        progress=Progress(percent=100, stage=Stage.FINISH, message="fertig ✓", done=1, failed=1),
        stage=Stage.FINISH,
        item="0001",
        attempt=2,
        next_try_at=NOW + timedelta(microseconds=1),
        failure=a_failure(),
        picture=picture,
        waiting=Waiting(on=WaitingOn.SLOT, since=NOW, why="5 of 5 slots are taken"),
        result=a_result(picture),
    )
    await claimed.outbox.append(a_batch(full))

    assert await log_of(claimed) == (full,)


async def test_items_and_snapshot_are_stored_with_the_events(claimed: Stores) -> None:
    """The checkpoint always stands where the log stands."""
    batch = a_batch(*first(2), items=(STORED,))

    await claimed.outbox.append(batch)

    assert await record_of(claimed) == JobRecord(
        start=a_start(), snapshot=batch.snapshot, items=(STORED,)
    )


async def test_a_batch_changes_the_items_it_brings_and_no_others(claimed: Stores) -> None:
    """Items are kept until an event reports on them again."""
    second = an_item(key="0002")
    await claimed.outbox.append(a_batch(items=(PLANNED, second)))

    await claimed.outbox.append(a_batch(an_event(2), items=(STORED,)))

    assert (await record_of(claimed)).items == (STORED, second)


async def test_the_same_batch_again_changes_nothing(claimed: Stores) -> None:
    """A record whose answer was lost is repeated without harm."""
    batch = a_batch(*first(2), items=(STORED,))
    await claimed.outbox.append(batch)
    before = await record_of(claimed)

    assert await claimed.outbox.append(batch) == Recorded(head=2)
    assert await log_of(claimed) == first(2)
    assert await record_of(claimed) == before


async def test_an_earlier_batch_again_does_not_turn_the_job_back(claimed: Stores) -> None:
    """The job row and the items only move forward."""
    early = a_batch(an_event(1), items=(PLANNED,))
    late = a_batch(an_event(2, state=JobState.PAUSED), items=(STORED,))
    await claimed.outbox.append(early)
    await claimed.outbox.append(late)

    assert await claimed.outbox.append(early) == Recorded(head=2)
    assert await record_of(claimed) == JobRecord(
        start=a_start(), snapshot=late.snapshot, items=(STORED,)
    )


async def test_a_batch_that_repeats_its_beginning_adds_the_rest(claimed: Stores) -> None:
    """Known events are skipped, and what follows them is stored."""
    await claimed.outbox.append(a_batch(*first(2), items=(PLANNED,)))

    answer = await claimed.outbox.append(a_batch(*first(4), items=(STORED,)))

    assert answer == Recorded(head=4)
    assert await log_of(claimed) == first(4)
    assert (await record_of(claimed)).items == (STORED,)


@pytest.mark.parametrize(
    "events",
    [
        (other(1),),
        (other(2),),
        (an_event(1), other(2), an_event(3)),
        (other(1), an_event(2), an_event(3)),
    ],
)
async def test_other_events_under_the_same_numbers_change_nothing(
    claimed: Stores, events: tuple[JobEvent, ...]
) -> None:
    """Two histories under one number: the stored one stands, and the head is answered."""
    await claimed.outbox.append(a_batch(*first(2), items=(PLANNED,)))
    before = await record_of(claimed)

    answer = await claimed.outbox.append(a_batch(*events, items=(STORED,)))

    assert answer == Recorded(head=2, appended=False)
    assert await log_of(claimed) == first(2)
    assert await record_of(claimed) == before


@pytest.mark.parametrize(
    "batch",
    [
        a_batch(an_event(3)),
        a_batch(an_event(1), an_event(3)),
        a_batch(an_event(2), an_event(1)),
        a_batch(an_event(1), an_event(1)),
        a_batch(*first(2), snapshot=a_snapshot(1)),
        replace(a_batch(items=(PLANNED,)), events=()),
    ],
    ids=["gap", "gap inside", "backwards", "twice", "snapshot behind", "items without event"],
)
async def test_a_batch_no_correct_writer_makes_is_refused(
    claimed: Stores, batch: RecordBatch
) -> None:
    """A programming error is loud, and leaves the log as it was."""
    before = await record_of(claimed)

    with pytest.raises(ValueError, match=JOB):
        await claimed.outbox.append(batch)

    assert await log_of(claimed) == ()
    assert await record_of(claimed) == before


async def test_a_snapshot_taken_later_counts_only_to_the_last_stored_event(
    claimed: Stores,
) -> None:
    """A log that is stored in chunks never claims a number that is not there yet."""
    await claimed.outbox.append(a_batch(*first(2), snapshot=a_snapshot(7)))

    assert (await record_of(claimed)).snapshot.seq == 2


async def test_an_empty_batch_asks_for_the_head(claimed: Stores) -> None:
    """With nothing to say, a writer learns where the log stands."""
    await claimed.outbox.append(a_batch(*first(2)))

    assert await claimed.outbox.append(replace(a_batch(), events=())) == Recorded(head=2)


async def test_another_writer_is_told_to_drop_its_batch(claimed: Stores) -> None:
    """Only the run that claimed the job writes its log."""
    await claimed.outbox.append(a_batch(*first(2)))
    before = await record_of(claimed)

    answer = await claimed.outbox.append(
        a_batch(an_event(3), items=(STORED,), writer="somebody-else")
    )

    assert answer == Recorded(head=2, is_writer=False)
    assert await log_of(claimed) == first(2)
    assert await record_of(claimed) == before


async def test_a_writer_whose_job_was_retried_is_told_to_drop_its_batch(claimed: Stores) -> None:
    """The run before the present one has lost the log, even for an identical batch."""
    batch = a_batch(an_event(1, state=JobState.FAILED))
    await claimed.outbox.append(batch)
    await claimed.jobs.claim(a_claim(a_start(expected_run=1), writer="writer-of-run-2"))

    assert await claimed.outbox.append(batch) == Recorded(head=1, is_writer=False)


async def test_the_next_run_goes_on_in_the_same_log(claimed: Stores) -> None:
    """Numbers count over all runs of a job."""
    await claimed.outbox.append(a_batch(an_event(1, state=JobState.FAILED)))
    await claimed.jobs.claim(a_claim(a_start(expected_run=1), writer="writer-of-run-2"))

    answer = await claimed.outbox.append(a_batch(an_event(2, run=2), writer="writer-of-run-2"))

    assert answer == Recorded(head=2)
    record = await record_of(claimed)
    assert (record.snapshot.run, record.snapshot.seq) == (2, 2)


async def test_a_job_nobody_claimed_has_no_writer(stores: Stores) -> None:
    """A batch for an unknown job is dropped: its row was lost or pruned."""
    assert await stores.outbox.append(a_batch()) == Recorded(head=0, is_writer=False)
    assert await log_of(stores) == ()


async def test_twenty_records_of_one_batch_at_once_store_it_once(claimed: Stores) -> None:
    """Attempts that run side by side agree, and each is told the same."""
    batch = a_batch(*first(3), items=(STORED,))

    answers = await asyncio.gather(*(claimed.outbox.append(batch) for _ in range(20)))

    assert set(answers) == {Recorded(head=3)}
    assert await log_of(claimed) == first(3)


async def test_of_different_batches_at_once_one_is_stored(claimed: Stores) -> None:
    """Histories that compete for a number do not mix."""
    items = [an_item(key="0001", attempts=number) for number in range(10)]
    batches = [a_batch(an_event(1, attempt=item.attempts), items=(item,)) for item in items]

    answers = await asyncio.gather(*(claimed.outbox.append(batch) for batch in batches))

    (winner,) = (b for b, a in zip(batches, answers, strict=True) if a == Recorded(head=1))
    assert answers.count(Recorded(head=1, appended=False)) == len(batches) - 1
    assert await log_of(claimed) == winner.events
    assert (await record_of(claimed)).items == winner.items


async def test_logs_of_many_jobs_grow_side_by_side(stores: Stores) -> None:
    """Writers of different jobs do not disturb each other."""
    jobs = [a_job_id(number) for number in range(10)]
    items = tuple(an_item(key=f"{number:04d}") for number in range(1, 21))

    async def write(number: int) -> None:
        await stores.jobs.claim(a_claim(a_start(job_id=jobs[number])))
        for event in first(5):
            await stores.outbox.append(a_batch(event, items=items, job_id=jobs[number]))

    await asyncio.gather(*(write(number) for number in range(10)))

    assert await stores.outbox.heads(jobs) == dict.fromkeys(jobs, 5)
    records = [await stores.jobs.job(job) for job in jobs]
    assert all(record is not None and record.items == items for record in records)


async def test_heads_leave_out_jobs_without_events(claimed: Stores) -> None:
    """A job that was claimed, and one that nobody knows, have no last number."""
    written, unknown = a_job_id(7), a_job_id(8)
    await claimed.jobs.claim(a_claim(a_start(job_id=written)))
    await claimed.outbox.append(a_batch(*first(3), job_id=written))

    assert await claimed.outbox.heads([JOB, written, unknown]) == {written: 3}
    assert await claimed.outbox.heads([]) == {}


async def test_a_job_of_two_hundred_items_is_recorded_whole(claimed: Stores) -> None:
    """The largest job fits into one batch."""
    items: tuple[Item, ...] = tuple(
        an_item(key=f"{number:04d}", state=ItemState.STORED, picture=a_picture())
        for number in range(1, 201)
    )

    await claimed.outbox.append(a_batch(*first(200), items=items))

    assert (await record_of(claimed)).items == items
    assert await log_of(claimed) == first(200)
