"""A real workflow behind the gateway, while its store is in trouble."""

from dataclasses import replace
from typing import Any

import httpx

from darkroom.domain.checkpoint import RecordBatch, Recorded
from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.events import EventKind
from darkroom.domain.job import JobId
from darkroom.domain.names import TASK_QUEUE
from tests.support.databases import memory_stores
from tests.support.fakes import MemoryOutbox, MemoryState
from tests.support.gateways import House, Listener, a_body
from tests.support.waiting import eventually
from tests.support.workers import Fakes, started_worker

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

MOST_OF_THE_LOG = 5  # events of a small job


class ForgetfulOutbox(MemoryOutbox):
    """Reads, but refuses to write while the test says so."""

    is_full = False

    async def append(self, batch: RecordBatch) -> Recorded:
        """Append unless full."""
        if self.is_full:
            raise StoreUnavailable("the disk is full; the test must make room")
        return await super().append(batch)


async def test_snapshot_holds_what_the_workflow_could_not_store_yet(house: House) -> None:
    """Snapshot and log agree: unflushed events are in the acknowledgement, and come once."""
    state = MemoryState()
    outbox = ForgetfulOutbox(state)
    outbox.is_full = True
    gateway = await house.gateway(stores=replace(memory_stores(state), outbox=outbox))
    fakes = Fakes(state=state, outbox=outbox, task_queue=TASK_QUEUE)
    async with started_worker(house.temporal, fakes), gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(count=2))
        job_id = JobId(taken.json()["id"])
        async with gateway.listening() as ear:
            answer = await eventually(lambda: _unstored(ear, job_id), what="unstored events")
            stored_before = await outbox.events_after(job_id, 0, limit=10)
            outbox.is_full = False
            log = await eventually(lambda: _whole_log(fakes, job_id), within_seconds=30)
            await eventually(lambda: len(ear.seqs(job_id)) >= len(log), what="every number")
            await ear.ask("unsubscribe", {"jobId": job_id})
            heard = ear.seqs(job_id)

    assert stored_before == ()
    assert answer["snapshot"]["seq"] == len(answer["events"])
    assert heard == log == list(range(1, len(log) + 1))


async def test_running_job_is_followed_through_a_database_outage(house: House) -> None:
    """While the store is away the workflow itself is asked; nothing is lost or repeated."""
    state = MemoryState()
    gateway = await house.gateway(stores=memory_stores(state))
    fakes = Fakes(state=state, task_queue=TASK_QUEUE)
    async with (
        started_worker(house.temporal, fakes),
        gateway.calling() as http,
        gateway.listening() as ear,
    ):
        taken = await http.post("/v1/jobs", json=a_body(count=2))
        job_id = JobId(taken.json()["id"])
        await eventually(lambda: job_id in state.jobs, what="the claim")
        state.is_away = True
        answer = await eventually(lambda: _subscribed(ear, job_id), what="a subscription")
        # A workflow that is held up by its store may miss one question.
        read = await eventually(lambda: _read(http, job_id), what="an answer")
        state.is_away = False
        log = await eventually(lambda: _whole_log(fakes, job_id), within_seconds=30)
        await eventually(lambda: len(ear.seqs(job_id)) >= len(log), what="every number")
        await ear.ask("unsubscribe", {"jobId": job_id})
        heard = ear.seqs(job_id)

    assert answer["ok"] is True
    assert read["id"] == job_id
    assert heard == log == list(range(1, len(log) + 1))


async def _whole_log(fakes: Fakes, job_id: JobId) -> list[int]:
    """Read the numbers of a job's log, once it is closed."""
    events = await fakes.events(job_id)
    is_closed = bool(events) and events[-1].kind is EventKind.JOB_COMPLETED
    return [event.seq for event in events] if is_closed else []


async def _unstored(ear: Listener, job_id: JobId) -> dict[str, Any]:
    """Subscribe until the workflow tells of events that the store does not have."""
    ear.heard.clear()
    answer = await ear.subscribe(job_id)
    is_live = answer["ok"] and not answer["snapshot"]["stale"]
    return answer if is_live and len(answer["events"]) > MOST_OF_THE_LOG else {}


async def _read(http: httpx.AsyncClient, job_id: JobId) -> dict[str, Any]:
    answer = await http.get(f"/v1/jobs/{job_id}")
    return answer.json() if answer.is_success else {}


async def _subscribed(ear: Listener, job_id: JobId) -> dict[str, Any]:
    answer = await ear.subscribe(job_id)
    return answer if answer["ok"] else {}
