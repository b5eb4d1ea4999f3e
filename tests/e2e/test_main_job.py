"""The main job from outside: pictures on disk, one bill, one log, and words for operators."""

import io
import re
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from PIL import Image

from darkroom.domain.events import EventKind
from darkroom.domain.job import JobId
from tests.support.emulated import Rule
from tests.support.stacks import Running, assert_bill_matches, assert_gapless, started_stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    """One whole stack for the file."""
    async with started_stack(tmp_path_factory.mktemp("stack") / "var") as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def running(stack: Running) -> Running:
    """The stack, with an empty bill and without faults."""
    await stack.emulated.forget()
    return stack


async def test_eight_pictures_come_out_all_different_and_each_is_billed_once(
    running: Running,
) -> None:
    """Decodable pictures under their own hashes, a ledger equal to the bill, events 1..n."""
    job_id = await running.submit(count=8)
    record = await running.closed(job_id)

    assert (record["status"], record["outcome"]) == ("completed", "full")
    hashes = {image["sha256"] for image in record["result"]["images"]}
    assert len(hashes) == 8
    for sha256 in hashes:
        answer = await running.api.get(f"/v1/images/{sha256}")
        assert Image.open(io.BytesIO(answer.content)).size == (64, 64)
    bought = await running.bought()
    assert len(bought) == 8
    assert_bill_matches(await running.ledger.of_job(job_id), bought)
    assert_gapless(await running.events(job_id))
    chats = [entry for entry in await running.emulated.ledger() if entry.endpoint == "chat"]
    paid = sum(entry.amount_micros for entry in (*bought, *chats))
    assert record["cost"]["spent"]["amountMicros"] == paid


async def test_operators_read_a_job_in_words(running: Running) -> None:
    """List, describe and metadata show kind, status, stage, owner and priority."""
    job_id = await running.submit(priority="high", labels={"campaign": "spring"})
    await running.closed(job_id)

    async def listed() -> str | None:
        told = await running.typed("workflow", "list", "--query", "DarkroomPriority='high'")
        return told if job_id in told else None

    row = await eventually(listed, what="the job in the list")
    described = await running.typed("workflow", "describe", "--workflow-id", job_id)

    current = await running.typed("workflow", "metadata", "--workflow-id", job_id)

    assert row
    assert "image_generation" in row
    assert "Completed" in row
    shown = {
        "DarkroomKind": "image_generation",
        "DarkroomStatus": "completed",
        "DarkroomStage": "post_processing",
        "DarkroomOwner": "dev",
        "DarkroomPriority": "high",
        "DarkroomLabels": "campaign:spring",
    }
    for name, value in shown.items():
        assert re.search(rf'{name}:.*?data:"\W*{value}', described), name
    assert "1 picture for dev: A street lamp" in described
    assert "high priority" in described
    assert "**completed**, post_processing: 100 %" in current


async def has_status(running: Running, job_id: JobId, status: str) -> bool:
    """Ask Temporal itself how the job's last run stands."""
    described = await running.temporal.get_workflow_handle(job_id).describe()
    return bool(described.status and described.status.name == status)


STAGES: dict[str, Rule] = {
    "combination_analysis": {},
    "prompt_enhancement": {"endpoint": "chat", "action": "latency", "seconds": 30},
    "image_generation": {"endpoint": "generate", "action": "stuck"},
}


@pytest.mark.parametrize("stage", STAGES)
async def test_cancel_works_in_every_stage(running: Running, stage: str) -> None:
    """The job ends cancelled here and Canceled in Temporal; what was bought stays on the books."""
    if STAGES[stage]:
        await running.emulated.befall(STAGES[stage])
    unheard = {"template": f"A lamp in {stage}, {{timeOfDay}}, {{weather}}, {{location}}"}
    job_id = await running.submit(count=2, prompt=unheard)
    if STAGES[stage]:

        async def is_there() -> bool:
            job = await running.job(job_id)
            reached = job.get("progress", {}).get("stage") == stage
            return reached and (stage != "image_generation" or len(await running.bought()) == 2)

        await eventually(is_there, what=stage)
    answer = await running.api.post(f"/v1/jobs/{job_id}/cancel", json={})
    record = await running.closed(job_id)

    assert answer.status_code in {200, 202}
    assert record["status"] == "cancelled"
    events = await running.events(job_id)
    assert_gapless(events)
    assert events[-1].kind is EventKind.JOB_CANCELLED
    await eventually(lambda: has_status(running, job_id, "CANCELED"), what="the end in Temporal")
    rows = await running.ledger.of_job(job_id)
    assert_bill_matches(rows, await running.bought())
    if stage == "image_generation":
        assert all(row.abandoned for row in rows)
        assert record["cost"]["spent"]["amountMicros"] >= 2 * 20_000


