"""Reconcile on a real Temporal server: each kind of drift, made by hand and mended once."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.drift_jobs import restored_writer
from darkroom.domain.checkpoint import JobSnapshot
from darkroom.domain.drift import DriftKind, ReconcileOrder, WrittenJob
from darkroom.domain.errors import ProviderUnavailable, ResultGone
from darkroom.domain.items import ItemState, StoredPicture
from darkroom.domain.job import JobId
from darkroom.domain.ledger import NO_CHANGES, CallKey, LedgerChanges, LedgerRow, LedgerState
from darkroom.domain.lifecycle import JobState
from darkroom.runtime.temporal import connect, ensure_search_attributes
from tests.support.builders import (
    a_batch,
    a_claim,
    a_picture,
    a_snapshot,
    a_start,
    an_event,
    an_item,
    an_opening,
)
from tests.support.databases import memory_stores, sql_stores
from tests.support.fake_providers import PICTURE, FakeImageProvider
from tests.support.fakes import MemoryState
from tests.support.reconciling import DriftingHouse, with_run
from tests.support.stand_in_job import slot_request
from tests.support.waiting import eventually
from tests.support.workers import renamed

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]


A_WHILE_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def house(sqlite_url: str, temporal_address: str) -> AsyncGenerator[DriftingHouse]:
    """A house over SQLite."""
    client = await connect(address=temporal_address, namespace="default")
    await ensure_search_attributes(client)
    async with sql_stores(sqlite_url) as stores:
        yield DriftingHouse(client=client, stores=stores)


async def status_of(house: DriftingHouse, job_id: JobId) -> WorkflowExecutionStatus | None:
    """Ask Temporal how the job's latest run stands."""
    return (await house.client.get_workflow_handle(job_id).describe()).status


async def test_a_job_that_temporal_does_not_know_is_started_again(house: DriftingHouse) -> None:
    """Temporal's data were restored to before the submit: the next run goes on with the log."""
    start = renamed(a_start())
    await house.stores.jobs.claim(a_claim(start, writer="a run of another Temporal"))
    first = an_event(state=JobState.PROCESSING)
    await house.stores.outbox.append(
        a_batch(first, job_id=start.job_id, writer="a run of another Temporal", items=(an_item(),))
    )
    async with house.serving():
        report = await house.look_for(DriftKind.LOST_WORKFLOW)
        handle = house.client.get_workflow_handle(start.job_id)
        await handle.signal("end", JobState.COMPLETED)
        await handle.result()

    record = await house.stores.jobs.job(start.job_id)
    assert record
    assert (report.found, report.repaired, report.failed) == (1, 1, 0)
    assert (record.snapshot.state, record.snapshot.run) == (JobState.COMPLETED, 2)
    assert [item.key for item in record.items] == ["0001"]
    events = await house.stores.outbox.events_after(start.job_id, 0, limit=100)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    (deed,) = await house.stores.audit.entries(start.job_id, limit=10)
    assert deed.entry.action == "repair lost_workflow"
    assert deed.entry.actor == "ada"


@pytest.mark.parametrize("was", [JobState.PROCESSING, JobState.PAUSED])
async def test_a_terminated_job_becomes_a_dead_letter(house: DriftingHouse, was: JobState) -> None:
    """Whoever terminated it wanted it to stop: it is not bought for again, and not forgotten."""
    async with house.serving():
        job = await house.start()
        if was is JobState.PAUSED:
            await job.handle.signal("pause")
            await job.reaches(was)
        await job.handle.terminate(reason="it was too loud")
        report = await house.look_for(DriftKind.LOST_WORKFLOW)
        await job.reaches(JobState.FAILED, run=2)

    assert report.repaired == 1
    assert await job.letters() == ("workflow_lost",)
    letter = await house.stores.letters.letter(job.job_id)
    assert letter
    assert "it was too loud" in letter.letter.failure.message
    assert await job.deeds() == ["repair lost_workflow"]
    assert await status_of(house, job.job_id) is WorkflowExecutionStatus.FAILED


