"""The analysis raises, because what it reads has rotted: the job fails, and only that job.

A row of an earlier job is spoilt in the database. A job that must differ from the owner's
earlier ones reads it; a job that need not, does not. Once the row is mended, a retry completes.
"""

import asyncio
import signal
import sqlite3
from pathlib import Path

from darkroom.domain.job import JobId
from tests.chaos.conftest import Conclude
from tests.chaos.stage import an_order, breakable_stack
from tests.support.stacks import Running
from tests.support.waiting import eventually

ROTTEN = '{"key": 7}'


def write_items(running: Running, job_id: JobId, text: str) -> str:
    """Replace what the store remembers of a job's pictures; answers what stood there."""
    with sqlite3.connect(running.layout.var_dir / "darkroom.db", timeout=10) as database:
        (before,) = database.execute(
            "SELECT item FROM items WHERE job_id = ? LIMIT 1", (job_id,)
        ).fetchone()
        database.execute("UPDATE items SET item = ? WHERE job_id = ?", (text, job_id))
    database.close()
    return str(before)


async def test_a_raising_analysis_fails_one_job_and_can_be_retried(
    tmp_path: Path, conclude: Conclude
) -> None:
    """Three attempts, a failed job with its reason, no money spent; the others complete."""
    async with breakable_stack(tmp_path / "var") as running:
        earlier = await running.submit(**an_order("ruin", pictures=1))
        await running.closed(earlier)
        running.signal("worker", signal.SIGSTOP)  # so that the door has read what it must
        doomed = await running.submit(**an_order("castle", avoidHistory=True))
        sound = await asyncio.to_thread(write_items, running, earlier, ROTTEN)
        running.signal("worker", signal.SIGCONT)
        beside = await running.submit(**an_order("village"))
        await running.closed(beside)
        record = await running.closed(doomed)
        assert record["error"]["code"] == "stage_crashed"
        assert not await running.ledger.of_job(doomed)

        await asyncio.to_thread(write_items, running, earlier, sound)
        answer = await running.api.post(f"/v1/jobs/{doomed}/retry", json={})
        assert answer.status_code == 202, answer.text

        async def is_retried() -> bool:
            return (await running.job(doomed)).get("status") == "completed"

        await eventually(is_retried, within_seconds=30, what="the retry")
        await conclude(running, "analyze raising, then retried", jobs=[earlier, doomed, beside])
