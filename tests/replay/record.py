"""Record one history of every workflow and every end on the real server: `make record-history`.

Histories are append-only: a file that exists is never replaced, because it stands for work
that is under way somewhere with that code.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from darkroom.domain.drift import RECONCILE, ReconcileOrder
from darkroom.domain.escalation import Ladder
from darkroom.domain.job import JobId
from darkroom.domain.names import ESCALATE_DEAD_LETTERS, SLOT_POOL_ID, TASK_QUEUE, gate_id
from darkroom.runtime.exits import leave
from tests.support.stacks import Running, started_stack
from tests.support.waiting import eventually

HISTORIES = Path(__file__).parent / "histories"
PAID_BUT_STUCK = {"endpoint": "generate", "action": "stuck"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a recording left behind: a workflow, and the end it should have for callers."""

    workflow_id: str
    job_id: JobId | None = None
    status: str | None = None


async def completed(running: Running) -> Recorded:
    """Three pictures, with one failed attempt on the way."""
    fault = {"endpoint": "generate", "action": "status", "status": 503, "when": {"nth": 1}}
    await running.emulated.befall(fault)
    return _job(await running.submit(count=3), "completed")


async def failed(running: Running) -> Recorded:
    """The content policy refuses the only picture."""
    fault = {"endpoint": "generate", "action": "generate_failed", "code": 400}
    await running.emulated.befall(fault)
    return _job(await running.submit(), "failed")


async def cancelled(running: Running) -> Recorded:
    """Cancelled while its pictures are drawn."""
    job_id = await _with_two_stuck_pictures(running)
    await running.api.post(f"/v1/jobs/{job_id}/cancel", json={})
    return _job(job_id, "cancelled")


async def stopped(running: Running) -> Recorded:
    """Paused, resumed, raised, and cancelled once what is in flight is collected."""
    job_id = await running.submit(count=5)
    await _bought(running, 1)
    for path, body in (
        ("pause", {}),
        ("resume", {}),
        ("cancel", {"mode": "after_current"}),
    ):
        answer = await running.api.post(f"/v1/jobs/{job_id}/{path}", json=body)
        answer.raise_for_status()
    return _job(job_id, "cancelled")


async def slot_pool(running: Running) -> Recorded:
    """One job more than there are slots, and a limit that is changed meanwhile."""
    jobs = [await running.submit() for _ in range(6)]
    change = {"concurrency": 4}
    (await running.operator.patch("/v1/admin/queue", json=change)).raise_for_status()
    for job_id in jobs:
        await running.closed(job_id)
    return Recorded(workflow_id=SLOT_POOL_ID)


async def provider_gate(running: Running) -> Recorded:
    """An outage that two jobs wait out at the gate, one of them as the canary."""
    fault = {"endpoint": "generate", "action": "status", "status": 503, "times": 6}
    await running.emulated.befall(fault)
    for job_id in [await running.submit(count=2) for _ in range(2)]:
        await running.closed(job_id)
    gate = gate_id("nanobanana", "nano-banana-2")

    async def is_over() -> bool:
        described = await running.temporal.get_workflow_handle(gate).describe()
        return described.close_time is not None

    await eventually(is_over, within_seconds=60, what="the end of the gate")
    return Recorded(workflow_id=gate)


async def reconcile(running: Running) -> Recorded:
    """A round over everything."""
    return await _chore(running, RECONCILE, ReconcileOrder(by="the recorder"))


async def escalation(running: Running) -> Recorded:
    """A round over dead letters, one of which nobody has been told of."""
    fault = {"endpoint": "generate", "action": "generate_failed", "code": 400}
    await running.emulated.befall(fault)
    await running.closed(await running.submit())
    return await _chore(running, ESCALATE_DEAD_LETTERS, Ladder(rungs=()))


RECORDINGS: dict[str, Callable[[Running], Awaitable[Recorded]]] = {
    "image_job.completed": completed,
    "image_job.failed": failed,
    "image_job.cancelled": cancelled,
    "image_job.stopped": stopped,
    "slot_pool.serving": slot_pool,
    "provider_gate.closed": provider_gate,
    "reconcile.completed": reconcile,
    "escalate_dead_letters.completed": escalation,
}


def _job(job_id: JobId, status: str) -> Recorded:
    return Recorded(workflow_id=job_id, job_id=job_id, status=status)


async def _with_two_stuck_pictures(running: Running) -> JobId:
    await running.emulated.befall(PAID_BUT_STUCK)
    job_id = await running.submit(count=2)
    await _bought(running, 2)
    return job_id


async def _bought(running: Running, count: int) -> None:
    async def are_bought() -> bool:
        return len(await running.bought()) >= count

    await eventually(are_bought, what=f"{count} purchases")


async def _chore(running: Running, kind: str, order: object) -> Recorded:
    workflow_id = f"{kind}-recorded"
    await running.temporal.execute_workflow(kind, order, id=workflow_id, task_queue=TASK_QUEUE)
    return Recorded(workflow_id=workflow_id)


async def record(name: str, running: Running) -> Path:
    """Bring one workflow to where it is to be recorded, and keep its history."""
    recorded = await RECORDINGS[name](running)
    if recorded.job_id:
        closed: dict[str, Any] = await running.closed(recorded.job_id)
        if closed["status"] != recorded.status:
            raise RuntimeError(f"{name} should be {recorded.status}, but is {closed['status']}")
    history = await running.temporal.get_workflow_handle(recorded.workflow_id).fetch_history()
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H%M")
    path = HISTORIES / f"{name}.{moment}.json"
    if path.exists():
        raise RuntimeError(f"{path.name} exists; histories are append-only")
    path.write_text(without_stack_traces(history.to_json()))
    return path


def without_stack_traces(history: str) -> str:
    """Leave out where the code lay on the machine that recorded it; a replay ignores it."""
    return re.sub(r'("stackTrace":\s*)"(?:[^"\\]|\\.)*"', r'\1""', history)


async def main() -> None:
    """Record everything."""
    HISTORIES.mkdir(exist_ok=True)
    with TemporaryDirectory() as directory:
        async with started_stack(Path(directory)) as running:
            for name in RECORDINGS:
                await running.emulated.befall()
                await running.emulated.forget()
                sys.stdout.write(f"{(await record(name, running)).name}\n")


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