async def test_a_job_whose_end_the_store_has_forgotten_ends_again_as_it_did(
    house: DriftingHouse,
) -> None:
    """The database was restored to before a cancel: the job is cancelled, not worked on."""
    async with house.serving():
        job = await house.start()
        await job.handle.cancel()
        await job.reaches(JobState.CANCELLED)
        await restored_to(house, job.job_id)
        report = await house.look_for(DriftKind.LOST_WORKFLOW)
        await job.reaches(JobState.CANCELLED, run=2)

    assert report.repaired == 1
    assert not await job.letters()


async def restored_to(house: DriftingHouse, job_id: JobId) -> None:
    """Bring the job's row to where a restored database would have it: open, with two events."""
    job = await house.stores.inventory.written(job_id)
    assert job
    house.stores = memory_stores(MemoryState())
    await house.stores.jobs.claim(a_claim(replace(job.start, job_id=job_id), writer=job.writer))
    batch = a_batch(an_event(1), an_event(2), job_id=job_id, writer=job.writer)
    await house.stores.outbox.append(batch)


async def test_two_reconciliations_at_once_mend_a_job_once(house: DriftingHouse) -> None:
    """One starts the run; the other finds it running, or learns that it came too late."""
    async with house.serving():
        job = await house.start()
        await job.handle.terminate()
        reports = await asyncio.gather(*(house.look_for(DriftKind.LOST_WORKFLOW) for _ in range(3)))
        await job.reaches(JobState.FAILED, run=2)
        again = await house.look_for(DriftKind.LOST_WORKFLOW)

    assert sum(report.repaired for report in reports) == 1
    assert sum(report.failed for report in reports) == 0
    assert await job.deeds() == ["repair lost_workflow"]
    assert again.found == 0


async def test_jobs_that_run_or_ended_are_left_alone(house: DriftingHouse) -> None:
    """Everything agrees, so nothing is found, whatever is looked for."""
    async with house.serving():
        running, ended = await house.start(), await house.start()
        await ended.handle.signal("end", JobState.COMPLETED)
        await ended.handle.result()
        report = await house.reconcile(ReconcileOrder(kinds=tuple(house.rounds())))

        assert await status_of(house, running.job_id) is WorkflowExecutionStatus.RUNNING
        await running.handle.terminate()

    assert not report.unfinished
    assert {one.kind: one.found for one in report.rounds} == dict.fromkeys(house.rounds(), 0)
    assert sum(one.looked_at for one in report.rounds) > 0


async def test_a_dry_run_reports_and_changes_nothing(house: DriftingHouse) -> None:
    """What is found is named, the row stays open, and nothing is audited but the report."""
    async with house.serving():
        job = await house.start()
        await job.handle.terminate()
        order = ReconcileOrder(by="ada", dry_run=True, kinds=(DriftKind.LOST_WORKFLOW,))
        report = await house.reconcile(order)

    (found,) = report.rounds
    assert (found.found, found.repaired) == (1, 0)
    assert found.examples[0].target == job.job_id
    assert "terminated" in found.examples[0].why
    assert await job.deeds() == []
    record = await house.stores.jobs.job(job.job_id)
    assert record
    assert record.snapshot.state is JobState.PROCESSING
    (filed,) = await house.stores.audit.entries("reconcile", limit=10)
    assert filed.entry.reason == "dry run"
    assert job.job_id in filed.entry.detail


async def test_a_workflow_that_fails_its_own_task_becomes_a_dead_letter(
    house: DriftingHouse,
) -> None:
    """The run is ended with its reason, and the job fails instead of hanging for ever."""
    async with house.serving():
        job = await house.start()
        await job.handle.signal("break")

        async def is_stuck() -> bool:
            run = await house.truth.run_of(job.job_id)
            return bool(run and run.task_attempt > 1)

        await eventually(is_stuck, within_seconds=30, what="a second attempt of the task")
        await eventually(lambda: listed(house, job.job_id), what="the job in the list")
        report = await house.look_for(DriftKind.STUCK_TASK)
        await job.reaches(JobState.FAILED, run=2)

    assert (report.found, report.repaired) == (1, 1)
    assert await job.letters() == ("workflow_stuck",)
    assert await job.deeds() == ["repair stuck_task"]


