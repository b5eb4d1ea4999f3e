"""The stack that chaos breaks: few slots, short retries, and jobs whose prompts are their own."""

import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from darkroom.domain.job import JobId
from darkroom.domain.ledger import CallKey, LedgerState, parse_call
from tests.support.stacks import Running, started_stack
from tests.support.waiting import eventually

SLOTS = 2
TUNING: Mapping[str, str] = {
    "QUEUE_CONCURRENCY": str(SLOTS),
    "RETRY_BASE_DELAY": "100",
    "RETRY_MAX_DELAY": "1000",
}
GOES_ON_WITHIN_SECONDS = 60.0  # a bound on liveness, not a promise: the figure is printed


@asynccontextmanager
async def breakable_stack(
    var_dir: Path, *, tuning: Mapping[str, str] | None = None, **changes: Any
) -> AsyncGenerator[Running]:
    """Run a stack of two slots; see `started_stack`."""
    async with started_stack(var_dir, tuning={**TUNING, **(tuning or {})}, **changes) as running:
        yield running


def an_order(word: str, *, pictures: int = 2, **changes: Any) -> dict[str, Any]:
    """Ask for pictures of which no other job has bought the prompts: a word names them."""
    places = [f"{word} {number}" for number in range(1, pictures + 1)]
    order: dict[str, Any] = {
        "dimensions": {"place": {"options": places}},
        "count": pictures,
        "prompt": {"template": "A street lamp near the {place}"},
    }
    return order | changes


async def submit_jobs(running: Running, words: Iterable[str], **order: Any) -> list[JobId]:
    """Start one job for each word, in their order."""
    return [await running.submit(**an_order(word, **order)) for word in words]


async def pulse(running: Running, jobs: Iterable[JobId]) -> int:
    """Count what only work moves: events told and attempts begun."""
    count = 0
    for job_id in jobs:
        rows = await running.ledger.of_job(job_id)
        count += len(await running.events(job_id)) + sum(row.fence for row in rows)
    return count


async def seconds_until_work_goes_on(running: Running, jobs: Iterable[JobId]) -> float:
    """Wait for the next sign of work on some jobs, from now on."""
    watched, began = tuple(jobs), time.monotonic()
    before = await pulse(running, watched)

    async def has_moved() -> bool:
        return await pulse(running, watched) > before

    await eventually(has_moved, within_seconds=GOES_ON_WITHIN_SECONDS, what="work going on")
    return time.monotonic() - began


async def seconds_until_told_again(running: Running, jobs: Iterable[JobId]) -> float:
    """Wait for an event of a workflow task that began after now: Temporal hands out work."""
    watched, began, struck_at = tuple(jobs), time.monotonic(), datetime.now(UTC)

    async def is_told() -> bool:
        logs = [await running.events(job_id) for job_id in watched]
        return any(event.at > struck_at for log in logs for event in log)

    await eventually(is_told, within_seconds=GOES_ON_WITHIN_SECONDS, what="work going on")
    return time.monotonic() - began


async def work_has_begun(running: Running, *, purchases: int = 1) -> None:
    """Wait until the provider was paid for so many pictures."""

    async def are_bought() -> bool:
        return len(await running.bought()) >= purchases

    await eventually(are_bought, within_seconds=30, what=f"{purchases} purchases")


async def purchases_are_named(running: Running, *, at_least: int) -> None:
    """Wait until so many purchases are under way and each of them is known by its task.

    Before that, nobody but a callback can tell what became of a call, and with nobody there to
    hear it the purchase is honestly unknown.
    """

    async def are_named() -> bool:
        bought = await running.bought()
        keys = [parse_call(entry.call) for entry in bought if entry.call]
        return len(keys) >= at_least and not await _unnamed(running, keys)

    await eventually(are_named, within_seconds=30, what=f"{at_least} purchases with a name")


async def _unnamed(running: Running, keys: list[CallKey]) -> bool:
    rows = [row for job in {key.job for key in keys} for row in await running.ledger.of_job(job)]
    return any(row.state in {LedgerState.INTENT, LedgerState.CALLING} for row in rows)
