"""The story of one image job: analyze, enhance, generate, finish."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.analyze import AnalyzeActivities
from activities.claim import ClaimActivities
from activities.enhance import EnhanceActivities
from darkroom.domain.attempts import AnalyzeOrder, Enhanced, EnhanceOrder, PromptsEnhanced
from darkroom.domain.checkpoint import Claim, Claimed, DescribeQuestion, LiveJob
from darkroom.domain.errors import Disposition, Failure
from darkroom.domain.events import EventKind, JobResult
from darkroom.domain.items import ItemState, plan_items, revived
from darkroom.domain.job import JobKind, JobStart, OnImageFailure, difference_request
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.lifecycle import JobState, Outcome
from darkroom.domain.names import PROMPTS_ENHANCED_SIGNAL, STAGE_ATTRIBUTE, STATUS_ATTRIBUTE
from darkroom.domain.stages import Stage, counted
from workflows.clock import run_out
from workflows.closing import StoryFailed, close_the_books
from workflows.durably import durably
from workflows.options import ANALYZE, ENHANCE
from workflows.pictures import Pictures, climb, crashed, fail_item
from workflows.recorder import Recorder
from workflows.retrying import Retrying, Tries
from workflows.standstill import Standstill

_STATUS = SearchAttributeKey.for_keyword(STATUS_ATTRIBUTE)
_STAGE = SearchAttributeKey.for_keyword(STAGE_ATTRIBUTE)


@workflow.defn(name=JobKind.IMAGE_GENERATION)
class ImageJobWorkflow:
    """One run of one job; the single writer of its state and of its log."""

    @workflow.init
    def __init__(self, start: JobStart) -> None:
        self._start = start
        self._journal = JobJournal(start, writer=workflow.info().first_execution_run_id)
        self._standstill = Standstill(self._journal)
        self._retrying = Retrying(self._journal, self._standstill)

    @workflow.run
    async def run(self, start: JobStart) -> JobResult | None:  # noqa: ARG002 -- Temporal hands the input to both; @workflow.init keeps it
        """Carry the job to its end; None when that is done, or another run is its writer."""
        claiming = asyncio.create_task(self._claim())
        try:
            if not await asyncio.shield(claiming):
                return None
            return await self._close_completed(await self._within_its_time())
        except StoryFailed as end:
            raise await self._close_failed(end) from None
        except asyncio.CancelledError:
            if await claiming:
                await self._close_cancelled()
            raise

    @workflow.query
    def describe(self, question: DescribeQuestion) -> LiveJob:  # noqa: ARG002 -- one value in, so that fields can be added
        """Answer what the job is, with the events the store does not have yet."""
        return self._journal.live()

    @workflow.signal(name=PROMPTS_ENHANCED_SIGNAL)
    def prompts_enhanced(self, told: PromptsEnhanced) -> None:
        """Hear early which prompts are there; the activity's result tells all of them."""
        self._take_prompts(told.prompts)

    async def _claim(self) -> bool:
        writer = workflow.info().first_execution_run_id
        claim = Claim(start=self._start, writer=writer)
        answered = await durably(ClaimActivities.claim, claim)
        if not isinstance(answered.answer, Claimed):
            return False
        if answered.answer.snapshot.state is JobState.COMPLETED:
            return False  # an operator reset a finished job: there is nothing to do
        self._journal.resume(answered.answer)
        self._recorder = Recorder(self._journal)
        self._reopen()
        return True

    def _reopen(self) -> None:
        """Say in the log how this run came about."""
        state = self._journal.snapshot.state
        if not self._journal.snapshot.seq:
            self._journal.note(EventKind.JOB_SUBMITTED, at=self._start.submitted_at)
            return
        if state.is_terminal:
            self._journal.advance(JobState.PENDING, at=workflow.now())
        if self._journal.snapshot.state is JobState.PENDING:
            failed = self._journal.items_in(ItemState.FAILED)
            self._journal.put_items(revived(item) for item in failed)
            self._journal.note(EventKind.JOB_RETRIED, at=workflow.now())

    async def _within_its_time(self) -> JobResult:
        story = asyncio.create_task(self._story())
        limit = self._start.plans.timeout
        clock = asyncio.create_task(run_out(limit, is_working=self._is_working))
        try:
            await workflow.wait([story, clock], return_when=asyncio.FIRST_COMPLETED)
            if story.done():
                return story.result()
            raise StoryFailed(_timed_out(limit), stage=self._journal.snapshot.progress.stage)
        finally:
            clock.cancel()
            story.cancel()
            await workflow.wait([story])

    def _is_working(self) -> bool:
        is_processing = self._journal.snapshot.state is JobState.PROCESSING
        return is_processing and not self._standstill.is_total

    async def _story(self) -> JobResult:
        self._begin()
        await self._analyze()
        await self._enhance()
        await self._generate()
        return await self._finish()

    def _begin(self) -> None:
        if self._journal.snapshot.state is JobState.PENDING:
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
        with self._standstill.part(Stage.ENHANCE.value):
            tries = Tries()
            while self._journal.items_in(ItemState.PLANNED):
                enhanced = await self._enhance_once(tries)
                self._take(enhanced)
                if enhanced.stopped_by:
                    await self._before_asking_again(enhanced.stopped_by, tries)
        self._leave(Stage.ENHANCE, "prompts enhanced")

    async def _enhance_once(self, tries: Tries) -> Enhanced:
        order = EnhanceOrder(
            job_id=self._start.job_id,
            owner=self._start.owner,
            prompt=self._start.request.prompt,
            items=self._journal.items_in(ItemState.PLANNED),
            concurrency=self._start.plans.concurrency,
            variation=tries.failed,
        )
        try:
            return await workflow.execute_activity_method(
                EnhanceActivities.enhance, order, summary="enhance prompts", **ENHANCE
            )
        except ActivityError as error:
            raise _as_end(error, Stage.ENHANCE) from error

    def _take(self, enhanced: Enhanced) -> None:
        self._journal.spend(enhanced.cost_micros)
        self._take_prompts(enhanced.prompts)
        for key, failure in enhanced.failures.items():
            if item := self._journal.item(key):
                fail_item(self._journal, item, failure, stage=Stage.ENHANCE)

    def _take_prompts(self, prompts: dict[str, str]) -> None:
        for key, prompt_key in prompts.items():
            item = self._journal.item(key)
            if item is None or item.state is not ItemState.PLANNED:
                continue
            prompted = replace(item, state=ItemState.PROMPTED, prompt_key=prompt_key)
            self._journal.put_items([prompted])
            climb(self._journal, Stage.ENHANCE)
            facts = Facts(stage=Stage.ENHANCE, item=key)
            self._journal.note(EventKind.PROMPT_ENHANCED, at=workflow.now(), facts=facts)

    async def _before_asking_again(self, failure: Failure, tries: Tries) -> None:
        goes_on = await self._retrying.may_go_on(
            Facts(stage=Stage.ENHANCE),
            failure=failure,
            plan=self._start.plans.enhance,
            tries=tries,
        )
        if not goes_on:
            raise StoryFailed(failure, stage=Stage.ENHANCE)

    async def _generate(self) -> None:
        if self._journal.items_in(ItemState.PROMPTED):
            self._enter(Stage.GENERATE, "buying pictures")
            await Pictures(self._start, self._journal, self._standstill).develop_all()
            self._leave(Stage.GENERATE, "all pictures finished")
        failed = self._journal.items_in(ItemState.FAILED)
        is_strict = self._start.request.on_image_failure is OnImageFailure.FAIL
        if failed and (is_strict or not self._journal.items_in(ItemState.STORED)):
            first = failed[0]
            failure = first.failure or _timed_out(timedelta(0))
            raise StoryFailed(failure, stage=Stage.GENERATE, item=first.key)

    async def _finish(self) -> JobResult:
        self._enter(Stage.FINISH, "checking what was stored")
        result, finished = await close_the_books(self._start, self._journal)
        lost = [
            item
            for item in self._journal.items_in(ItemState.STORED)
            if item.picture and item.picture.sha256 in finished.missing
        ]
        for item in lost:
            fail_item(self._journal, item, _file_missing(item.key), stage=Stage.FINISH)
        if lost:
            result, _ = await close_the_books(self._start, self._journal)
        if result.outcome is Outcome.NONE:
            raise StoryFailed(_file_missing(lost[0].key), stage=Stage.FINISH, item=lost[0].key)
        self._leave(Stage.FINISH, f"{counted(len(result.images), 'picture')} ready")
        return result

    async def _close_completed(self, result: JobResult) -> JobResult:
        self._end(JobState.COMPLETED, result)
        facts = Facts(result=result)
        self._journal.note(EventKind.JOB_COMPLETED, at=workflow.now(), facts=facts)
        await self._recorder.drained()
        return result

    async def _close_failed(self, end: StoryFailed) -> ApplicationError:
        result, _ = await close_the_books(self._start, self._journal)
        self._end(JobState.FAILED, result, end.failure)
        facts = Facts(stage=end.stage, item=end.item, failure=end.failure, result=result)
        self._journal.note(EventKind.JOB_FAILED, at=workflow.now(), facts=facts)
        await self._recorder.drained()
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
        result, _ = await close_the_books(self._start, self._journal)
        self._end(JobState.CANCELLED, result)
        facts = Facts(result=result)
        self._journal.note(EventKind.JOB_CANCELLED, at=workflow.now(), facts=facts)
        await self._recorder.drained()

    def _end(self, state: JobState, result: JobResult, failure: Failure | None = None) -> None:
        self._journal.advance(state, at=workflow.now())
        cost = replace(
            self._journal.snapshot.cost,
            spent_micros=result.statistics.spent_micros,
            unknown_micros=result.statistics.unknown_micros,
        )
        self._journal.close(result.outcome, cost=cost, failure=failure)
        self._show(state.value, self._journal.snapshot.progress.stage)

    def _enter(self, stage: Stage, message: str) -> None:
        self._journal.begin_stage(stage, message, at=workflow.now())
        self._show(self._journal.snapshot.state.value, stage)

    def _leave(self, stage: Stage, message: str) -> None:
        self._journal.end_stage(stage, message, at=workflow.now())

    def _show(self, status: str, stage: Stage) -> None:
        """Tell operators in `temporal workflow list` and `describe` where the job stands."""
        shown = [_STATUS.value_set(status), _STAGE.value_set(stage.value)]
        workflow.upsert_search_attributes(shown)  # pyright: ignore[reportUnknownMemberType] -- the SDK leaves one generic open
        progress = self._journal.snapshot.progress
        workflow.set_current_details(
            f"**{status}**, {stage.value}: {progress.percent} %, {progress.message}"
        )


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