async def listed(house: DriftingHouse, job_id: JobId) -> bool:
    """Say whether Temporal's list shows the job as running, which it does a little late."""
    return job_id in [running async for running in house.truth.running()]


async def test_a_stuck_job_that_was_never_claimed_is_not_lost(house: DriftingHouse) -> None:
    """The store had never heard of it; now it has, with its dead letter."""
    start = renamed(a_start())
    handle = await house.client.start_workflow(
        "image_generation", start, id=start.job_id, task_queue=house.queue
    )
    run = await house.truth.run_of(start.job_id)
    assert run
    await eventually(lambda: listed(house, start.job_id), what="the job in the list")
    house.stuck_attempts = 0
    await house.look_for(DriftKind.STUCK_TASK)
    async with house.serving():
        with pytest.raises(Exception, match="Workflow execution failed"):
            await house.client.get_workflow_handle(start.job_id).result()

    assert handle.result_run_id == run.run_id
    record = await house.stores.jobs.job(start.job_id)
    assert record
    assert record.snapshot.state is JobState.FAILED


async def test_a_job_that_the_store_has_forgotten_comes_back_with_what_it_reached(
    house: DriftingHouse,
) -> None:
    """The database was restored to before the submit while the job went on."""
    picture = an_item(key="0007", state=ItemState.STORED, picture=a_picture())
    async with house.serving():
        job = await house.start()
        await job.handle.signal("take", picture)
        await eventually(lambda: has_item(house, job.job_id, "0007"), what="the item")
        house.stores = forgotten = memory_stores(MemoryState())
        await eventually(lambda: listed(house, job.job_id), what="the job in the list")
        report = await house.look_for(DriftKind.LOST_ROW)
        await job.reaches(JobState.PROCESSING, run=2)
        record = await forgotten.jobs.job(job.job_id)
        again = await house.look_for(DriftKind.LOST_ROW)
        await house.client.get_workflow_handle(job.job_id).terminate()

    assert (report.found, report.repaired, report.failed) == (1, 1, 0)
    assert record
    assert record.items == (picture,)
    assert await job.deeds() == ["repair lost_row"]
    assert again.found == 0


async def test_a_repair_that_died_half_way_is_finished_by_the_next(house: DriftingHouse) -> None:
    """The row was written anew, and then the worker died: the run goes on and writes nothing."""
    async with house.serving():
        job = await house.start()
        run = await house.truth.run_of(job.job_id)
        live = await house.truth.live(job.job_id)
        assert run
        assert live
        house.stores = memory_stores(MemoryState())
        half = WrittenJob(
            start=live.record.start,
            snapshot=JobSnapshot(run=1),
            writer=restored_writer(run),
        )
        await house.stores.inventory.restore(half, ())
        await eventually(lambda: listed(house, job.job_id), what="the job in the list")
        report = await house.look_for(DriftKind.LOST_ROW)
        await job.reaches(JobState.PROCESSING, run=2)
        await house.client.get_workflow_handle(job.job_id).terminate()

    assert (report.found, report.repaired) == (1, 1)


async def test_a_job_that_ended_and_was_forgotten_is_remembered(house: DriftingHouse) -> None:
    """Temporal still tells what it reached and how it ended: failed, so it is a dead letter."""
    picture = an_item(key="0007", state=ItemState.STORED, picture=a_picture())
    async with house.serving():
        job = await house.start()
        await job.handle.signal("take", picture)
        await job.handle.terminate(reason="it was too loud")
        house.stores = memory_stores(MemoryState())
        await eventually(lambda: has_ended(house, job.job_id), what="the job in the list")
        forgotten = await house.look_for(DriftKind.LOST_ROW)
        await house.look_for(DriftKind.LOST_WORKFLOW)
        await job.reaches(JobState.FAILED, run=2)
        again = await house.look_for(DriftKind.LOST_ROW)

    record = await house.stores.jobs.job(job.job_id)
    assert record
    assert (forgotten.found, forgotten.repaired, again.found) == (1, 1, 0)
    assert record.items == (picture,)
    assert await job.letters() == ("workflow_lost",)


