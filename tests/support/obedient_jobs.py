"""A job and a pool that do no work and obey every order: stand-ins for the real ones.

PYTEST_DONT_REWRITE: nothing is asserted here, and tests import it before pytest does.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from darkroom.domain import names
from darkroom.domain.admission import (
    Place,
    PlaceQuestion,
    QueueChange,
    QueueQuestion,
    QueueTerms,
    QueueView,
    changed,
)
from darkroom.domain.checkpoint import DescribeQuestion, JobRecord, JobSnapshot, LiveJob
from darkroom.domain.control import (
    CancelOrder,
    Controlled,
    DecideOrder,
    PauseOrder,
    PriorityOrder,
    ResumeOrder,
)
from darkroom.domain.items import Item
from darkroom.domain.job import JobKind, JobStart
from darkroom.domain.lifecycle import JobState
from darkroom.domain.names import TASK_QUEUE

END = "end"  # signal: fail, as a real job would that is given up
ITEMS = (Item(key="0001", combination=()), Item(key="0002", combination=()))


@workflow.defn(name=JobKind.IMAGE_GENERATION)
class ObedientJob:
    """Remembers what it was told; a job that is stopping refuses to pause."""

    @workflow.init
    def __init__(self, start: JobStart) -> None:
        snapshot = JobSnapshot(run=start.expected_run + 1, seq=1, state=JobState.PROCESSING)
        self._record = JobRecord(start=start, snapshot=snapshot, items=ITEMS)
        self._is_stopping = False
        self._is_over = False

    @workflow.run
    async def run(self, start: JobStart) -> None:  # noqa: ARG002 -- Temporal hands the input to both
        """Wait to be ended."""
        await workflow.wait_condition(lambda: self._is_over)
        raise ApplicationError("ended by the test", non_retryable=True)

    @workflow.query(name=names.DESCRIBE)
    def describe(self, question: DescribeQuestion) -> LiveJob:  # noqa: ARG002 -- as the real one
        """Answer what the job is."""
        return LiveJob(record=self._record)

    @workflow.signal(name=END)
    def end(self) -> None:
        """Fail."""
        self._is_over = True

    @workflow.update(name=names.PAUSE)
    def pause(self, order: PauseOrder) -> Controlled:  # noqa: ARG002 -- as the real one
        """Pause."""
        return self._become(JobState.PAUSED)

    @pause.validator
    def check_pause(self, order: PauseOrder) -> None:  # noqa: ARG002 -- as the real one
        """Refuse while stopping."""
        if self._is_stopping:
            raise ApplicationError("it is being cancelled", type="wrong_state")

    @workflow.update(name=names.RESUME)
    def resume(self, order: ResumeOrder) -> Controlled:  # noqa: ARG002 -- as the real one
        """Go on."""
        return self._become(JobState.PROCESSING)

    @workflow.update(name=names.CANCEL)
    def cancel(self, order: CancelOrder) -> Controlled:  # noqa: ARG002 -- as the real one
        """Begin to stop."""
        self._is_stopping = True
        return self._become(self._record.snapshot.state)

    @workflow.update(name=names.SET_PRIORITY)
    def set_priority(self, order: PriorityOrder) -> Controlled:
        """Take the priority."""
        snapshot = replace(self._record.snapshot, priority=order.priority)
        self._record = replace(self._record, snapshot=snapshot)
        return self._become(snapshot.state)

    @workflow.update(name=names.DECIDE)
    def decide(self, order: DecideOrder) -> Controlled:  # noqa: ARG002 -- as the real one
        """Take the decision."""
        return self._become(self._record.snapshot.state)

    def _become(self, state: JobState) -> Controlled:
        before = self._record.snapshot
        snapshot = replace(before, state=state, seq=before.seq + 1)
        self._record = replace(self._record, snapshot=snapshot)
        return Controlled(state=state, changed=state is not before.state)


@workflow.defn(name=names.SLOT_POOL)
class ObedientPool:
    """Shows the queue it was started with, and changes its terms when asked."""

    @workflow.init
    def __init__(self, view: QueueView) -> None:
        self._view = view

    @workflow.run
    async def run(self, view: QueueView) -> None:  # noqa: ARG002 -- Temporal hands the input to both
        """Wait to be ended."""
        await workflow.wait_condition(lambda: False)

    @workflow.query(name=names.QUEUE)
    def queue(self, question: QueueQuestion) -> QueueView:  # noqa: ARG002 -- as the real one
        """Answer the queue."""
        return self._view

    @workflow.query(name=names.PLACE)
    def place(self, question: PlaceQuestion) -> Place | None:
        """Answer a place beyond those that the view lists."""
        listed = (one.place for one in self._view.waiting if one.job_id == question.job_id)
        beyond = Place(job_id=question.job_id, position=self._view.waiting_count, why="many wait")
        return next(listed, beyond)

    @workflow.update(name=names.CHANGE_QUEUE)
    def change_queue(self, change: QueueChange) -> QueueTerms:
        """Take the change."""
        terms = changed(self._view.terms, change, at=workflow.now())
        self._view = replace(self._view, terms=terms)
        return terms

    @change_queue.validator
    def check_change_queue(self, change: QueueChange) -> None:
        """Refuse one that nobody can carry out."""
        if change.reason == "refuse this":
            raise ApplicationError("the pool has its reasons", type="wrong_state")


@asynccontextmanager
async def obedient_pool(client: Client, view: QueueView) -> AsyncGenerator[None]:
    """Run jobs and a pool that shows this queue while the block runs."""
    async with obedient_worker(client):
        handle = await client.start_workflow(
            ObedientPool.run, view, id=names.SLOT_POOL_ID, task_queue=TASK_QUEUE
        )
        try:
            yield
        finally:
            await handle.terminate()


@asynccontextmanager
async def obedient_worker(client: Client) -> AsyncGenerator[None]:
    """Run obedient jobs while the block runs."""
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[ObedientJob, ObedientPool],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield
