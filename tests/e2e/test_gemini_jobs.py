"""Jobs that Gemini draws, from outside: the reply is the picture, and what is lost is unknown."""

import signal
from dataclasses import replace
from pathlib import Path

from darkroom.domain.events import EventKind
from darkroom.domain.job import JobId
from darkroom.domain.ledger import LedgerState
from emulators.sample_product import draw_sample_product
from tests.support.emulated import Accepted
from tests.support.stacks import Running, assert_bill_matches, assert_gapless, started_stack
from tests.support.waiting import eventually

GEMINI = {"provider": "gemini"}
SHORT_POST = {"GEMINI_POST_DEADLINE": "4000"}


async def bought(running: Running) -> tuple[Accepted, ...]:
    """Read which pictures Gemini says it was paid for."""
    entries = await running.emulated.ledger()
    return tuple(entry for entry in entries if entry.endpoint == "gemini" and entry.billed)


async def test_gemini_draws_the_product_into_every_picture(tmp_path: Path) -> None:
    """Uploaded photo in, pictures out; our ledger equals Gemini's bill."""
    async with started_stack(tmp_path / "var") as running:
        photo = {"file": ("lamp.png", draw_sample_product())}
        uploaded = await running.api.post("/v1/files", files=photo)
        await running.emulated.befall(
            {"endpoint": "gemini", "action": "surrounded", "when": {"nth": 1}},
            {"endpoint": "gemini", "action": "only_words", "when": {"nth": 2}},
        )
        job_id = await running.submit(count=3, image=GEMINI, product=[uploaded.json()["id"]])
        record = await running.closed(job_id)

        assert (record["status"], record["outcome"]) == ("completed", "full")
        assert len({image["sha256"] for image in record["result"]["images"]}) == 3
        rows = await running.ledger.of_job(job_id)
        assert {row.state for row in rows} == {LedgerState.SETTLED}
        assert len(rows) == 4  # one answer was words, and is paid for
        assert_bill_matches(rows, await bought(running))
        assert_gapless(await running.events(job_id))


async def test_a_worker_killed_inside_the_call_leaves_it_unknown_and_the_wish_decides(
    tmp_path: Path,
) -> None:
    """The request says rebuy_once: the first take stays apart, the second one is delivered."""
    async with started_stack(tmp_path / "var", tuning=SHORT_POST) as running:
        await running.emulated.befall(
            {
                "endpoint": "gemini",
                "action": "latency_after_acceptance",
                "seconds": 3600,
                "when": {"nth": 1},
            }
        )
        job_id = await running.submit(count=1, image=GEMINI, onUnknown="rebuy_once")
        await eventually(lambda: bought(running), what="the call")
        running.signal("worker", signal.SIGKILL)
        record = await running.closed(job_id, within_seconds=60)

        assert (record["status"], record["outcome"]) == ("completed", "full")
        first, second = await running.ledger.of_job(job_id)
        assert (first.state, second.state) == (LedgerState.UNKNOWN, LedgerState.SETTLED)
        paid = await bought(running)
        assert [entry.call for entry in paid] == [str(first.key), str(second.key)]
        known = replace(first, state=LedgerState.SETTLED)
        assert_bill_matches((known, second), paid)
        assert await kinds(running, job_id) >= {EventKind.IMAGE_UNKNOWN, EventKind.IMAGE_DECIDED}


async def kinds(running: Running, job_id: JobId) -> set[EventKind]:
    """Name what happened to a job."""
    return {event.kind for event in await running.events(job_id)}
