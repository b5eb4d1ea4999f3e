"""The database drops everybody, or is away: the jobs wait where they must, and go on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from darkroom.domain.job import JobId
from tests.chaos.conftest import Conclude
from tests.chaos.stage import (
    an_order,
    breakable_stack,
    seconds_until_work_goes_on,
    submit_jobs,
    work_has_begun,
)
from tests.support.databases import PostgresCluster, running_postgres
from tests.support.stacks import Running, settled

AWAY_SECONDS = 10.0
ASK_EVERY_SECONDS = 1.0
CUTS = 5
JOBS = ("pier", "chapel", "foundry")


@asynccontextmanager
async def stack_over_postgres(
    tmp_path: Path,
) -> AsyncGenerator[tuple[Running, PostgresCluster, str]]:
    """Run a stack over a PostgreSQL of its own; the third is the database's address."""
    with running_postgres() as postgres:
        url = postgres.create()
        async with breakable_stack(
            tmp_path / "var", database_url=url, emulators_picture_seconds=1.0
        ) as running:
            yield running, postgres, url


async def test_cut_connections_cost_nothing(tmp_path: Path, conclude: Conclude) -> None:
    """Every connection is ended again and again, in the middle of whatever it does."""
    async with stack_over_postgres(tmp_path) as (running, postgres, url):
        jobs = await submit_jobs(running, JOBS, pictures=6)
        await work_has_begun(running)
        waits: list[float] = []
        for _ in range(CUTS):
            await asyncio.to_thread(postgres.cut, url)
            waits.append(await seconds_until_work_goes_on(running, jobs))
        seconds = max(waits)

        await conclude(
            running, f"database connections cut {CUTS} times", jobs=jobs, seconds=seconds
        )


async def test_ten_seconds_without_the_database_cost_neither_a_job_nor_an_event(
    tmp_path: Path, conclude: Conclude
) -> None:
    """Queries keep answering, a submit is still taken, and afterwards all jobs complete."""
    async with stack_over_postgres(tmp_path) as (running, postgres, _):
        job_id = await running.submit(**an_order("mill", pictures=6))
        await work_has_begun(running)
        await asyncio.to_thread(postgres.stop)
        submitted_meanwhile: JobId | None = None
        for _ in range(int(AWAY_SECONDS / ASK_EVERY_SECONDS)):
            job = await running.job(job_id)
            assert job["status"] == "processing"
            submitted_meanwhile = submitted_meanwhile or await running.submit(**an_order("dam"))
            assert (await running.job(submitted_meanwhile))["status"] == "pending"
            await settled(ASK_EVERY_SECONDS)
        bought_meanwhile = len(await running.bought())
        await asyncio.to_thread(postgres.start)
        jobs = [job_id, submitted_meanwhile or JobId("")]
        seconds = await seconds_until_work_goes_on(running, jobs)

        assert bought_meanwhile < 6
        await conclude(
            running, f"database down for {AWAY_SECONDS:.0f} s", jobs=jobs, seconds=seconds
        )
