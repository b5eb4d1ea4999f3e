"""Callbacks that come twice, late, too early, or from somebody else."""

from pathlib import Path

import httpx

from darkroom.domain.job import JobId
from darkroom.domain.ledger import CallKey
from darkroom.domain.tokens import callback_token
from tests.chaos.aftermath import over
from tests.chaos.conftest import Conclude
from tests.chaos.stage import breakable_stack, submit_jobs
from tests.support.stacks import Running, settled
from tests.support.waiting import eventually

LATE_SECONDS = 3.0
FOREIGN_TASK = {"code": 200, "msg": "success", "data": {"taskId": "a-task-of-somebody-else"}}
TWICE, FORGED, LATE, EARLY, NEVER = "twins", "forgery", "snail", "rooster", "desert"
RULES = (
    {"endpoint": "callback", "action": "twice", "match": TWICE},
    {"endpoint": "callback", "action": "forged", "match": FORGED},
    {"endpoint": "callback", "action": "late", "seconds": LATE_SECONDS, "match": LATE},
    {"endpoint": "callback", "action": "before_reply", "match": EARLY},
    {"endpoint": "callback", "action": "never", "match": NEVER},
)


async def call_back(running: Running, call: CallKey, *, token: str) -> int:
    """Call back as the provider would, for a task that is not ours; answers the status."""
    url = f"{running.layout.gateway_url}/v1/callbacks/nanobanana/{call}"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(url, params={"t": token}, json=FOREIGN_TASK)
    return answer.status_code


async def test_no_callback_buys_changes_or_loses_anything(
    tmp_path: Path, conclude: Conclude
) -> None:
    """Each job has its own sort of callback; afterwards all are replayed and forged by hand."""
    async with breakable_stack(tmp_path / "var", emulators_picture_seconds=0.5) as running:
        await running.emulated.befall(*RULES)
        jobs = await submit_jobs(running, (TWICE, FORGED, LATE, EARLY, NEVER))
        await eventually(lambda: over(running, jobs[0]), within_seconds=30, what="the first end")
        await replay(running, jobs[0])
        for job_id in jobs:
            await eventually(lambda: over(running, job_id), within_seconds=60, what="the end")  # noqa: B023 -- awaited at once
        await settled(LATE_SECONDS)

        await conclude(running, "callbacks twice, forged, late, early and never", jobs=jobs)
        assert len(await running.bought()) == 2 * len(jobs)


async def replay(running: Running, job_id: JobId) -> None:
    """A callback for a finished job is answered and changes nothing; a forged one is refused."""
    before = await running.ledger.of_job(job_id)
    for row in before:
        true_token = callback_token(running.layout.signing_secret, row.key)
        assert await call_back(running, row.key, token=true_token) == httpx.codes.OK
        assert await call_back(running, row.key, token="guessed") == httpx.codes.NOT_FOUND
    after = await running.ledger.of_job(job_id)
    assert [(row.state, row.task_id) for row in after] == [
        (row.state, row.task_id) for row in before
    ]
