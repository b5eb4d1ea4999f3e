"""The whole stack as processes of its own, for tests that kill, stop and look from outside."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from darkroom.domain.events import JobEvent
from darkroom.domain.job import JobId
from darkroom.domain.ledger import PAID, LedgerRow
from darkroom.runtime.temporal import connect
from darkroom.settings import EmbeddedSettings
from darkroom.store.engine import open_engine
from darkroom.store.ledger import SqlCallLedger
from darkroom.store.outbox import SqlOutbox
from deploy.embedded.layout import Layout, plan_layout
from deploy.embedded.ports import find_free_port
from deploy.embedded.stack import Stack, running_stack
from tests.support.emulated import Accepted, Emulated
from tests.support.waiting import eventually

ALL_EVENTS = 10_000
FINAL = frozenset({"completed", "failed", "cancelled"})

A_REQUEST: dict[str, Any] = {
    "type": "image_generation",
    "dimensions": {
        "timeOfDay": {"options": ["morning", "noon", "evening", "night"]},
        "weather": {"options": ["sunny", "cloudy", "rainy", "snowy"]},
        "location": {"options": ["urban", "rural"]},
    },
    "count": 1,
    "avoidHistory": False,
    "prompt": {"template": "A street lamp, {timeOfDay}, {weather}, {location}"},
    "image": {"provider": "nanobanana"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedLayout(Layout):
    """A layout whose workers and gateways get more variables than the stack gives them."""

    tuning: Mapping[str, str] = field(default_factory=dict[str, str])

    def environment(self, settings: EmbeddedSettings) -> dict[str, str]:
        """Variables that worker and gateway get on top of ours."""
        return {**Layout.environment(self, settings), **self.tuning}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running stack, and hands to reach into it."""

    stack: Stack
    settings: EmbeddedSettings
    api: httpx.AsyncClient  # with the owner's key
    operator: httpx.AsyncClient
    emulated: Emulated
    temporal: Client
    outbox: SqlOutbox
    ledger: SqlCallLedger

    @property
    def layout(self) -> Layout:
        """Ports, paths and keys."""
        return self.stack.layout

    async def submit(self, **changes: Any) -> JobId:
        """Start a job of one small picture, changed as the test says."""
        answer = await self.api.post("/v1/jobs", json=A_REQUEST | changes)
        assert answer.status_code == 202, answer.text
        return JobId(answer.json()["id"])

    async def job(self, job_id: JobId) -> dict[str, Any]:
        """Read the job's record as a caller sees it."""
        answer = await self.api.get(f"/v1/jobs/{job_id}")
        return answer.json() if answer.is_success else {}

    async def closed(self, job_id: JobId, *, within_seconds: float = 60.0) -> dict[str, Any]:
        """Wait until the job is over."""

        async def record_if_closed() -> dict[str, Any] | None:
            record = await self.job(job_id)
            return record if record.get("status") in FINAL else None

        record = await eventually(
            record_if_closed, within_seconds=within_seconds, what=f"the end of {job_id}"
        )
        assert record
        return record

    async def typed(self, *words: str) -> str:
        """Type a `temporal` command, as an operator does, and read what it answers."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "temporal"),
            *("--address", self.layout.temporal_address),
            *words,
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, told
        return told.decode()

    async def events(self, job_id: JobId) -> tuple[JobEvent, ...]:
        """Read the job's stored log."""
        return await self.outbox.events_after(job_id, 0, limit=ALL_EVENTS)

    async def bought(self) -> tuple[Accepted, ...]:
        """Read which pictures the provider says it was paid for."""
        return tuple(
            entry
            for entry in await self.emulated.ledger()
            if entry.endpoint == "generate" and entry.billed
        )

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one process of the stack."""
        pid = self.stack.child(name).pid
        assert pid
        os.kill(pid, number)


@asynccontextmanager
async def started_stack(
    var_dir: Path, *, tuning: Mapping[str, str] | None = None, **changes: Any
) -> AsyncGenerator[Running]:
    """Run the whole stack on free ports, with quick emulators and small pictures.

    Args:
        var_dir: where it keeps everything.
        tuning: environment variables of workers and gateways, e.g. RETRY_BASE_DELAY.
        changes: of `EmbeddedSettings`.
    """
    quick: dict[str, Any] = {
        "var_dir": var_dir,
        "ws_port": find_free_port(),
        "temporal_port": find_free_port(),
        "temporal_ui_port": find_free_port(),
        "emulators_port": find_free_port(),
        "emulators_chat_seconds": 0.05,
        "emulators_picture_seconds": 0.2,
        "emulators_picture_pixels": 64,
    }
    settings = EmbeddedSettings(**(quick | changes))
    layout = _tuned(plan_layout(settings), tuning or {})
    engine = open_engine(layout.database_url)
    api, operator = _client(layout, layout.dev_key), _client(layout, layout.operator_key)
    async with running_stack(layout, settings) as stack, api, operator:
        try:
            yield Running(
                stack=stack,
                settings=settings,
                api=api,
                operator=operator,
                emulated=Emulated(address=layout.emulators_url),
                temporal=await connect(address=layout.temporal_address, namespace="default"),
                outbox=SqlOutbox(engine),
                ledger=SqlCallLedger(engine),
            )
        finally:
            await engine.dispose()


def _tuned(layout: Layout, tuning: Mapping[str, str]) -> TunedLayout:
    planned = {part.name: getattr(layout, part.name) for part in fields(layout)}
    return TunedLayout(**planned, tuning=tuning)


def _client(layout: Layout, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=layout.gateway_url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=10,
        trust_env=False,
    )


def assert_gapless(events: tuple[JobEvent, ...]) -> None:
    """Events are numbered 1..n, and progress never falls."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    percents = [event.progress.percent for event in events]
    assert percents == sorted(percents)


def assert_bill_matches(rows: tuple[LedgerRow, ...], bought: tuple[Accepted, ...]) -> None:
    """Our ledger and the provider's bill name the same purchases at the same prices, once."""
    ours = sorted(
        (str(row.key), row.task_id, row.price_micros) for row in rows if row.state in PAID
    )
    theirs = sorted((entry.call, entry.task_id, entry.amount_micros) for entry in bought)
    assert ours == theirs
    assert len({call for call, _, _ in theirs}) == len(theirs)


async def settled(seconds: float) -> None:
    """Let real time pass where a test is about its passing."""
    await asyncio.sleep(seconds)