async def has_ended(house: DriftingHouse, job_id: JobId) -> bool:
    """Say whether Temporal's list shows a run of the job as over, which it does a little late."""
    return job_id in [ended async for ended in house.truth.ended_since(A_WHILE_AGO)]


async def has_item(house: DriftingHouse, job_id: JobId, key: str) -> bool:
    """Say whether the store knows the item."""
    record = await house.stores.jobs.job(job_id)
    return bool(record and key in [item.key for item in record.items])


async def test_a_run_that_has_not_claimed_its_job_yet_is_no_drift(house: DriftingHouse) -> None:
    """A retry that is just being started is ahead of nothing."""
    async with house.serving():
        job = await house.start()
        await job.handle.signal("end", JobState.FAILED)
        await job.handle.result()
    written = await house.stores.inventory.written(job.job_id)
    assert written
    await house.client.start_workflow(
        "image_generation", with_run(written.start, 1), id=job.job_id, task_queue=house.queue
    )
    await eventually(lambda: listed(house, job.job_id), what="the job in the list")

    report = await house.look_for(DriftKind.LOST_ROW)

    assert report.found == 0
    await house.client.get_workflow_handle(job.job_id).terminate()


async def an_ended_job(house: DriftingHouse) -> JobId:
    """Write a failed job without any picture."""
    start = renamed(a_start())
    await house.stores.jobs.claim(a_claim(start))
    event = an_event(state=JobState.FAILED)
    await house.stores.outbox.append(a_batch(event, job_id=start.job_id, items=(an_item(),)))
    return start.job_id


async def a_purchase(house: DriftingHouse, job_id: JobId, state: LedgerState) -> LedgerRow:
    """Buy the first take of a job's first item, up to this state."""
    key = CallKey(job=job_id, item="0001", take=1)
    row = await house.stores.ledger.open(an_opening(key=key))
    called = LedgerChanges(called_at=datetime.now(UTC) - house.provider.grace)
    steps = (
        (LedgerState.CALLING, called),
        (LedgerState.ACCEPTED, LedgerChanges(task_id="task-1")),
        (LedgerState.READY, LedgerChanges(result_url="https://pictures.test/task-1.png")),
    )
    for to, changes in steps:
        row = await house.stores.ledger.move(row, to, changes)
        if to is state:
            break
    return row


async def the_purchase(house: DriftingHouse, row: LedgerRow) -> LedgerRow:
    """Read a purchase as it stands now."""
    (now,) = await house.stores.ledger.rows([row.key])
    return now


@pytest.mark.parametrize("state", [LedgerState.ACCEPTED, LedgerState.READY])
async def test_a_picture_that_was_paid_for_is_kept_for_a_retry(
    house: DriftingHouse, state: LedgerState
) -> None:
    """Its job is over: the bytes are stored and the purchase is settled, and nothing is bought."""
    row = await a_purchase(house, await an_ended_job(house), state)

    report = await house.look_for(DriftKind.UNATTACHED_PURCHASE)
    again = await house.look_for(DriftKind.UNATTACHED_PURCHASE)

    now = await the_purchase(house, row)
    assert (report.found, report.repaired, again.found) == (1, 1, 0)
    assert now.state is LedgerState.SETTLED
    assert now.picture
    assert house.files.files[now.picture.sha256] == PICTURE
    assert not house.provider.orders
    (deed,) = await house.stores.audit.entries(str(row.key), limit=10)
    assert deed.entry.action == "repair unattached_purchase"


