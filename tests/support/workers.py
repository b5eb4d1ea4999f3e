"""A worker made of fakes, on a task queue of its own, under the strict default sandbox."""

import asyncio
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.admission import SlotActivities
from activities.adoption import CallbackWatch
from activities.analyze import AnalyzeActivities
from activities.claim import ClaimActivities
from activities.control import ControlActivities
from activities.enhance import EnhanceActivities, EnhanceGate
from activities.finish import FinishActivities
from activities.gates import GateActivities
from activities.generate import GenerateActivities
from activities.heartbeats import HEARTBEAT_EVERY
from activities.keeping import PictureKeeper
from activities.ledger_walk import AskingPlan, Darkbench
from activities.passage import Passage
from activities.record import RecordActivities
from darkroom.differentiation import MaximinDifferentiator
from darkroom.domain.admission import Holder, SlotGrant, SlotRelease, SlotRequest
from darkroom.domain.breakers import BreakerPlan, GateKey
from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.events import JobEvent, JobResult
from darkroom.domain.items import VerifiedPicture
from darkroom.domain.job import JobId, JobStart
from darkroom.domain.names import SLOT_GRANTED_SIGNAL
from darkroom.domain.ports import Differentiator, FileStore, Outbox, PreparedPicture
from darkroom.domain.prompts import EnhanceFallback
from darkroom.runtime.gate_signals import TemporalGateSignals
from darkroom.runtime.signals import TemporalJobSignals
from tests.support.fake_providers import FakeFileStore, FakeImageProvider, FakePromptEnhancer
from tests.support.fake_reservations import MemoryReservations
from tests.support.fakes import (
    MemoryCallLedger,
    MemoryDoorbell,
    MemoryJobStore,
    MemoryOutbox,
    MemoryPromptCache,
    MemoryState,
)
from tests.support.passages import a_board, a_passage
from workflows.image_job import ImageJobWorkflow
from workflows.options import WORKFLOW_TASK_TIMEOUT
from workflows.provider_gate import ProviderGateWorkflow

BINARIES = Path(sys.executable).parent
TEST_SERVER = BINARIES / "temporal-test-server"

# Everything of ours stays restricted. The log library draws a random colour when it is
# imported, which says nothing about our stories.
STRICT = SandboxRestrictions.default.with_passthrough_modules("structlog")

ALL_EVENTS = 10_000

# Short, so that waiting for a task costs a test nothing; the ratio is the real one.
QUICK_ASKING = AskingPlan(
    first=timedelta(milliseconds=10),
    longest=timedelta(milliseconds=50),
    deadline=timedelta(seconds=1),
)


class FakePictureCheck:
    """Takes any bytes for a small picture."""

    def prepare(self, content: bytes, *, max_bytes: int) -> PreparedPicture:
        del max_bytes
        verified = VerifiedPicture(format="png", media_type="image/png", width=8, height=8)
        return PreparedPicture(verified=verified, content=content, thumbnail=content[:4])


class OpenQueue:
    """A pool that grants every slot at once, and remembers what it was told."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.held: dict[str, Holder] = {}  # by token
        self.granted = 0
        self.is_open = True  # a test may keep everybody waiting
        self.withdrawn: list[Holder] = []

    async def request(self, request: SlotRequest) -> None:
        """Grant a slot, as the pool's workflow does."""
        if not self.is_open:
            return
        self.granted += 1
        token = f"slot-{self.granted}"
        self.held[token] = request.holder
        grant = SlotGrant(holder=request.holder, token=token, granted_at=datetime.now(UTC))
        handle = self._client.get_workflow_handle(request.holder.workflow_id)
        await handle.signal(SLOT_GRANTED_SIGNAL, grant)

    async def release(self, release: SlotRelease) -> None:
        """Take a slot back, or a request."""
        if release.token:
            self.held.pop(release.token, None)
        else:
            self.withdrawn.append(release.holder)


