"""A provider is away for twenty seconds while ten jobs need it: nobody loses a try."""

import time
from pathlib import Path

from darkroom.domain.events import EventKind
from tests.chaos.conftest import Conclude
from tests.chaos.stage import breakable_stack, seconds_until_told_again, submit_jobs
from tests.support.emulated import Rule
from tests.support.stacks import settled
from tests.support.waiting import eventually

AWAY_SECONDS = 20.0
JOBS = 10
AWAY: tuple[Rule, ...] = tuple(
    {"endpoint": endpoint, "action": "status", "status": 503}
    for endpoint in ("generate", "record_info", "result")
)
TUNING = {"BREAKER_COOLDOWN": "2000", "BREAKER_LONGEST_COOLDOWN": "5000"}


async def test_an_outage_spends_no_attempts(tmp_path: Path, conclude: Conclude) -> None:
    """Jobs that may not retry even once come through it: they park until it is over."""
    async with breakable_stack(
        tmp_path / "var", tuning=TUNING, emulators_picture_seconds=0.5
    ) as running:
        await running.emulated.befall(*AWAY)
        began = time.monotonic()
        words = [f"island{number}" for number in range(JOBS)]
        jobs = await submit_jobs(running, words, maxRetries=0)

        async def are_parked() -> bool:
            reasons = [(await running.job(job_id))["waiting"] for job_id in jobs]
            return all(reason and reason["on"] == "provider" for reason in reasons)

        await eventually(are_parked, within_seconds=AWAY_SECONDS, what="all jobs being parked")
        await settled(AWAY_SECONDS - (time.monotonic() - began))
        await running.emulated.befall()
        seconds = await seconds_until_told_again(running, jobs)

        await conclude(
            running,
            f"a provider away for {AWAY_SECONDS:.0f} s, {JOBS} jobs",
            jobs=jobs,
            seconds=seconds,
        )
        for job_id in jobs:
            log = await running.events(job_id)
            assert not [event for event in log if event.kind is EventKind.IMAGE_FAILED]
