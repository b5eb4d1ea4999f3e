"""The database is away for a minute in the middle of a job: the job waits where it must."""

import asyncio
from pathlib import Path

import pytest

from darkroom.domain.job import JobId
from darkroom.store.migrate import migrate
from tests.support.databases import running_postgres
from tests.support.stacks import assert_bill_matches, assert_gapless, started_stack
from tests.support.waiting import eventually

AWAY_SECONDS = 60.0
ASK_EVERY_SECONDS = 2.0


@pytest.mark.timeout(240)
async def test_a_minute_without_the_database_costs_neither_a_job_nor_an_event(
    tmp_path: Path,
) -> None:
    """Queries keep answering, a submit is still taken, and afterwards both jobs complete."""
    with running_postgres() as postgres:
        url = postgres.create()
        await migrate(url)
        async with started_stack(
            tmp_path / "var", database_url=url, emulators_picture_seconds=1.0
        ) as running:
            job_id = await running.submit(count=6)
            await eventually(running.bought, what="the first purchase")
            await asyncio.to_thread(postgres.stop)
            submitted_meanwhile: JobId | None = None
            for _ in range(int(AWAY_SECONDS / ASK_EVERY_SECONDS)):
                job = await running.job(job_id)
                assert job["status"] == "processing"
                submitted_meanwhile = submitted_meanwhile or await running.submit()
                assert (await running.job(submitted_meanwhile))["status"] == "pending"
                await asyncio.sleep(ASK_EVERY_SECONDS)
            bought_meanwhile = len(await running.bought())
            await asyncio.to_thread(postgres.start)
            records = [
                await running.closed(job, within_seconds=60)
                for job in (job_id, submitted_meanwhile)
                if job
            ]

            assert [record["outcome"] for record in records] == ["full", "full"]
            assert bought_meanwhile < 6
            bought = await running.bought()
            rows = [await running.ledger.of_job(JobId(record["id"])) for record in records]
            assert_bill_matches(tuple(row for job in rows for row in job), bought)
            for record in records:
                assert_gapless(await running.events(JobId(record["id"])))
