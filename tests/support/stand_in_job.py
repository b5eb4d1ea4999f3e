"""A job's workflow reduced to what reconcile is about: it claims, writes its log, and ends.

It keeps the store's rules by the same parts as the true one, and does no work in between.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.claim import ClaimActivities
from darkroom.domain.admission import Holder, SlotClaim, SlotGrant, SlotQuestion, SlotRequest
from darkroom.domain.checkpoint import Claim, Claimed, DescribeQuestion, LiveJob
from darkroom.domain.errors import Failure
from darkroom.domain.events import EventKind
from darkroom.domain.items import Item
from darkroom.domain.job import JobKind, JobStart
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.lifecycle import JobState, Outcome
from darkroom.domain.names import SLOT_GRANTED_SIGNAL
from workflows.durably import durably
from workflows.recorder import Recorder


def slot_request(start: JobStart, first_run_id: str) -> SlotRequest:
    """Ask for a slot in a job's name."""
    return SlotRequest(
        holder=Holder(workflow_id=start.job_id, first_run_id=first_run_id),
        owner=start.owner,
        priority=start.request.priority,
        submitted_at=start.submitted_at,
    )


@workflow.defn(name=JobKind.IMAGE_GENERATION, sandboxed=False)
class StandInJob:
    """Stands open until it is told how to end."""

    @workflow.init
    def __init__(self, start: JobStart) -> None:
        self._start = start
        self._journal = JobJournal(start, writer=workflow.info().first_execution_run_id)
        self._end: JobState | None = None
        self._is_broken = False

    @workflow.run
    async def run(self, start: JobStart) -> None:
        """Claim the job and hold it."""
        del start
        claiming = asyncio.create_task(self._claim())
        try:
            if not await asyncio.shield(claiming):
                return
            await workflow.wait_condition(lambda: self._end is not None or self._is_broken)
        except asyncio.CancelledError:
            if await claiming:
                self._close(JobState.CANCELLED)
                await self._recorder.drained()
            raise
        if self._is_broken:
            raise RuntimeError("this workflow fails its task for as long as the test wants it to")
        repair = self._start.repair
        failure = repair.failure if repair else None
        self._close(self._end or JobState.COMPLETED, failure)
        await self._recorder.drained()
        if failure:
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True)

    @workflow.query
    def describe(self, question: DescribeQuestion) -> LiveJob:
        """Answer as the true workflow does."""
        del question
        return self._journal.live()

    @workflow.query
    def slot(self, question: SlotQuestion) -> SlotClaim:
        """Answer that it holds no slot, whatever the pool believes."""
        del question
        return SlotClaim(request=slot_request(self._start, workflow.info().first_execution_run_id))

    @workflow.signal(name=SLOT_GRANTED_SIGNAL)
    def forget_grant(self, grant: SlotGrant) -> None:
        """Lose a slot that is given to it."""

    @workflow.signal
    def take(self, item: Item) -> None:
        """Reach something with an item, and write it down."""
        self._journal.put_items([item])
        self._journal.note(EventKind.IMAGE_STORED, at=workflow.now(), facts=Facts(item=item.key))

    @workflow.signal
    def end(self, state: JobState) -> None:
        """End so."""
        self._end = state

    @workflow.signal(name="break")
    def fail_task(self) -> None:
        """Fail the workflow's task from now on."""
        self._is_broken = True

    @workflow.signal(name="pause")
    def pause(self) -> None:
        """Write down that the job is paused."""
        self._journal.advance(JobState.PAUSED, at=workflow.now())
        self._journal.note(EventKind.JOB_PAUSED, at=workflow.now())

    async def _claim(self) -> bool:
        claim = Claim(start=self._start, writer=workflow.info().first_execution_run_id)
        answered = await durably(ClaimActivities.claim, claim)
        if not isinstance(answered.answer, Claimed):
            return False
        self._journal.resume(answered.answer)
        self._recorder = Recorder(self._journal)
        self._begin()
        return True

    def _begin(self) -> None:
        if self._start.repair and self._start.repair.failure:
            self._end = JobState.FAILED
        if not self._journal.snapshot.seq:
            self._journal.note(EventKind.JOB_SUBMITTED, at=self._start.submitted_at)
        if self._journal.snapshot.state.is_terminal:
            self._journal.advance(JobState.PENDING, at=workflow.now())
        if self._journal.snapshot.state is JobState.PENDING and self._end is None:
            self._journal.advance(JobState.PROCESSING, at=workflow.now())
            self._journal.note(EventKind.JOB_STARTED, at=workflow.now())

    def _close(self, state: JobState, failure: Failure | None = None) -> None:
        self._journal.advance(state, at=workflow.now())
        cost = self._journal.snapshot.cost
        self._journal.close(Outcome.NONE, cost=cost, failure=failure)
        kinds = {JobState.FAILED: EventKind.JOB_FAILED, JobState.CANCELLED: EventKind.JOB_CANCELLED}
        kind = kinds.get(state, EventKind.JOB_COMPLETED)
        self._journal.note(kind, at=workflow.now(), facts=Facts(failure=failure))
