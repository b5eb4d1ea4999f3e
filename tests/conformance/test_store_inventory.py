"""What reconcile reads of the store: pages in order, nothing twice, nothing left out."""

from datetime import timedelta

import pytest

from darkroom.domain.checkpoint import JobSnapshot
from darkroom.domain.drift import WrittenJob
from darkroom.domain.errors import FileMissing, failure_of
from darkroom.domain.items import ItemState
from darkroom.domain.job import JobId
from darkroom.domain.ledger import NO_CHANGES, LedgerChanges, LedgerRow, LedgerState
from darkroom.domain.lifecycle import JobState
from darkroom.domain.ports import CallPlace
from tests.support.builders import (
    JOB,
    NOW,
    a_batch,
    a_call,
    a_claim,
    a_job_id,
    a_picture,
    a_start,
    an_item,
    an_opening,
)
from tests.support.databases import Stores

pytest_plugins = ["tests.support.databases"]


async def test_jobs_of_a_state_come_oldest_first_and_once(stores: Stores) -> None:
    """Pages of two over five jobs, two of which were submitted at the same moment."""
    ages = {1: 4, 2: 3, 3: 3, 4: 1, 5: 0}
    for number, hours in ages.items():
        submitted_at = NOW - timedelta(hours=hours)
        start = a_start(job_id=a_job_id(number), submitted_at=submitted_at)
        await stores.jobs.claim(a_claim(start))

    seen: list[JobId] = []
    place = None
    while page := await stores.inventory.jobs_in(JobState.PENDING, after=place, limit=2):
        seen += [job.start.job_id for job in page]
        place = page[-1].place

    assert seen == [a_job_id(number) for number in (1, 2, 3, 4, 5)]
    assert not await stores.inventory.jobs_in(JobState.PROCESSING, limit=2)


async def test_kept_files_are_those_of_stored_pictures(stores: Stores) -> None:
    """An item without a picture has none; pages follow job and item."""
    for number in (1, 2):
        start = a_start(job_id=a_job_id(number))
        await stores.jobs.claim(a_claim(start))
        items = (
            an_item(key="0001", state=ItemState.STORED, picture=a_picture("a"), take=2),
            an_item(key="0002"),
            an_item(key="0003", state=ItemState.STORED, picture=a_picture("b")),
        )
        await stores.outbox.append(a_batch(job_id=start.job_id, items=items))

    first = await stores.inventory.kept_files(limit=3)
    rest = await stores.inventory.kept_files(after=(first[-1].job_id, first[-1].item), limit=3)

    assert [(one.job_id, one.item) for one in (*first, *rest)] == [
        (a_job_id(number), item) for number in (1, 2) for item in ("0001", "0003")
    ]
    assert first[0].take == 2
    assert first[0].sha256 == a_picture("a").sha256
    assert first[0].thumbnail_sha256 == a_picture("a").thumbnail_sha256


async def accepted(stores: Stores, take: int, *, minutes: int) -> LedgerRow:
    """Buy a take so long ago, up to the provider's acceptance."""
    row = await stores.ledger.open(an_opening(key=a_call(take=take)))
    called = LedgerChanges(called_at=NOW - timedelta(minutes=minutes))
    row = await stores.ledger.move(row, LedgerState.CALLING, called)
    return await stores.ledger.move(row, LedgerState.ACCEPTED, LedgerChanges(task_id="t"))


async def test_purchases_of_a_state_come_oldest_call_first(stores: Stores) -> None:
    """Young ones, abandoned ones and those of other states stay out."""
    for take, minutes in {1: 30, 2: 60, 3: 60, 4: 1}.items():
        await accepted(stores, take, minutes=minutes)
    await accepted(stores, 5, minutes=90)
    await stores.ledger.abandon(a_call(take=5))
    await stores.ledger.open(an_opening(key=a_call(take=6)))

    seen: list[int] = []
    place = None
    before = NOW - timedelta(minutes=10)
    while page := await stores.inventory.purchases_in(
        LedgerState.ACCEPTED, called_before=before, after=place, limit=1
    ):
        seen += [row.key.take for row in page]
        assert page[-1].called_at
        place = CallPlace(called_at=page[-1].called_at, key=page[-1].key)

    assert seen == [2, 3, 1]


async def test_what_is_wrong_with_a_purchase_is_noted_and_taken_back(stores: Stores) -> None:
    """Only while the purchase stands as it was read."""
    row = await accepted(stores, 1, minutes=1)
    gone = failure_of(FileMissing("its file is gone"))

    assert await stores.inventory.note(row, gone)
    assert (await stores.ledger.rows([row.key]))[0].failure == gone
    assert await stores.inventory.note(row, None)
    assert (await stores.ledger.rows([row.key]))[0].failure is None

    await stores.ledger.move(row, LedgerState.REFUSED, NO_CHANGES)
    assert not await stores.inventory.note(row, gone)


async def test_a_forgotten_job_is_written_again_and_a_known_one_is_left_alone(
    stores: Stores,
) -> None:
    """Row, labels and items come back; a second time changes nothing."""
    snapshot = JobSnapshot(run=2)
    job = WrittenJob(start=a_start(), snapshot=snapshot, writer="gone", has_spoken=False)
    item = an_item(state=ItemState.STORED, picture=a_picture())

    assert await stores.inventory.restore(job, (item,))
    assert not await stores.inventory.restore(job, ())

    record = await stores.jobs.job(JOB)
    assert record
    assert record.items == (item,)
    assert (record.snapshot.run, record.snapshot.seq) == (2, 0)
    assert await stores.inventory.written(JOB) == job
    assert await stores.jobs.owned_picture(job.start.owner, a_picture().sha256) == item.picture


async def test_nothing_is_known_of_a_job_that_never_was(stores: Stores) -> None:
    """A question about it is answered, not failed."""
    assert await stores.inventory.written(JOB) is None


@pytest.mark.parametrize("state", list(JobState))
async def test_an_empty_store_has_no_jobs_in_any_state(stores: Stores, state: JobState) -> None:
    """A walk through nothing ends."""
    assert not await stores.inventory.jobs_in(state, limit=10)
