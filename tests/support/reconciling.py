"""A house of real Temporal and a store, with jobs that stand still and rounds that look at them.

PYTEST_DONT_REWRITE: nothing is asserted here, and tests import it before pytest does.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.admission import PoolActivities
from activities.claim import ClaimActivities
from activities.drift_files import LostFiles
from activities.drift_jobs import LostRows, LostWorkflows, StuckTasks, UnflushedEvents
from activities.drift_purchases import UnattachedPurchases, UnknownPurchases
from activities.drift_slots import LeakedSlots
from activities.keeping import PictureKeeper
from activities.late_collecting import LateCollecting
from activities.reconcile import ReconcileActivities
from activities.record import RecordActivities
from activities.rounds import Round, Tally
from darkroom.domain.admission import PoolPlan, PoolTerms, QueueTerms
from darkroom.domain.audit import AuditEntry
from darkroom.domain.checkpoint import Claim, ClaimAnswer, RecordBatch, Recorded
from darkroom.domain.drift import (
    DriftKind,
    DriftReport,
    ReconcileOrder,
    ReconcileReport,
    RoundOrder,
)
from darkroom.domain.job import JobId, JobStart
from darkroom.domain.lifecycle import JobState
from darkroom.domain.ports import ImageProvider
from darkroom.runtime.job_runs import TemporalJobRuns
from darkroom.runtime.job_truth import RestartTerms, TemporalJobTruth
from darkroom.runtime.queue_signals import TemporalQueueSignals
from tests.support.builders import a_start
from tests.support.databases import Stores
from tests.support.fake_providers import FakeFileStore, FakeImageProvider
from tests.support.stand_in_job import StandInJob
from tests.support.waiting import eventually
from tests.support.workers import STRICT, FakePictureCheck, renamed
from workflows.options import WORKFLOW_TASK_TIMEOUT
from workflows.reconcile import ReconcileWorkflow
from workflows.slot_pool import SlotPoolWorkflow

AT_ONCE = timedelta(0)

# A pool that does not look after its holders while a test lasts, with room for those of others.
SEEDS = PoolTerms(
    terms=QueueTerms(concurrency=100),
    plan=PoolPlan(look_every=timedelta(hours=1), settle=timedelta(0)),
)


class Undecided:
    """A store of queue terms in which no operator has decided anything."""

    async def terms(self) -> QueueTerms | None:
        """Read nothing."""
        return None

    async def change(self, terms: QueueTerms, deed: AuditEntry) -> None:
        """Keep nothing."""
        raise AssertionError(f"nobody changes the queue here: {terms}, {deed}")


@dataclass(kw_only=True)
class DriftingHouse:
    """Jobs on a queue of their own, whose store and Temporal may be set apart by a test."""

    client: Client
    stores: Stores
    files: FakeFileStore = field(default_factory=FakeFileStore)
    provider: FakeImageProvider = field(default_factory=FakeImageProvider)
    queue: str = field(default_factory=lambda: f"jobs-{uuid4()}")
    stuck_attempts: int = 1  # of a workflow task, from which on it counts as stuck

    @property
    def truth(self) -> TemporalJobTruth:
        """What Temporal says."""
        terms = RestartTerms(task_timeout=WORKFLOW_TASK_TIMEOUT, task_queue=self.queue)
        return TemporalJobTruth(self.client, terms)

    @property
    def pool_signals(self) -> TemporalQueueSignals:
        """The way to the pool, which is served beside the jobs."""
        return TemporalQueueSignals(
            self.client, task_timeout=WORKFLOW_TASK_TIMEOUT, task_queue=self.queue
        )

    def rounds(self) -> Mapping[DriftKind, Round]:
        """Every round, without the patience that only spares what is on its way."""
        keeper = PictureKeeper(files=self.files, pictures=FakePictureCheck(), max_bytes=1 << 20)
        stores, truth = self.stores, self.truth
        inventory = stores.inventory
        providers: dict[str, ImageProvider] = {"nanobanana": self.provider}
        collecting = LateCollecting(
            ledger=stores.ledger, inventory=inventory, providers=providers, keeper=keeper
        )
        return {
            DriftKind.STUCK_TASK: StuckTasks(
                inventory=inventory, truth=truth, attempts=self.stuck_attempts
            ),
            DriftKind.LOST_ROW: LostRows(inventory=inventory, truth=truth, patience=AT_ONCE),
            DriftKind.LOST_WORKFLOW: LostWorkflows(inventory=inventory, truth=truth),
            DriftKind.UNATTACHED_PURCHASE: UnattachedPurchases(
                inventory=inventory,
                jobs=stores.jobs,
                truth=truth,
                collecting=collecting,
                patience=AT_ONCE,
            ),
            DriftKind.UNKNOWN_PURCHASE: UnknownPurchases(inventory=inventory, patience=AT_ONCE),
            DriftKind.LOST_FILE: LostFiles(
                inventory=inventory,
                files=self.files,
                ledger=stores.ledger,
                keeper=keeper,
                providers=providers,
                most=2,
            ),
            DriftKind.UNFLUSHED_EVENTS: UnflushedEvents(truth=truth, patience=AT_ONCE),
            DriftKind.LEAKED_SLOT: LeakedSlots(
                truth=truth,
                runs=TemporalJobRuns(self.client),
                signals=self.pool_signals,
                patience=AT_ONCE,
            ),
        }

    async def look_for(self, kind: DriftKind) -> DriftReport:
        """Go one round."""
        order = RoundOrder(kind=kind, by="ada", dry_run=False)
        tally = Tally(order=order, audit=self.stores.audit)
        await self.rounds()[kind].go(tally)
        return tally.report()

    async def start(self, start: JobStart | None = None) -> "OpenJob":
        """Start a job, and wait until it stands in the store as processing."""
        start = start or renamed(a_start())
        handle = await self.client.start_workflow(
            StandInJob.run, start, id=start.job_id, task_queue=self.queue
        )
        job = OpenJob(house=self, job_id=start.job_id, handle=handle)
        await job.reaches(JobState.PROCESSING)
        return job

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve jobs until the block ends, over whatever stores the house has by then."""
        steps = CurrentSteps(self)
        pool = PoolActivities(seeds=SEEDS, queues=Undecided(), runs=TemporalJobRuns(self.client))
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[StandInJob, SlotPoolWorkflow],
            activities=[steps.claim, steps.record, pool.terms, pool.census, pool.look],
        ):
            yield

    async def reconcile(self, order: ReconcileOrder) -> ReconcileReport:
        """Run the workflow itself, under the strict sandbox, on a queue of its own."""
        queue = f"rounds-{uuid4()}"
        steps = ReconcileActivities(self.rounds(), self.stores.audit)
        async with Worker(
            self.client,
            task_queue=queue,
            workflows=[ReconcileWorkflow],
            activities=[steps.look_for, steps.file_report],
            workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
        ):
            return await self.client.execute_workflow(
                ReconcileWorkflow.run, order, id=queue, task_queue=queue
            )