async def test_a_purchase_of_a_running_job_is_left_to_it(house: DriftingHouse) -> None:
    """Whether the store or only Temporal knows that it runs."""
    async with house.serving():
        job = await house.start()
        row = await a_purchase(house, job.job_id, LedgerState.ACCEPTED)
        report = await house.look_for(DriftKind.UNATTACHED_PURCHASE)
        house.stores = replace(house.stores, jobs=memory_stores(MemoryState()).jobs)
        report_without_row = await house.look_for(DriftKind.UNATTACHED_PURCHASE)
        await job.handle.terminate()

    assert (report.found, report_without_row.found) == (0, 0)
    assert await the_purchase(house, row) == row


async def test_a_call_that_nobody_waits_for_any_more_becomes_unknown_and_is_reported(
    house: DriftingHouse,
) -> None:
    """Its money is shown apart, and an operator reads what to decide about."""
    row = await a_purchase(house, await an_ended_job(house), LedgerState.CALLING)

    report = await house.look_for(DriftKind.UNATTACHED_PURCHASE)
    unknown = await house.look_for(DriftKind.UNKNOWN_PURCHASE)

    assert report.repaired == 1
    assert (await the_purchase(house, row)).state is LedgerState.UNKNOWN
    assert (unknown.found, unknown.repaired) == (1, 0)
    assert unknown.examples[0].target == str(row.key)
    assert "0.0400 USD" in unknown.examples[0].why


async def test_a_picture_whose_address_has_expired_is_given_up_once(house: DriftingHouse) -> None:
    """It is written down why, and the provider is not asked for it again."""
    gone = ResultGone("the address has expired", provider="nanobanana")
    house.provider = FakeImageProvider(downloads=[gone], collects=[gone])
    row = await a_purchase(house, await an_ended_job(house), LedgerState.READY)

    report = await house.look_for(DriftKind.UNATTACHED_PURCHASE)
    again = await house.look_for(DriftKind.UNATTACHED_PURCHASE)

    now = await the_purchase(house, row)
    assert (report.found, again.found) == (1, 0)
    assert now.failure
    assert now.failure.code == "result_gone"


async def test_a_provider_that_is_away_is_asked_again_by_the_next_round(
    house: DriftingHouse,
) -> None:
    """An outage says nothing about the picture."""
    away = ProviderUnavailable("503", provider="nanobanana")
    house.provider = FakeImageProvider(collects=[away])
    row = await a_purchase(house, await an_ended_job(house), LedgerState.ACCEPTED)

    first = await house.look_for(DriftKind.UNATTACHED_PURCHASE)
    second = await house.look_for(DriftKind.UNATTACHED_PURCHASE)

    assert [(one.found, one.repaired) for one in (first, second)] == [(1, 0), (1, 1)]
    assert (await the_purchase(house, row)).state is LedgerState.SETTLED


async def a_delivered_picture(house: DriftingHouse) -> tuple[JobId, StoredPicture]:
    """Write a completed job with one picture, its files, and its purchase."""
    content = await house.files.put(PICTURE)
    thumbnail = await house.files.put(PICTURE[:4])
    picture = replace(a_picture(), sha256=content, thumbnail_sha256=thumbnail)
    start = renamed(a_start())
    await house.stores.jobs.claim(a_claim(start))
    item = an_item(state=ItemState.STORED, picture=picture)
    event = an_event(state=JobState.COMPLETED)
    snapshot = a_snapshot(state=JobState.COMPLETED)
    await house.stores.outbox.append(
        a_batch(event, job_id=start.job_id, items=(item,), snapshot=snapshot)
    )
    row = await a_purchase(house, start.job_id, LedgerState.READY)
    row = await house.stores.ledger.move(row, LedgerState.STORED, LedgerChanges(picture=picture))
    await house.stores.ledger.move(row, LedgerState.SETTLED, NO_CHANGES)
    return start.job_id, picture