@dataclass(kw_only=True)
class Fakes:
    """Everything a worker of fakes stands on; tests script it and look into it."""

    state: MemoryState = field(default_factory=MemoryState)
    enhancer: FakePromptEnhancer = field(default_factory=FakePromptEnhancer)
    provider: FakeImageProvider = field(default_factory=FakeImageProvider)
    files: FileStore = field(default_factory=FakeFileStore)
    differentiator: Differentiator = field(default_factory=MaximinDifferentiator)
    outbox: Outbox | None = None  # by default the one on `state`
    task_queue: str = field(default_factory=lambda: f"test-{uuid.uuid4()}")
    fallback: EnhanceFallback = EnhanceFallback.TEMPLATE
    queue: OpenQueue | None = None  # made with the worker
    breaker: BreakerPlan = field(default_factory=BreakerPlan)

    async def events(self, job_id: JobId) -> tuple[JobEvent, ...]:
        """Read a job's log."""
        return await MemoryOutbox(self.state).events_after(job_id, 0, limit=ALL_EVENTS)

    async def record(self, job_id: JobId) -> JobRecord:
        """Read a job's row."""
        record = await MemoryJobStore(self.state).job(job_id)
        assert record is not None
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The breakers of one worker of fakes; the gates' workflows are the real ones."""

    passage: Passage
    activities: GateActivities


def _gates(client: Client, fakes: Fakes, ledger: MemoryCallLedger) -> Gates:
    signals = TemporalGateSignals(
        client, task_timeout=WORKFLOW_TASK_TIMEOUT, task_queue=fakes.task_queue
    )
    passage = a_passage(fakes.state, ledger=ledger, signals=signals, plan=fakes.breaker)
    board = a_board(fakes.state)
    return Gates(passage=passage, activities=GateActivities(board=board, signals=signals))


def _steps(client: Client, fakes: Fakes, callbacks: CallbackWatch) -> list[Callable[..., Any]]:
    """Give every step of a job its fakes, and the gates their real steps."""
    ledger, cache = MemoryCallLedger(fakes.state), MemoryPromptCache(fakes.state)
    jobs, signals = MemoryJobStore(fakes.state), TemporalJobSignals(client)
    reservations = MemoryReservations(fakes.state.holders, reach=fakes.state.reach)
    gates = _gates(client, fakes, ledger)
    fakes.queue = OpenQueue(client)
    bench = Darkbench(
        ledger=ledger,
        cache=cache,
        keeper=PictureKeeper(files=fakes.files, pictures=FakePictureCheck(), max_bytes=1 << 20),
        callbacks=callbacks,
        passage=gates.passage,
        asking=QUICK_ASKING,
    )
    gate = EnhanceGate(
        passage=gates.passage,
        key=GateKey(provider="deepseek", model=fakes.enhancer.model),
        fallback=fakes.fallback,
    )
    return [
        ClaimActivities(jobs).claim,
        RecordActivities(fakes.outbox or MemoryOutbox(fakes.state)).record,
        AnalyzeActivities(
            differentiator=fakes.differentiator, jobs=jobs, reservations=reservations
        ).analyze,
        EnhanceActivities(enhancer=fakes.enhancer, cache=cache, signals=signals, gate=gate).enhance,
        GenerateActivities(providers={"nanobanana": fakes.provider}, bench=bench).generate,
        FinishActivities(
            ledger=ledger, cache=cache, files=fakes.files, reservations=reservations
        ).finish,
        ControlActivities(signals).stop,
        SlotActivities(fakes.queue).request,
        SlotActivities(fakes.queue).release,
        gates.activities.park,
        gates.activities.read_gate,
        gates.activities.move_gate,
    ]


@asynccontextmanager
async def started_worker(client: Client, fakes: Fakes) -> AsyncGenerator[Worker]:
    """Serve a task queue of its own until the block ends."""
    ledger = MemoryCallLedger(fakes.state)
    callbacks = CallbackWatch(ledger=ledger, doorbell=MemoryDoorbell(fakes.state))
    worker = Worker(
        client,
        task_queue=fakes.task_queue,
        workflows=[ImageJobWorkflow, ProviderGateWorkflow],
        activities=_steps(client, fakes, callbacks),
        workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
        max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        default_heartbeat_throttle_interval=HEARTBEAT_EVERY,
    )
    listening = asyncio.create_task(callbacks.listen())
    try:
        async with worker:
            yield worker
    finally:
        listening.cancel()


async def start_job(
    client: Client, fakes: Fakes, start: JobStart
) -> WorkflowHandle[ImageJobWorkflow, JobResult | None]:
    """Start one run of a job, as the gateway does."""
    return await client.start_workflow(
        ImageJobWorkflow.run,
        start,
        id=start.job_id,
        task_queue=fakes.task_queue,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
    )


def renamed(start: JobStart) -> JobStart:
    """Give a job an id that no other test uses."""
    return replace(start, job_id=JobId(f"job_{uuid.uuid4().hex}"))