class CurrentSteps:
    """A job's steps over the stores that the house has when they are made."""

    def __init__(self, house: DriftingHouse) -> None:
        self._house = house

    @activity.defn
    async def claim(self, claim: Claim) -> ClaimAnswer:
        """Claim a job."""
        return await ClaimActivities(self._house.stores.jobs).claim(claim)

    @activity.defn
    async def record(self, batch: RecordBatch) -> Recorded:
        """Write a job's log."""
        return await RecordActivities(self._house.stores.outbox).record(batch)


@dataclass(kw_only=True)
class OpenJob:
    """A job of the house, from both sides."""

    house: DriftingHouse
    job_id: JobId
    handle: WorkflowHandle[StandInJob, None]

    async def reaches(self, state: JobState, *, run: int = 1) -> None:
        """Wait until the store says so."""

        async def is_there() -> bool:
            record = await self.house.stores.jobs.job(self.job_id)
            at = record and (record.snapshot.state, record.snapshot.run)
            return at == (state, run)

        await eventually(is_there, what=f"run {run} of {self.job_id} being {state}")

    async def letters(self) -> tuple[str, ...]:
        """Name the codes with which the job's dead letters are parked."""
        letter = await self.house.stores.letters.letter(self.job_id)
        return () if letter is None else (letter.letter.failure.code,)

    async def deeds(self) -> list[str]:
        """List what the audit log says was done to the job, newest first."""
        entries = await self.house.stores.audit.entries(self.job_id, limit=10)
        return [record.entry.action for record in entries]


def with_run(start: JobStart, expected_run: int) -> JobStart:
    """Start the run after this one."""
    return replace(start, expected_run=expected_run)