@pytest.mark.parametrize("lost", ["sha256", "thumbnail_sha256"])
async def test_a_lost_file_is_made_good_from_what_is_left(house: DriftingHouse, lost: str) -> None:
    """A thumbnail from its picture, a picture from the provider that still has it."""
    _, picture = await a_delivered_picture(house)
    del house.files.files[getattr(picture, lost)]

    report = await house.look_for(DriftKind.LOST_FILE)
    again = await house.look_for(DriftKind.LOST_FILE)

    assert (report.found, report.repaired, again.found) == (1, 1, 0)
    assert house.files.files[picture.sha256] == PICTURE
    assert picture.thumbnail_sha256 in house.files.files


async def test_a_file_that_is_gone_for_good_is_marked_once_and_reported_always(
    house: DriftingHouse,
) -> None:
    """The record goes on naming the picture; the audit log says since when it is not there."""
    gone = ResultGone("the address has expired", provider="nanobanana")
    house.provider = FakeImageProvider(downloads=[gone, gone])
    job_id, picture = await a_delivered_picture(house)
    house.files.files.clear()

    reports = [await house.look_for(DriftKind.LOST_FILE) for _ in range(2)]

    assert [(one.found, one.repaired) for one in reports] == [(1, 0), (1, 0)]
    entries = await house.stores.audit.entries(f"{job_id}/0001", limit=10)
    assert [record.entry.action for record in entries] == ["report lost_file"]
    assert picture.sha256 in entries[0].entry.reason


async def test_files_are_looked_for_in_portions(house: DriftingHouse) -> None:
    """One order goes through all of them, whatever fits a portion."""
    for _ in range(4):
        await a_delivered_picture(house)
    _, picture = await a_delivered_picture(house)
    del house.files.files[picture.thumbnail_sha256]

    report = await house.reconcile(ReconcileOrder(kinds=(DriftKind.LOST_FILE,)))

    (files,) = report.rounds
    assert files.looked_at == 5
    assert files.resume_at == ""


async def test_events_that_wait_for_the_store_are_reported(house: DriftingHouse) -> None:
    """Nothing is lost, because the run tries without end; but somebody should know."""
    state = MemoryState()
    house.stores = memory_stores(state)
    async with house.serving():
        job = await house.start()
        state.is_away = True
        await job.handle.signal("take", an_item())

        async def is_trying() -> bool:
            run = await house.truth.run_of(job.job_id)
            return bool(run and run.record_attempt > 1)

        await eventually(is_trying, what="the second attempt to write")
        await eventually(lambda: listed(house, job.job_id), what="the job in the list")
        report = await house.look_for(DriftKind.UNFLUSHED_EVENTS)
        state.is_away = False
        await job.handle.terminate()

    assert (report.found, report.repaired) == (1, 0)
    assert report.examples[0].target == job.job_id


@pytest.mark.parametrize("is_over", [True, False])
async def test_a_slot_that_nobody_uses_is_given_back(house: DriftingHouse, is_over: bool) -> None:  # noqa: FBT001 -- pytest names parameters, it does not pass them by place
    """Its holder's run is over, or knows nothing of it; the pool counts one holder less."""
    async with house.serving():
        job = await house.start()
        written = await house.stores.inventory.written(job.job_id)
        assert written
        await house.pool_signals.request(slot_request(written.start, written.writer))

        async def holds() -> bool | None:
            queue = await house.truth.queue()
            return job.job_id in [one.job_id for one in queue.working] if queue else None

        async def holds_none() -> bool:
            return await holds() is False

        await eventually(holds, what="the grant")
        if is_over:
            await job.handle.terminate()
        report = await house.look_for(DriftKind.LEAKED_SLOT)

        await eventually(holds_none, what="the free slot")
        await house.client.get_workflow_handle("slot-pool").terminate()

    # Not the only one: a pool that has just begun also keeps slots for jobs that ended before.
    assert report.repaired == report.found > 0
    assert await job.deeds() == ["repair leaked_slot"]