async def test_a_reset_by_an_operator_buys_nothing_again(running: Running) -> None:
    """`temporal workflow reset` re-executes the story; the ledger and the log stay one."""
    job_id = await running.submit(count=3)
    await running.closed(job_id)
    bought = await running.bought()

    await running.typed(
        *("workflow", "reset", "--workflow-id", job_id, "--type", "FirstWorkflowTask"),
        *("--reason", "an operator tries it", "--yes"),
    )

    await eventually(
        lambda: has_status(running, job_id, "COMPLETED"), within_seconds=30, what="the reset run"
    )
    assert await running.bought() == bought
    assert_bill_matches(await running.ledger.of_job(job_id), bought)
    assert_gapless(await running.events(job_id))
    assert (await running.job(job_id))["status"] == "completed"


async def test_a_failed_picture_is_told_and_the_rest_is_delivered(running: Running) -> None:
    """The content policy refuses one of three: partial, its error named, not billed."""
    await running.emulated.befall(
        {"endpoint": "generate", "action": "generate_failed", "code": 400, "when": {"nth": 2}}
    )
    job_id = await running.submit(count=3)
    record = await running.closed(job_id)

    assert (record["status"], record["outcome"]) == ("completed", "partial")
    assert len(record["result"]["images"]) == 2
    assert [error["code"] for error in record["result"]["errors"]] == ["content_refused"]
    assert_bill_matches(await running.ledger.of_job(job_id), await running.bought())


async def test_flaky_providers_never_keep_a_job_from_its_pictures(running: Running) -> None:
    """Resets, 429s, blanks, expired results and forged callbacks: full, billed once each."""
    often = {"probability": 0.2}
    await running.emulated.befall(
        {"endpoint": "chat", "action": "blank_content", "when": often, "times": 3},
        {"endpoint": "chat", "action": "status", "status": 429, "retry_after": 1, "times": 1},
        {"endpoint": "generate", "action": "reset_after_acceptance", "when": often, "times": 2},
        {"endpoint": "generate", "action": "status", "status": 503, "when": often, "times": 3},
        {"endpoint": "record_info", "action": "truncated_json", "when": often, "times": 3},
        {"endpoint": "result", "action": "expired", "when": often, "times": 2},
        {"endpoint": "callback", "action": "forged", "when": often},
    )
    job_id = await running.submit(count=8)
    record = await running.closed(job_id, within_seconds=110)
    calls = await running.emulated.ledger()

    assert (record["status"], record["outcome"]) == ("completed", "full")
    bought = await running.bought()
    assert len(bought) == 8
    assert_bill_matches(await running.ledger.of_job(job_id), bought)
    assert_gapless(await running.events(job_id))
    paid = sum(entry.amount_micros for entry in calls if entry.billed)
    assert record["cost"]["spent"]["amountMicros"] == paid


async def test_events_read_over_http_are_the_log(running: Running) -> None:
    """GET events pages through every number once."""
    job_id: JobId = await running.submit(count=2)
    await running.closed(job_id)

    seen: list[int] = []
    while True:
        after = seen[-1] if seen else 0
        answer = await running.api.get(f"/v1/jobs/{job_id}/events?after={after}&limit=3")
        page = [message["seq"] for message in answer.json()["events"]]
        if not page:
            break
        seen.extend(page)

    assert seen == [event.seq for event in await running.events(job_id)]
