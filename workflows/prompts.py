"""The prompts of one job: enhanced side by side by one activity, taken as they come."""

import asyncio
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.enhance import EnhanceActivities
from darkroom.domain.attempts import Enhanced, EnhanceOrder
from darkroom.domain.errors import Failure
from darkroom.domain.events import EventKind
from darkroom.domain.items import ItemState
from darkroom.domain.job import JobStart
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.prompts import is_plain
from darkroom.domain.stages import Stage
from workflows.closing import StoryFailed
from workflows.floor import Floor
from workflows.options import ENHANCE
from workflows.pictures import climb, crashed, fail_item
from workflows.retrying import Tries

DEGRADED = "degraded: the plain template stands in while the language model is away"
NOTHING = Enhanced(prompts={}, failures={})


class Prompts:
    """Turns every planned item into a prompted or a failed one."""

    def __init__(self, start: JobStart, journal: JobJournal, floor: Floor) -> None:
        self._start = start
        self._journal = journal
        self._floor = floor

    async def enhance_all(self) -> None:
        """Ask until no item is planned any more.

        Raises:
            StoryFailed: the retry plan is used up.
            Stopping: the job was told to end.
        """
        with self._floor.standstill.part(Stage.ENHANCE.value):
            tries = Tries()
            while self._journal.items_in(ItemState.PLANNED):
                await self._floor.clearance.granted(Stage.ENHANCE.value)
                with self._floor.clearance.in_flight():
                    enhanced = await self._enhance_once(tries)
                self._take(enhanced)
                if enhanced.stopped_by:
                    await self._before_asking_again(enhanced.stopped_by, tries)

    def take(self, prompts: dict[str, str]) -> None:
        """Take prompts that are kept, by item; what is known already is left alone."""
        for key, prompt_key in prompts.items():
            item = self._journal.item(key)
            if item is None or item.state is not ItemState.PLANNED:
                continue
            prompted = replace(item, state=ItemState.PROMPTED, prompt_key=prompt_key)
            self._journal.put_items([prompted])
            climb(self._journal, Stage.ENHANCE)
            note = DEGRADED if is_plain(prompt_key) else None
            facts = Facts(stage=Stage.ENHANCE, item=key, note=note)
            self._journal.note(EventKind.PROMPT_ENHANCED, at=workflow.now(), facts=facts)

    async def _enhance_once(self, tries: Tries) -> Enhanced:
        order = EnhanceOrder(
            job_id=self._start.job_id,
            owner=self._start.owner,
            prompt=self._start.request.prompt,
            items=self._journal.items_in(ItemState.PLANNED),
            concurrency=self._start.plans.concurrency,
            variation=tries.failed,
        )
        asking = workflow.start_activity_method(
            EnhanceActivities.enhance, order, summary="enhance prompts", **ENHANCE
        )
        try:
            with self._floor.clearance.interruptible(asking):
                return await asking
        except ActivityError as error:
            if not is_cancelled_exception(error):
                raise StoryFailed(crashed(error, "enhance"), stage=Stage.ENHANCE) from error
            if self._floor.clearance.is_halted:
                return NOTHING  # what it kept, the next one finds
            raise asyncio.CancelledError from error

    def _take(self, enhanced: Enhanced) -> None:
        self._journal.spend(enhanced.cost_micros)
        self.take(enhanced.prompts)
        for key, failure in enhanced.failures.items():
            if item := self._journal.item(key):
                fail_item(self._journal, item, failure, stage=Stage.ENHANCE)

    async def _before_asking_again(self, failure: Failure, tries: Tries) -> None:
        goes_on = await self._floor.retrying.may_go_on(
            Facts(stage=Stage.ENHANCE),
            failure=failure,
            plan=self._start.plans.enhance,
            tries=tries,
        )
        if not goes_on:
            raise StoryFailed(failure, stage=Stage.ENHANCE)
