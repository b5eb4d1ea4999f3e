"""The pictures of one job, side by side and bounded; a slow one holds back nobody."""

import asyncio
from dataclasses import replace
from typing import assert_never

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.generate import GenerateActivities
from darkroom.domain.attempts import GenerateOrder, PictureAttempt, PictureDone, PictureFailed
from darkroom.domain.errors import Billing, Disposition, Failure, ReplyLost
from darkroom.domain.events import EventKind
from darkroom.domain.items import Item, ItemState
from darkroom.domain.job import TEMPORAL_PRIORITY_KEYS, JobStart
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.stages import Stage
from workflows.clearance import Stopping
from workflows.floor import Floor
from workflows.options import GENERATE
from workflows.retrying import Tries
from workflows.unknowns import Unknowns


class Pictures:
    """Develops every prompted item into a stored or a failed one."""

    def __init__(
        self,
        start: JobStart,
        journal: JobJournal,
        *,
        floor: Floor,
        unknowns: Unknowns,
    ) -> None:
        self._start = start
        self._journal = journal
        self._floor = floor
        self._unknowns = unknowns
        self._gate = asyncio.Semaphore(start.plans.concurrency)

    async def develop_all(self) -> None:
        """Develop what is prompted; every item is stored or failed afterwards.

        Raises:
            Stopping: the job was told to end; then some may be left as they were.
        """
        waiting = self._journal.items_in(ItemState.PROMPTED)
        stopped = await asyncio.gather(*(self._develop(item.key) for item in waiting))
        if any(stopped):
            raise Stopping

    async def _develop(self, key: str) -> bool:
        """Work on an item until it is over; True when it had to be left."""
        async with self._gate:
            with self._floor.standstill.part(key):
                tries = Tries()
                try:
                    while not await self._try_once(key, tries):
                        pass
                except Stopping:
                    return True
        return False

    async def _try_once(self, key: str, tries: Tries) -> bool:
        """Make one attempt; True when the item is over."""
        await self._floor.clearance.granted(key)
        item = self._item(key)
        with self._floor.clearance.in_flight():
            attempt = await self._attempt(item)
        match attempt:
            case PictureDone():
                self._store(item, attempt)
                return True
            case PictureFailed(failure=Failure(code=ReplyLost.code) as lost):
                return not await self._settle(item, lost)
            case PictureFailed():
                return not await self._may_go_on(item, attempt, tries)
            case _:
                assert_never(attempt)

    async def _attempt(self, item: Item) -> PictureAttempt:
        order = GenerateOrder(
            job_id=self._start.job_id,
            owner=self._start.owner,
            item=item.key,
            take=item.take,
            prompt_key=item.prompt_key,
            image=self._start.request.image,
            product=self._start.request.product,
            admitted_at=self._floor.clearance.admitted_at,
        )
        key = TEMPORAL_PRIORITY_KEYS[self._journal.priority]
        try:
            report = await workflow.execute_activity_method(
                GenerateActivities.generate,
                order,
                priority=Priority(priority_key=key),
                summary=f"picture {item.key}, take {item.take}",
                **GENERATE,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            return PictureFailed(failure=crashed(error, f"picture {item.key}"))
        return report.attempt

    async def _settle(self, item: Item, failure: Failure) -> bool:
        """Have somebody decide about a lost reply; False when the item is given up."""
        goes_on = await self._unknowns.settle(item, failure)
        if not goes_on:
            fail_item(self._journal, self._item(item.key), failure, stage=Stage.GENERATE)
        return goes_on

    async def _may_go_on(self, item: Item, attempt: PictureFailed, tries: Tries) -> bool:
        take = item.take + 1 if attempt.opens_take else item.take
        is_spent = attempt.failure.disposition is Disposition.RETRYABLE
        item = replace(item, take=take, attempts=item.attempts + is_spent)
        self._journal.put_items([item])
        goes_on = await self._floor.retrying.may_go_on(
            Facts(stage=Stage.GENERATE, item=item.key),
            failure=attempt.failure,
            plan=self._start.plans.generate,
            tries=tries,
        )
        if not goes_on:
            fail_item(self._journal, item, attempt.failure, stage=Stage.GENERATE)
        return goes_on

    def _store(self, item: Item, done: PictureDone) -> None:
        self._floor.standstill.moves(item.key)
        stored = replace(item, state=ItemState.STORED, picture=done.picture, failure=None)
        self._journal.put_items([stored])
        self._journal.spend(done.cost_micros)
        climb(self._journal, Stage.GENERATE)
        facts = Facts(stage=Stage.GENERATE, item=item.key, picture=done.picture)
        self._journal.note(EventKind.IMAGE_STORED, at=workflow.now(), facts=facts)

    def _item(self, key: str) -> Item:
        item = self._journal.item(key)
        if item is None:
            raise KeyError(f"job {self._start.job_id} has no item {key}")
        return item


def crashed(error: ActivityError, what: str) -> Failure:
    """Describe an activity that ended its workers as often as its options allow."""
    return Failure(
        code="stage_crashed",
        message=f"{what}: its workers died or it kept failing ({error.cause or error}); "
        "look at the worker's log, then retry the job",
        disposition=Disposition.FATAL,
        billing=Billing.UNKNOWN,
    )


def fail_item(journal: JobJournal, item: Item, failure: Failure, *, stage: Stage) -> None:
    """Give one picture up, and say so in the log."""
    journal.put_items([replace(item, state=ItemState.FAILED, failure=failure)])
    climb(journal, stage)
    facts = Facts(stage=stage, item=item.key, failure=failure)
    journal.note(EventKind.IMAGE_FAILED, at=workflow.now(), facts=facts)


def climb(journal: JobJournal, stage: Stage) -> None:
    """Move progress to what the items have reached in this stage."""
    items = journal.items
    if stage is Stage.ENHANCE:
        finished = sum(item.state is not ItemState.PLANNED for item in items)
        message = f"{finished} of {len(items)} prompts enhanced"
    else:
        finished = sum(item.is_finished for item in items)
        message = f"{finished} of {len(items)} pictures finished"
    journal.climb(stage, finished=finished, total=len(items), message=message)
