"""The story of one image job: analyze, enhance, generate, finish."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.analyze import AnalyzeActivities
from activities.claim import ClaimActivities
from darkroom.domain.admission import SlotClaim, SlotGrant, SlotQuestion
from darkroom.domain.attempts import AnalyzeOrder, CalledBack, Finished, PromptsEnhanced
from darkroom.domain.breakers import GateOpened
from darkroom.domain.checkpoint import (
    Claim,
    Claimed,
    DescribeQuestion,
    LiveJob,
)
from darkroom.domain.control import (
    UNNAMED,
    CancelOrder,
    Controlled,
    DecideOrder,
    PauseOrder,
    PriorityOrder,
    ResumeOrder,
    typed_order,
)
from darkroom.domain.drift import RECONCILE
from darkroom.domain.errors import Disposition, Failure, IllegalTransition
from darkroom.domain.events import EventKind, JobResult
from darkroom.domain.items import ItemState, plan_items, revived
from darkroom.domain.job import (
    JobKind,
    JobStart,
    OnImageFailure,
    RetryScope,
    RetryTerms,
    difference_request,
)
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.lifecycle import JobState, Outcome, WaitingOn
from darkroom.domain.names import (
    CALLED_BACK_SIGNAL,
    CANCEL,
    GATE_OPENED_SIGNAL,
    PAUSE,
    PROMPTS_ENHANCED_SIGNAL,
    RESUME,
    SLOT_GRANTED_SIGNAL,
    STAGE_ATTRIBUTE,
    STATUS_ATTRIBUTE,
)
from darkroom.domain.stages import Stage, counted
from workflows.clearance import WAITS_FOR_SLOT, Clearance, Stopping
from workflows.clock import run_out
from workflows.closing import StoryFailed, close_the_books
from workflows.durably import durably, steadily
from workflows.floor import Floor
from workflows.options import ANALYZE
from workflows.orders import Orders, refusing, stop_now
from workflows.parking import Parking
from workflows.pictures import Pictures, crashed, fail_item
from workflows.prompts import Prompts
from workflows.recorder import Recorder
from workflows.retrying import Retrying
from workflows.slot_lease import SlotLease
from workflows.standstill import Standstill, waiting_on
from workflows.unknowns import Unknowns

_STATUS = SearchAttributeKey.for_keyword(STATUS_ATTRIBUTE)
_STAGE = SearchAttributeKey.for_keyword(STAGE_ATTRIBUTE)

# What an order says that was typed without any input.
_PAUSE, _RESUME, _CANCEL = PauseOrder(), ResumeOrder(), CancelOrder()
_DESCRIBE, _SLOT = DescribeQuestion(), SlotQuestion()


@workflow.defn(name=JobKind.IMAGE_GENERATION)
class ImageJobWorkflow:
    """One run of one job; the single writer of its state and of its log."""

    @workflow.init
    def __init__(self, start: JobStart) -> None:
        self._start = start
        self._journal = JobJournal(start, writer=workflow.info().first_execution_run_id)
        self._floor = _floor(start, self._journal)
        self._prompts = Prompts(start, self._journal, self._floor)
        self._unknowns = Unknowns(self._journal, self._floor, start.plans.on_unknown)
        self._orders = Orders(self._journal, self._floor, self._unknowns, show=self._show)
        self._is_claimed = False

    @workflow.run
    async def run(self, start: JobStart) -> JobResult | None:  # noqa: ARG002 -- Temporal hands the input to both; @workflow.init keeps it
        """Carry the job to its end; None when that is done, or another run is its writer."""
        try:
            result = await self._to_its_end()
        except (ApplicationError, asyncio.CancelledError):
            await self._orders_answered()
            raise
        await self._orders_answered()
        return result

    @workflow.query(description="the whole record, and events that are not stored yet")
    def describe(self, question: DescribeQuestion = _DESCRIBE) -> LiveJob:  # noqa: ARG002 -- one value in, so that fields can be added
        """Answer what the job is, with the events the store does not have yet."""
        return self._journal.live()

    @workflow.query(description="what this run holds of the queue, or waits for")
    def slot(self, question: SlotQuestion = _SLOT) -> SlotClaim:  # noqa: ARG002 -- one value in, so that fields can be added
        """Answer a pool that has lost its memory: what this run holds or waits for."""
        return self._floor.lease.claim()

    @workflow.update(description='buy nothing more; {"by": ..., "reason": ...} or nothing')
    async def pause(self, order: PauseOrder = _PAUSE) -> Controlled:
        """Buy nothing more until resumed; what is in flight is collected."""
        return await self._follow(lambda: self._orders.pause(order))

    @pause.validator
    def _may_pause(self, order: PauseOrder = _PAUSE) -> None:  # noqa: ARG002 -- the SDK wants the update's own parameters
        with refusing():
            self._orders.check_halt("be paused")

    @workflow.update(description='go on; {"by": ...} or nothing')
    async def resume(self, order: ResumeOrder = _RESUME) -> Controlled:
        """Go on; the job keeps its place in the queue."""
        return await self._follow(lambda: self._orders.resume(order))

    @resume.validator
    def _may_resume(self, order: ResumeOrder = _RESUME) -> None:  # noqa: ARG002 -- as above
        with refusing():
            self._orders.check_halt("be resumed")

    @workflow.update(description='stop; {"mode": "now" | "after_current", "by": ...} or nothing')
    async def cancel(self, order: CancelOrder = _CANCEL) -> Controlled:
        """Stop for good; pictures that are there stay."""
        await self._taken_over()
        with refusing():
            return await self._orders.cancel(order)

    @cancel.validator
    def _may_cancel(self, order: CancelOrder = _CANCEL) -> None:  # noqa: ARG002 -- as above
        with refusing():
            self._orders.check_open("be cancelled")

    @workflow.update(description='{"priority": "high" | "normal" | "low", "by": ...}')
    async def set_priority(self, order: PriorityOrder) -> Controlled:
        """Move the job up or down in the queue."""
        return await self._follow(lambda: self._orders.rank(order))

    @set_priority.validator
    def _may_set_priority(self, order: PriorityOrder) -> None:  # noqa: ARG002 -- as above
        with refusing():
            self._orders.check_open("change its priority")

    @workflow.update(description='{"decision": "rebuy" | "give_up", "item": ..., "by": ...}')
    async def decide(self, order: DecideOrder) -> Controlled:
        """Settle purchases of which nobody knows whether they were made."""
        return await self._follow(lambda: self._orders.decide(order))

    @decide.validator
    def _may_decide(self, order: DecideOrder) -> None:
        with refusing():
            self._orders.check_decision(order)

    @workflow.signal(name=PAUSE, description="as the update; a refusal is an event")
    async def pause_by_signal(self, typed: Any = None) -> None:
        """Pause, as typed with `temporal workflow signal`."""
        await self._obey(PAUSE, lambda: self._orders.pause(typed_order(PauseOrder, typed)))

    @workflow.signal(name=RESUME, description="as the update; a refusal is an event")
    async def resume_by_signal(self, typed: Any = None) -> None:
        """Resume, as typed with `temporal workflow signal`."""
        await self._obey(RESUME, lambda: self._orders.resume(typed_order(ResumeOrder, typed)))

    @workflow.signal(name=CANCEL, description="as the update; a refusal is an event")
    async def cancel_by_signal(self, typed: Any = None) -> None:
        """Cancel, as typed with `temporal workflow signal`."""
        await self._obey(CANCEL, lambda: self._orders.cancel(typed_order(CancelOrder, typed)))

    @workflow.signal(name=PROMPTS_ENHANCED_SIGNAL)
    def prompts_enhanced(self, told: PromptsEnhanced | None = None) -> None:
        """Hear early which prompts are there; the activity's result tells all of them."""
        if told:
            self._prompts.take(told.prompts)

    @workflow.signal(name=SLOT_GRANTED_SIGNAL)
    async def slot_granted(self, grant: SlotGrant | None = None) -> None:
        """Take the slot, or have it released when nobody here waits for it."""
        if grant:
            await self._floor.lease.grant(grant)

    @workflow.signal(name=GATE_OPENED_SIGNAL)
    def gate_opened(self, opened: GateOpened | None = None) -> None:
        """Let what is parked at a provider's gate try again."""
        if opened:
            self._floor.parking.opened(opened)

    @workflow.signal(name=CALLED_BACK_SIGNAL)
    def called_back(self, told: CalledBack | None = None) -> None:
        """Collect a purchase that was made after all."""
        if told:
            self._unknowns.called_back(told)

    async def _to_its_end(self) -> JobResult | None:
        claiming = asyncio.create_task(self._claim())
        try:
            if not await asyncio.shield(claiming):
                return None
            self._end_as_repair_says()
            return await self._close_completed(await self._within_its_time())
        except StoryFailed as end:
            raise await self._close_failed(end) from None
        except asyncio.CancelledError:
            if await claiming:
                await self._close_cancelled()
            raise

    async def _orders_answered(self) -> None:
        """Let whoever gave an order have an answer before the run is over."""
        self._orders.is_closing = True
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _claim(self) -> bool:
        writer = workflow.info().first_execution_run_id
        claim = Claim(start=self._start, writer=writer)
        ask = steadily if self._floor.lease.has_slots else durably
        answered = await ask(ClaimActivities.claim, claim)
        if not isinstance(answered.answer, Claimed):
            return False
        if answered.answer.snapshot.state is JobState.COMPLETED:
            return False  # an operator reset a finished job: there is nothing to do
        self._journal.resume(answered.answer)
        self._is_claimed = True
        self._recorder = Recorder(self._journal)
        self._reopen()
        return True

    def _end_as_repair_says(self) -> None:
        """End a job at once that was taken over only for that: somebody must decide about it.

        Raises:
            StoryFailed: with what became of the run before.
        """
        repair = self._start.repair
        if repair and repair.failure:
            raise StoryFailed(repair.failure, stage=self._journal.snapshot.progress.stage)

    def _reopen(self) -> None:
        """Say in the log how this run came about."""
        state = self._journal.snapshot.state
        if not self._journal.snapshot.seq:
            self._line_up()
            self._journal.note(EventKind.JOB_SUBMITTED, at=self._start.submitted_at)
            return
        if state.is_terminal:
            self._journal.advance(JobState.PENDING, at=workflow.now())
        if state is JobState.PAUSED:
            self._floor.clearance.pause()
        if self._journal.snapshot.state is JobState.PENDING:
            self._line_up()
            self._revive(self._start.retry or RetryTerms(by=UNNAMED))
        elif self._start.repair:
            taken_over = Facts(by=RECONCILE, note="the run before is gone")
            self._journal.note(EventKind.JOB_RETRIED, at=workflow.now(), facts=taken_over)

    def _line_up(self) -> None:
        """Say from the first event on what a job waits for that has no slot yet."""
        self._journal.wait(waiting_on(WaitingOn.SLOT, WAITS_FOR_SLOT))

    def _revive(self, terms: RetryTerms) -> None:
        """Take up again what the run before gave up, as the retry says."""
        redone = [
            item
            for item in self._journal.items
            if item.state is not ItemState.STORED or terms.scope is RetryScope.ALL
        ]
        self._journal.put_items(
            revived(
                item,
                renews_prompt=terms.renews_prompts,
                opens_take=terms.opens_takes or item.state is ItemState.STORED,
            )
            for item in redone
        )
        by = terms.by if self._start.retry else None
        self._journal.note(EventKind.JOB_RETRIED, at=workflow.now(), facts=Facts(by=by))

    async def _within_its_time(self) -> JobResult:
        story = asyncio.create_task(self._story())
        limit = self._start.plans.timeout
        clock = asyncio.create_task(run_out(limit, is_working=self._is_working))
        keeping = asyncio.create_task(self._floor.clearance.keep_slot_in_use())
        try:
            await workflow.wait([story, clock], return_when=asyncio.FIRST_COMPLETED)
            if story.done():
                return story.result()
            raise StoryFailed(_timed_out(limit), stage=self._journal.snapshot.progress.stage)
        except Stopping:
            return await _cancelled_by_order()
        finally:
            keeping.cancel()
            clock.cancel()
            story.cancel()
            await workflow.wait([story])

    def _is_working(self) -> bool:
        is_processing = self._journal.snapshot.state is JobState.PROCESSING
        return is_processing and not self._floor.standstill.is_total

    async def _story(self) -> JobResult:
        try:
            await self._begin()
            await self._analyze()
            await self._enhance()
            await self._generate()
        except StoryFailed:
            await self._floor.clearance.unpaused()
            raise
        await self._floor.clearance.unpaused()
        self._orders.is_closing = True
        return await self._finish()

    async def _begin(self) -> None:
        """Wait for the first slot; a job that has begun asks where it goes on."""
        state = self._journal.snapshot.state
        has_begun = self._journal.snapshot.started_at is not None
        if state is JobState.PROCESSING or (state is JobState.PAUSED and has_begun):
            return
        await self._floor.clearance.granted()
        self._journal.wait(None)
        self._journal.advance(JobState.PROCESSING, at=workflow.now())
        self._journal.note(EventKind.JOB_STARTED, at=workflow.now())

    async def _analyze(self) -> None:
        if self._journal.items:
            return  # a checkpoint has them
        self._enter(Stage.ANALYZE, "choosing combinations that differ")
        request = self._start.request
        combinations = request.combinations or await self._choose()
        self._journal.put_items(plan_items(request, combinations))
        self._leave(Stage.ANALYZE, f"{counted(len(combinations), 'combination')} chosen")

    async def _choose(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        request = difference_request(self._start.request, job_id=self._start.job_id)
        order = AnalyzeOrder(
            job_id=self._start.job_id,
            owner=self._start.owner,
            request=request,
            avoids_history=self._start.request.avoid_history,
        )
        try:
            analyzed = await workflow.execute_activity_method(
                AnalyzeActivities.analyze, order, summary="choose combinations", **ANALYZE
            )
        except ActivityError as error:
            raise _as_end(error, Stage.ANALYZE) from error
        if analyzed.failure:
            raise StoryFailed(analyzed.failure, stage=Stage.ANALYZE)
        return analyzed.combinations

    async def _enhance(self) -> None:
        if not self._journal.items_in(ItemState.PLANNED):
            return
        self._enter(Stage.ENHANCE, "enhancing prompts")
        await self._prompts.enhance_all()
        self._leave(Stage.ENHANCE, "prompts enhanced")

    async def _generate(self) -> None:
        if self._journal.items_in(ItemState.PROMPTED):
            self._enter(Stage.GENERATE, "buying pictures")
            pictures = Pictures(
                self._start, self._journal, floor=self._floor, unknowns=self._unknowns
            )
            await pictures.develop_all()
            self._leave(Stage.GENERATE, "all pictures finished")
        failed = self._journal.items_in(ItemState.FAILED)
        is_strict = self._start.request.on_image_failure is OnImageFailure.FAIL
        if failed and (is_strict or not self._journal.items_in(ItemState.STORED)):
            first = failed[0]
            failure = first.failure or _timed_out(timedelta(0))
            raise StoryFailed(failure, stage=Stage.GENERATE, item=first.key)

    async def _finish(self) -> JobResult:
        self._enter(Stage.FINISH, "checking what was stored")
        result, finished = await self._close_the_books()
        lost = [
            item
            for item in self._journal.items_in(ItemState.STORED)
            if item.picture and item.picture.sha256 in finished.missing
        ]
        for item in lost:
            fail_item(self._journal, item, _file_missing(item.key), stage=Stage.FINISH)
        if lost:
            result, _ = await self._close_the_books()
        if result.outcome is Outcome.NONE:
            raise StoryFailed(_file_missing(lost[0].key), stage=Stage.FINISH, item=lost[0].key)
        self._leave(Stage.FINISH, f"{counted(len(result.images), 'picture')} ready")
        return result

    async def _taken_over(self) -> None:
        """Let an order wait until this run knows the job's state."""
        await workflow.wait_condition(lambda: self._is_claimed or self._orders.is_closing)

    async def _follow(self, order: Callable[[], Controlled]) -> Controlled:
        await self._taken_over()
        with refusing():
            return order()

    async def _obey(
        self, what: str, order: Callable[[], Controlled | Awaitable[Controlled]]
    ) -> None:
        """Follow a signal; whoever sent it hears nothing, so a refusal becomes an event."""
        await self._taken_over()
        try:
            following = order()
            if not isinstance(following, Controlled):
                await following
        except (IllegalTransition, ValueError) as reason:
            self._orders.refuse(what, reason)

    async def _close_completed(self, result: JobResult) -> JobResult:
        self._end(JobState.COMPLETED, result)
        facts = Facts(result=result)
        self._journal.note(EventKind.JOB_COMPLETED, at=workflow.now(), facts=facts)
        await self._leave_the_floor()
        return result

    async def _close_failed(self, end: StoryFailed) -> ApplicationError:
        self._orders.is_closing = True
        result, _ = await self._close_the_books()
        self._end(JobState.FAILED, result, end.failure)
        facts = Facts(stage=end.stage, item=end.item, failure=end.failure, result=result)
        self._journal.note(EventKind.JOB_FAILED, at=workflow.now(), facts=facts)
        await self._leave_the_floor()
        where = {
            "code": end.failure.code,
            "stage": end.stage.value,
            "item": end.item,
            "run": self._journal.snapshot.run,
            "seq": self._journal.snapshot.seq,
        }
        return ApplicationError(
            end.failure.message, where, type=end.failure.code, non_retryable=True
        )

    async def _close_cancelled(self) -> None:
        self._orders.is_closing = True
        result, _ = await self._close_the_books(is_cancelled=True)
        self._end(JobState.CANCELLED, result)
        facts = Facts(result=result, note=workflow.cancellation_reason() or None)
        self._journal.note(EventKind.JOB_CANCELLED, at=workflow.now(), facts=facts)
        await self._leave_the_floor()

    async def _leave_the_floor(self) -> None:
        """Give the slot to the next job without waiting for the last flush."""
        await asyncio.gather(self._floor.lease.give_back(), self._recorder.drained())

    async def _close_the_books(self, *, is_cancelled: bool = False) -> tuple[JobResult, Finished]:
        ask = steadily if self._floor.lease.has_slots else durably
        return await close_the_books(self._start, self._journal, ask, is_cancelled=is_cancelled)

    def _end(self, state: JobState, result: JobResult, failure: Failure | None = None) -> None:
        self._journal.advance(state, at=workflow.now())
        cost = replace(
            self._journal.snapshot.cost,
            spent_micros=result.statistics.spent_micros,
            unknown_micros=result.statistics.unknown_micros,
        )
        self._journal.close(result.outcome, cost=cost, failure=failure)
        self._show()

    def _enter(self, stage: Stage, message: str) -> None:
        self._journal.begin_stage(stage, message, at=workflow.now())
        self._show()

    def _leave(self, stage: Stage, message: str) -> None:
        self._journal.end_stage(stage, message, at=workflow.now())

    def _show(self) -> None:
        """Tell operators in `temporal workflow list` where the job stands."""
        snapshot = self._journal.snapshot
        stage = snapshot.progress.stage
        shown = [_STATUS.value_set(snapshot.state.value), _STAGE.value_set(stage.value)]
        workflow.upsert_search_attributes(shown)  # pyright: ignore[reportUnknownMemberType] -- the SDK leaves one generic open


def _floor(start: JobStart, journal: JobJournal) -> Floor:
    """Lay what every part of the job stands on."""
    lease = SlotLease(start)
    standstill = Standstill(journal)
    clearance = Clearance(lease, standstill)
    parking = Parking(start)
    retrying = Retrying(journal, standstill, clearance, parking)
    return Floor(
        standstill=standstill, lease=lease, clearance=clearance, parking=parking, retrying=retrying
    )


async def _cancelled_by_order() -> JobResult:
    """End as `temporal workflow cancel` would end the run."""
    await stop_now()
    await workflow.wait_condition(lambda: False)
    raise AssertionError("the cancel of this run was lost")


def _as_end(error: ActivityError, stage: Stage) -> BaseException:
    """A stage whose activity died: cancelled, or crashed too often."""
    if is_cancelled_exception(error):
        return asyncio.CancelledError()
    return StoryFailed(crashed(error, stage.value), stage=stage)


def _timed_out(limit: timedelta) -> Failure:
    seconds = int(limit.total_seconds())
    return Failure(
        code="timed_out",
        message=f"the job worked for {seconds} s without getting done; "
        "retry it, or ask for a longer timeout",
        disposition=Disposition.FATAL,
    )


def _file_missing(item: str) -> Failure:
    return Failure(
        code="file_missing",
        message=f"picture {item} was stored but its file is gone; look at the file store",
        disposition=Disposition.FATAL,
    )
