"""A run may take an open job over only if it names the writer that is gone."""

import pytest

from darkroom.domain.checkpoint import Claimed, ClaimRefused
from darkroom.domain.drift import RECONCILE, lost, taking_over
from darkroom.domain.job import JobStart, Repair
from darkroom.domain.lifecycle import JobState
from tests.support.builders import (
    FIRST_WRITER,
    JOB,
    a_batch,
    a_claim,
    a_snapshot,
    a_start,
    an_event,
    an_item,
)
from tests.support.databases import Stores

pytest_plugins = ["tests.support.databases"]

SECOND_WRITER = "writer-of-run-2"


async def an_open_job(stores: Stores, state: JobState = JobState.PROCESSING) -> None:
    """Write a job that its first run left at this state, with one item."""
    await stores.jobs.claim(a_claim())
    event = an_event(state=state)
    batch = a_batch(event, items=(an_item(),), snapshot=a_snapshot(state=state))
    await stores.outbox.append(batch)


async def the_repair(stores: Stores, **changes: str) -> JobStart:
    """Make the start of the run that takes the job over."""
    written = await stores.inventory.written(JOB)
    assert written
    return taking_over(written, lost("gone") if changes.get("ends") else None)


async def test_a_run_that_names_the_dead_writer_takes_the_job_over(stores: Stores) -> None:
    """It goes on as the job stood, under the next number, with its items and its log."""
    await an_open_job(stores)

    answer = await stores.jobs.claim(a_claim(await the_repair(stores), writer=SECOND_WRITER))

    assert isinstance(answer, Claimed)
    assert (answer.snapshot.run, answer.snapshot.seq) == (2, 1)
    assert answer.snapshot.state is JobState.PROCESSING
    assert [item.key for item in answer.items] == ["0001"]
    told = await stores.outbox.append(a_batch(an_event(2)))
    assert not told.is_writer


async def test_the_same_repair_claimed_twice_is_answered_as_the_first_time(stores: Stores) -> None:
    """A claim whose answer was lost is repeated by the same run."""
    await an_open_job(stores)
    claim = a_claim(await the_repair(stores), writer=SECOND_WRITER)

    answers = [await stores.jobs.claim(claim) for _ in range(2)]

    assert answers[0] == answers[1]


async def test_of_two_repairs_one_takes_the_job_over(stores: Stores) -> None:
    """Both saw the same writer gone; the second learns that it is too late."""
    await an_open_job(stores)
    start = await the_repair(stores)

    first = await stores.jobs.claim(a_claim(start, writer=SECOND_WRITER))
    second = await stores.jobs.claim(a_claim(start, writer="writer-of-another-run-2"))

    assert isinstance(first, Claimed)
    assert second == ClaimRefused(run=2)


async def test_a_repair_that_names_another_writer_changes_nothing(stores: Stores) -> None:
    """Whoever writes the job now was not the one that was seen gone."""
    await an_open_job(stores)
    start = a_start(expected_run=1, repair=Repair(writer="somebody else"))

    answer = await stores.jobs.claim(a_claim(start, writer=SECOND_WRITER))

    assert answer == ClaimRefused(run=1)
    told = await stores.outbox.append(a_batch(an_event(2)))
    assert told.is_writer


async def test_a_repair_of_a_job_that_completed_meanwhile_changes_nothing(stores: Stores) -> None:
    """What was flushed at the last moment counts."""
    await an_open_job(stores)
    start = await the_repair(stores)
    done = an_event(2, state=JobState.COMPLETED)
    await stores.outbox.append(a_batch(done))

    answer = await stores.jobs.claim(a_claim(start, writer=SECOND_WRITER))

    assert answer == ClaimRefused(run=1)


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.PROCESSING, JobState.PAUSED])
async def test_a_job_that_is_only_to_be_ended_stands_where_it_can_fail(
    stores: Stores, state: JobState
) -> None:
    """A paused job cannot fail, so it is pending first."""
    await an_open_job(stores, state)

    claim = a_claim(await the_repair(stores, ends="failed"), writer=SECOND_WRITER)
    answer = await stores.jobs.claim(claim)

    assert isinstance(answer, Claimed)
    assert answer.snapshot.state is (JobState.PENDING if state is JobState.PAUSED else state)


async def test_a_paused_job_that_is_taken_over_stays_paused(stores: Stores) -> None:
    """What somebody asked for outlives the run that heard it."""
    await an_open_job(stores, JobState.PAUSED)

    answer = await stores.jobs.claim(a_claim(await the_repair(stores), writer=SECOND_WRITER))

    assert isinstance(answer, Claimed)
    assert answer.snapshot.state is JobState.PAUSED


async def test_the_store_does_not_remember_a_repair(stores: Stores) -> None:
    """A later retry starts from the row; the repair's end must not come with it."""
    await an_open_job(stores)
    claim = a_claim(await the_repair(stores, ends="failed"), writer=SECOND_WRITER)

    await stores.jobs.claim(claim)

    record = await stores.jobs.job(JOB)
    assert record
    assert record.start.repair is None
    assert record.start.retry
    assert record.start.retry.by == RECONCILE
    written = await stores.inventory.written(JOB)
    assert written
    assert written.writer == SECOND_WRITER


async def test_terms_of_a_retry_that_was_lost_before_its_first_event_still_hold(
    stores: Stores,
) -> None:
    """Only a run that has spoken has carried out what the retry asked for."""
    await stores.jobs.claim(a_claim())

    written = await stores.inventory.written(JOB)

    assert written
    assert written.writer == FIRST_WRITER
    assert not written.has_spoken
    assert taking_over(written).retry is written.start.retry
