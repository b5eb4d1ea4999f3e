"""Record one history of every end state on the real server: `make record-history`.

Histories are append-only: a file that exists is never replaced, because it stands for jobs
that are running somewhere with that code.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from darkroom.domain.job import JobId
from darkroom.runtime.exits import leave
from tests.support.stacks import Running, started_stack
from tests.support.waiting import eventually

HISTORIES = Path(__file__).parent / "histories"
PAID_BUT_STUCK = {"endpoint": "generate", "action": "stuck"}


async def completed(running: Running) -> JobId:
    """Three pictures, with one failed attempt on the way."""
    fault = {"endpoint": "generate", "action": "status", "status": 503, "when": {"nth": 1}}
    await running.emulated.befall(fault)
    return await running.submit(count=3)


async def failed(running: Running) -> JobId:
    """The content policy refuses the only picture."""
    fault = {"endpoint": "generate", "action": "generate_failed", "code": 400}
    await running.emulated.befall(fault)
    return await running.submit()


async def cancelled(running: Running) -> JobId:
    """Cancelled while its pictures are drawn."""
    await running.emulated.befall(PAID_BUT_STUCK)
    job_id = await running.submit(count=2)

    async def are_bought() -> bool:
        return len(await running.bought()) == 2

    await eventually(are_bought, what="both purchases")
    await running.api.post(f"/v1/jobs/{job_id}/cancel", json={})
    return job_id


ENDS: dict[str, Callable[[Running], Awaitable[JobId]]] = {
    "completed": completed,
    "failed": failed,
    "cancelled": cancelled,
}


async def record(name: str, running: Running) -> Path:
    """Bring one job to its end and keep its history."""
    job_id = await ENDS[name](running)
    closed: dict[str, Any] = await running.closed(job_id)
    if closed["status"] != name:
        raise RuntimeError(f"{job_id} should have {name}, but is {closed['status']}")
    history = await running.temporal.get_workflow_handle(job_id).fetch_history()
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    path = HISTORIES / f"image_job.{name}.{day}.json"
    if path.exists():
        raise RuntimeError(f"{path.name} exists; histories are append-only")
    path.write_text(without_stack_traces(history.to_json()))
    return path


def without_stack_traces(history: str) -> str:
    """Leave out where the code lay on the machine that recorded it; a replay ignores it."""
    return re.sub(r'("stackTrace":\s*)"(?:[^"\\]|\\.)*"', r'\1""', history)


async def main() -> None:
    """Record every end."""
    HISTORIES.mkdir(exist_ok=True)
    with TemporaryDirectory() as directory:
        async with started_stack(Path(directory)) as running:
            for name in ENDS:
                await running.emulated.befall()
                await running.emulated.forget()
                sys.stdout.write(f"{(await record(name, running)).name}\n")


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
