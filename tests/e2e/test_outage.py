"""An outage of a provider costs jobs time and nothing else; an operator has the last word."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from darkroom.domain.breakers import Gate, GateKey, GateState
from darkroom.domain.job import JobId
from darkroom.domain.names import gate_id
from darkroom.store.engine import open_engine
from darkroom.store.gates import SqlGateBoard
from tests.support.emulated import Rule
from tests.support.stacks import Running, assert_bill_matches, started_stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURES = GateKey(provider="nanobanana", model="nano-banana-2")
PROMPTS = GateKey(provider="deepseek", model="deepseek-flash")
AWAY: Rule = {"endpoint": "generate", "action": "status", "status": 503}
BROKE: Rule = {"endpoint": "generate", "action": "status", "status": 402}
SPEECHLESS: Rule = {"endpoint": "chat", "action": "status", "status": 503}

GATE = gate_id(PICTURES.provider, PICTURES.model)
GATE_INPUT = json.dumps({"key": {"provider": PICTURES.provider, "model": PICTURES.model}})
OPENING = json.dumps({"reason": "maintenance", "by": "ada"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    """One whole stack for the file."""
    async with started_stack(tmp_path_factory.mktemp("stack") / "var") as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def board(running: Running) -> AsyncGenerator[SqlGateBoard]:
    """The gates as the store knows them; the bill is empty and nothing is wrong."""
    await running.emulated.forget()
    engine = open_engine(running.layout.database_url)
    yield SqlGateBoard(engine)
    await engine.dispose()


async def opened(board: SqlGateBoard, key: GateKey) -> Gate | None:
    """Read a gate if it is open."""
    gate = await board.gate(key)
    return gate if gate.state is GateState.OPEN else None


async def waits_on(running: Running, job_id: JobId) -> str | None:
    """Read what a job says it waits for."""
    waiting = (await running.job(job_id)).get("waiting")
    return waiting["on"] if waiting else None


async def temporal(running: Running, *words: str) -> str:
    """Type a `temporal workflow` command, and read what it answers or refuses."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "temporal"),
        *("--address", running.layout.temporal_address, "workflow"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    return told.decode()


async def test_an_outage_costs_time_and_nothing_else(running: Running, board: SqlGateBoard) -> None:
    """The gate opens, jobs park, one call finds out, and everything is delivered once."""
    await running.emulated.befall(AWAY)
    jobs = [await running.submit(count=4) for _ in range(3)]
    await eventually(lambda: opened(board, PICTURES), within_seconds=30)
    for job_id in jobs:
        await eventually(lambda job_id=job_id: waits_on(running, job_id), within_seconds=30)
    (met,) = await running.emulated.met_counts()
    await running.emulated.befall()

    records: list[dict[str, Any]] = [await running.closed(job_id) for job_id in jobs]

    assert [record["outcome"] for record in records] == ["full"] * 3
    assert met < 12, "each picture asked again and again while nobody answered"
    rows = [row for job_id in jobs for row in await running.ledger.of_job(job_id)]
    assert_bill_matches(tuple(rows), await running.bought())
    assert (await board.gate(PICTURES)).is_quiet


async def test_an_operator_lets_calls_through_with_one_word(
    running: Running, board: SqlGateBoard
) -> None:
    """An empty account parks jobs until somebody has topped it up and says so."""
    await running.emulated.befall(BROKE)
    job_id = await running.submit(count=4)
    await eventually(lambda: opened(board, PICTURES), within_seconds=30)

    async def shown() -> str | None:
        words = await temporal(running, "metadata", "--workflow-id", GATE)
        return words if "1 job parked" in words else None

    words = await eventually(shown, what="the parked job in the gate's details")
    assert words
    assert "until: an operator closes it" in words
    await running.emulated.befall()

    told = await temporal(running, "update", "execute", "--workflow-id", GATE, "--name", "close")

    assert "half_open" in told
    assert (await running.closed(job_id))["outcome"] == "full"
    assert (await board.gate(PICTURES)).is_quiet


async def test_an_operator_holds_calls_back(running: Running, board: SqlGateBoard) -> None:
    """The gate need not be there; without a reason it is refused; meanwhile nothing is bought."""
    start = ("--workflow-id", GATE, "--type", "provider_gate", "--task-queue", "darkroom")
    refused = await temporal(
        running,
        *("execute-update-with-start", *start, "--input", GATE_INPUT),
        *("--id-conflict-policy", "UseExisting", "--update-name", "open"),
    )
    told = await temporal(
        running,
        *("execute-update-with-start", *start, "--input", GATE_INPUT),
        *("--id-conflict-policy", "UseExisting", "--update-name", "open"),
        *("--update-input", OPENING),
    )
    job_id = await running.submit(count=2)
    await eventually(lambda: waits_on(running, job_id), within_seconds=30)
    gate = await opened(board, PICTURES)
    bought = await running.bought()
    await temporal(running, "update", "execute", "--workflow-id", GATE, "--name", "close")

    assert "say why" in refused
    assert "ada holds calls" in told
    assert gate is not None
    assert (gate.by, gate.until) == ("ada", None)
    assert not bought
    assert (await running.closed(job_id))["outcome"] == "full"


async def test_without_its_language_model_the_house_still_delivers(
    running: Running, board: SqlGateBoard
) -> None:
    """Pictures are asked for in the caller's own words."""
    await running.emulated.befall(SPEECHLESS)
    plainly = {"template": "A plain lamp, {timeOfDay}, {weather}, {location}"}

    record = await running.closed(await running.submit(count=6, prompt=plainly))

    assert record["outcome"] == "full"
    assert await opened(board, PROMPTS)
