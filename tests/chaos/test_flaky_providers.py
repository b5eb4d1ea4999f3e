"""One call in five goes wrong, in mixed ways, over a hundred jobs."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from darkroom.domain.events import EventKind
from darkroom.domain.job import JobId
from tests.chaos.aftermath import FULL, IN_ANY_WAY, Blow, aftermath, all_over
from tests.chaos.provider_books import paid_calls
from tests.chaos.stage import breakable_stack, submit_jobs
from tests.support.emulated import Rule
from tests.support.stacks import Running

JOBS = 100
PICTURES = 2
SLOTS = 5
FAULTY = 0.2
FULL_AT_LEAST = 95
RESCUED_AT_LEAST = 0.8

# A chat whose reply is lost costs tokens that nobody can tell us of, so no such fault is here:
# the bill is to be exact.
CHAT_FAULTS: tuple[Rule, ...] = (
    {"action": "status", "status": 500},
    {"action": "status", "status": 503},
    {"action": "status", "status": 429},
    {"action": "reset_before_acceptance"},
    {"action": "blank_content"},
    {"action": "finish_reason", "reason": "insufficient_system_resource"},
    {"action": "finish_reason", "reason": "length"},
)
GENERATE_FAULTS: tuple[Rule, ...] = (
    {"action": "status", "status": 500},
    {"action": "status", "status": 503},
    {"action": "in_body_error", "code": 429},
    {"action": "in_body_error", "code": 455},
    {"action": "reset_after_acceptance"},
    {"action": "create_failed"},
    {"action": "generate_failed", "code": 501},
)
ASKING_FAULTS: tuple[Rule, ...] = (
    {"action": "status", "status": 503},
    {"action": "truncated_json"},
    {"action": "wrong_content_type"},
    {"action": "in_body_error", "code": 500},
)
RESULT_FAULTS: tuple[Rule, ...] = (
    {"action": "status", "status": 503},
    {"action": "truncated"},
    {"action": "not_an_image"},
    {"action": "reset_before_acceptance"},
)
CALLBACK_FAULTS: tuple[Rule, ...] = (
    {"action": "twice"},
    {"action": "forged"},
    {"action": "late", "seconds": 1.0},
)


def mixed() -> tuple[Rule, ...]:
    """Let each endpoint fail with the same chance, each time in one of its ways."""
    ways = {
        "chat": CHAT_FAULTS,
        "generate": GENERATE_FAULTS,
        "record_info": ASKING_FAULTS,
        "result": RESULT_FAULTS,
        "callback": CALLBACK_FAULTS,
    }
    return tuple(
        {**rule, "endpoint": endpoint, "when": {"probability": FAULTY / len(rules)}}
        for endpoint, rules in ways.items()
        for rule in rules
    )


async def rescued(running: Running, jobs: Iterable[JobId]) -> tuple[int, int]:
    """Count the items that failed at first, and those of them that were delivered."""
    failed = delivered = 0
    for job_id in jobs:
        log = await running.events(job_id)
        hurt = {
            event.item for event in log if event.kind is EventKind.ATTEMPT_FAILED and event.item
        }
        stored = {event.item for event in log if event.kind is EventKind.IMAGE_STORED}
        failed += len(hurt)
        delivered += len(hurt & stored)
    return failed, delivered


async def spent_micros(running: Running, jobs: Iterable[JobId]) -> int:
    """Add up what the jobs say they cost."""
    records: list[dict[str, Any]] = [await running.job(job_id) for job_id in jobs]
    return sum(record["cost"]["spent"]["amountMicros"] for record in records)


@pytest.mark.timeout(300)
async def test_a_fifth_of_all_calls_failing_spoils_almost_no_job(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    """At least 95 of 100 jobs are full, most items are rescued, and the bill is exact."""
    tuning = {"QUEUE_CONCURRENCY": str(SLOTS), "BREAKER_COOLDOWN": "1000"}
    async with breakable_stack(
        tmp_path / "var", tuning=tuning, emulators_picture_seconds=0.1
    ) as running:
        await running.emulated.befall(*mixed())
        words = [f"place{number:03d}" for number in range(JOBS)]
        jobs = await submit_jobs(running, words, pictures=PICTURES)
        await all_over(running, jobs, within_seconds=240)
        after = await aftermath(
            running,
            Blow(
                scenario=f"{FAULTY:.0%} of all calls failing, {JOBS} jobs",
                jobs=jobs,
                seconds=None,
                limit=SLOTS,
                outcomes=dict.fromkeys(jobs, IN_ANY_WAY),
                within_seconds=0.5,
            ),
        )
        outcomes = [(await running.job(job_id))["outcome"] for job_id in jobs]
        full = sum(outcome in FULL for outcome in outcomes)
        failed, delivered = await rescued(running, jobs)
        ours = await spent_micros(running, jobs)
        theirs = sum(call.amount_micros for call in await paid_calls(running) if call.billed)

    say(f"{after}; {full} full, {delivered} of {failed} items rescued")
    after.assert_promises_kept()
    assert full >= FULL_AT_LEAST, outcomes
    assert failed > JOBS * PICTURES * FAULTY / 2, "too little went wrong to prove anything"
    assert delivered > RESCUED_AT_LEAST * failed
    assert ours == theirs
