"""One attempt's walk along the ledger row of a take. See docs/adr/0003.

Before the POST everything waits for the store. From the POST on, each state goes to the
heartbeat details first and then to the ledger, with endless retry: whoever comes next
finds it in one of the two. A cancel lets a POST that is under way finish, so that no
purchase is left without a name, and no picture that came with the reply is dropped.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import assert_never

import structlog
from temporalio import activity

from activities.adoption import CallbackWatch
from activities.heartbeats import Pulse
from activities.keeping import PictureKeeper
from activities.last_words import read_failure, read_picture, write_failure, write_picture
from activities.passage import Passage
from activities.patience import until_answered
from darkroom.domain.attempts import GenerateOrder, PictureAttempt, PictureDone, PictureFailed
from darkroom.domain.breakers import GateKey
from darkroom.domain.errors import (
    Billing,
    DarkroomError,
    Disposition,
    Failure,
    FenceLost,
    FileMissing,
    PictureUnusable,
    PromptMissing,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    ReplyLost,
    ResultGone,
    ResultUnusable,
    StoreUnavailable,
    TaskStuck,
    failure_of,
)
from darkroom.domain.ledger import (
    ADOPTABLE,
    MOVES,
    NO_CHANGES,
    AwaitAdoption,
    CallKey,
    Collect,
    Delivered,
    Download,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    LedgerStep,
    Over,
    Send,
    Settle,
    TakeOpening,
    next_step,
)
from darkroom.domain.ports import (
    CallLedger,
    ImageProvider,
    PictureMade,
    PictureOrder,
    PromptCache,
    Ready,
    TaskAccepted,
)

# Between the compare-and-set to `calling` and the first byte of the POST; a process that
# was stopped for longer does not send any more.
SEND_WINDOW = timedelta(seconds=5)
REREAD_SECONDS = 2.0  # while waiting for a callback that another gateway may have booked
ABANDON_SECONDS = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingPlan:
    """How often a task is asked about while no callback comes. Source: providers.md 3.6."""

    first: timedelta = timedelta(seconds=0.5)
    factor: float = 1.6
    longest: timedelta = timedelta(seconds=10)
    deadline: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Darkbench:
    """The ports and bounds that every walk shares."""

    ledger: CallLedger
    cache: PromptCache
    keeper: PictureKeeper
    callbacks: CallbackWatch
    passage: Passage
    asking: AskingPlan


class LedgerWalk:
    """One attempt at one take."""

    def __init__(
        self, *, order: GenerateOrder, provider: ImageProvider, bench: Darkbench, pulse: Pulse
    ) -> None:
        self._order = order
        self._provider = provider
        self._bench = bench
        self._pulse = pulse
        self._key = CallKey(job=order.job_id, item=order.item, take=order.take)
        self._is_leaving = False

    async def to_the_end(self) -> PictureAttempt:
        """Walk until the picture is ours, or this attempt can do no more."""
        try:
            row = await self._open()
            while True:
                step = next_step(row, grace=self._provider.grace)
                reached = await self._take(step, row)
                if not isinstance(reached, LedgerRow):
                    return reached
                row = reached
        except asyncio.CancelledError:
            await self._abandon_if_cancelled()
            raise
        finally:
            self._bench.passage.freed(self._order.image.provider)

    async def _take(self, step: LedgerStep, row: LedgerRow) -> LedgerRow | PictureAttempt:
        match step:
            case Send():
                return await self._send(row)
            case AwaitAdoption(until=until):
                return await self._await_adoption(row, until)
            case Collect(task_id=task_id):
                return await self._collect(row, task_id)
            case Download(url=url):
                return await self._download(row, url)
            case Settle():
                return await self._move(row, LedgerState.SETTLED)
            case Delivered(picture=picture):
                return PictureDone(picture=picture, cost_micros=row.price_micros)
            case Over(state=state, failure=failure):
                return self._over(state, failure)
            case _:
                assert_never(step)

    async def _open(self) -> LedgerRow:
        opening = TakeOpening(
            key=self._key,
            owner=self._order.owner,
            provider=self._order.image.provider,
            model=self._order.image.model,
            price_micros=self._provider.price_micros(self._order.image),
        )
        row = await until_answered(lambda: self._bench.ledger.open(opening))
        return await self._catch_up(row)

    async def _catch_up(self, row: LedgerRow) -> LedgerRow:
        """Book what the last attempt's heartbeat knew and the ledger was never told."""
        match (self._pulse.details, row.state):
            case (("accepted", task_id), LedgerState.CALLING):
                return await self._move(row, LedgerState.ACCEPTED, LedgerChanges(task_id=task_id))
            case (("made", told), LedgerState.CALLING):
                made = LedgerChanges(picture=read_picture(told))
                return await self._move(row, LedgerState.STORED, made)
            case (("spent", told), LedgerState.CALLING):
                spent = LedgerChanges(failure=read_failure(told))
                return await self._move(row, LedgerState.SETTLED, spent)
            case (("ready", task_id, url), LedgerState.CALLING):
                known = LedgerChanges(task_id=task_id)
                row = await self._move(row, LedgerState.ACCEPTED, known)
                return await self._move(row, LedgerState.READY, LedgerChanges(result_url=url))
            case (("ready", _, url), LedgerState.ACCEPTED):
                return await self._move(row, LedgerState.READY, LedgerChanges(result_url=url))
            case _:
                return row

    async def _send(self, row: LedgerRow) -> LedgerRow | PictureFailed:
        kept = await until_answered(lambda: self._bench.cache.kept([self._order.prompt_key]))
        prompt = kept.get(self._order.prompt_key)
        if prompt is None:
            missing = PromptMissing(f"item {self._key}: its prompt is gone; retry the job")
            return PictureFailed(failure=failure_of(missing))
        plain = PictureOrder(
            call=self._key,
            prompt=prompt.text,
            image=self._order.image,
            product=self._order.product,
        )
        try:
            order = await until_answered(lambda: self._provider.prepare(plain))
        except (ProviderError, FileMissing) as error:
            return PictureFailed(failure=failure_of(error))
        passed = await self._bench.passage.call(row, admitted_at=self._order.admitted_at)
        if isinstance(passed, Failure):
            return PictureFailed(failure=passed)
        if passed.state is not LedgerState.CALLING or passed.called_at is None:
            return passed
        buying = self._buy(passed, order, called_at=passed.called_at)
        return await self._finish_even_if_cancelled(buying)

    async def _buy(
        self, row: LedgerRow, order: PictureOrder, *, called_at: datetime
    ) -> LedgerRow | PictureFailed:
        if self._is_leaving or datetime.now(UTC) - called_at > SEND_WINDOW:
            return await self._withdraw(row, called_at)
        try:
            bought = await self._provider.submit(order)
        except ProviderError as error:
            return await self._not_bought(row, error, called_at)
        match bought:
            case TaskAccepted(task_id=task_id):
                self._pulse.report("accepted", task_id)
                return await self._accept(row, task_id)
            case PictureMade(content=content):
                return await self._keep(row, content)
            case _:
                assert_never(bought)

    async def _accept(self, row: LedgerRow, task_id: str) -> LedgerRow:
        """Book the task's name, even when a later attempt has taken over meanwhile."""
        try:
            return await self._move(row, LedgerState.ACCEPTED, LedgerChanges(task_id=task_id))
        except FenceLost:
            await until_answered(lambda: self._bench.ledger.adopt(self._key, task_id))
            raise

    async def _keep(self, row: LedgerRow, content: bytes) -> LedgerRow:
        """Make a picture ours that came with the reply: nobody can be asked for it again."""
        try:
            picture = await self._bench.keeper.keep(content)
        except PictureUnusable as error:
            unusable = ResultUnusable(f"picture {self._key}: {error}", provider=row.provider)
            return await self._spend(row, failure_of(unusable))
        self._pulse.report("made", write_picture(picture))
        return await self._tell(row, LedgerState.STORED, LedgerChanges(picture=picture))

    async def _spend(self, row: LedgerRow, failure: Failure) -> LedgerRow:
        """Book a call that was paid for and gave nothing we can use."""
        self._pulse.report("spent", write_failure(failure))
        return await self._tell(row, LedgerState.SETTLED, LedgerChanges(failure=failure))

    async def _tell(self, row: LedgerRow, to: LedgerState, changes: LedgerChanges) -> LedgerRow:
        """Book what became of our own call, even when a later attempt has taken over."""
        try:
            return await self._move(row, to, changes)
        except FenceLost:
            await self._tell_successor(row, to, changes)
            raise

    async def _tell_successor(
        self, sent: LedgerRow, to: LedgerState, changes: LedgerChanges
    ) -> None:
        """Move the row under the later attempt's fence, which finds it moved.

        Only the sender can know how its call ended, and the later attempt only waits for that;
        so it is told as a callback would tell it.
        """
        while True:
            (current,) = await until_answered(lambda: self._bench.ledger.rows([self._key]))
            is_open = current.state in ADOPTABLE and to in MOVES[current.state]
            if not is_open or current.called_at != sent.called_at:
                return
            try:
                await until_answered(partial(self._bench.ledger.move, current, to, changes))
            except FenceLost:
                continue  # it moved in between: look again
            return

    async def _withdraw(self, row: LedgerRow, called_at: datetime) -> LedgerRow:
        await until_answered(lambda: self._bench.ledger.withdraw(self._key, called_at))
        return await self._reread(row)

    async def _not_bought(
        self, row: LedgerRow, error: ProviderError, called_at: datetime
    ) -> LedgerRow | PictureFailed:
        failure = failure_of(error)
        if error.cost_micros or failure.billing is Billing.BILLED:
            return await self._spend(row, replace(failure, billing=Billing.BILLED))
        told = await self._bench.passage.failed(self._gate(row), str(self._key), failure)
        if failure.billing is Billing.UNKNOWN:
            return await self._lose(row, failure)
        if failure.disposition is Disposition.FATAL:
            await self._tell(row, LedgerState.REFUSED, LedgerChanges(failure=failure))
            return PictureFailed(failure=failure, opens_take=True)
        await self._withdraw(row, called_at)
        return PictureFailed(failure=told)

    def _gate(self, row: LedgerRow) -> GateKey:
        return GateKey(provider=row.provider, model=row.model)

    async def _lose(self, row: LedgerRow, failure: Failure) -> LedgerRow:
        """Wait for a callback where one can come; without, nobody will ever know more."""
        log.warning("reply_lost", job_id=self._key.job, call=str(self._key), error=failure.message)
        if self._provider.calls_back:
            return row  # still `calling`
        return await self._tell(row, LedgerState.UNKNOWN, LedgerChanges(failure=failure))

    async def _finish_even_if_cancelled(
        self, step: Awaitable[LedgerRow | PictureFailed]
    ) -> LedgerRow | PictureFailed:
        """Let a bounded step end before a cancel takes effect."""
        running = asyncio.ensure_future(step)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._is_leaving = True
            await asyncio.wait({running})
            if not running.cancelled() and (error := running.exception()):
                log.warning("left_with_error", call=str(self._key), error=str(error))
            raise

    async def _await_adoption(self, row: LedgerRow, until: datetime) -> LedgerRow:
        async with self._bench.callbacks.watching(self._key) as called_back:
            while (left := (until - datetime.now(UTC)).total_seconds()) > 0:
                await _set_within(called_back, min(left, REREAD_SECONDS))
                row = await self._reread(row)
                if row.state is not LedgerState.CALLING:
                    return row
        lost = ReplyLost(
            f"picture {self._key}: the reply was lost and nobody told in time what became of it; "
            "it may have been charged",
            provider=row.provider,
        )
        return await self._move(row, LedgerState.UNKNOWN, LedgerChanges(failure=failure_of(lost)))

    async def _collect(self, row: LedgerRow, task_id: str) -> LedgerRow | PictureFailed:
        plan = self._bench.asking
        deadline = datetime.now(UTC) + plan.deadline
        pause = timedelta(0) if row.hinted else plan.first
        is_hinted = row.hinted
        async with self._bench.callbacks.watching(self._key) as called_back:
            while datetime.now(UTC) < deadline:
                # A callback shortens one wait; from then on the schedule counts.
                hint = asyncio.Event() if is_hinted else called_back
                is_hinted = await _set_within(hint, pause.total_seconds()) or is_hinted
                pause = min(max(pause, plan.first) * plan.factor, plan.longest)
                answer = await self._ask(row, task_id)
                if isinstance(answer, timedelta):
                    pause = max(pause, answer)
                elif answer is not None:
                    return answer
        stuck = TaskStuck(
            f"picture {self._key}: task {task_id} is not ready after {plan.deadline}",
            provider=row.provider,
        )
        return PictureFailed(failure=failure_of(stuck))

    async def _ask(
        self, row: LedgerRow, task_id: str
    ) -> LedgerRow | PictureFailed | timedelta | None:
        """Ask once; None or a wait means: not ready, ask again."""
        try:
            ready = await self._provider.collect(task_id)
        except (ProviderUnavailable, RateLimited) as error:
            return error.retry_after
        except ProviderError as error:
            return await self._not_made(row, failure_of(error))
        if ready is None:
            return None
        return await self._book_ready(row, task_id, ready)

    async def _not_made(self, row: LedgerRow, failure: Failure) -> PictureFailed:
        """The provider answered that there will be no picture, or did not let us ask."""
        if failure.disposition is Disposition.WAIT:
            told = await self._bench.passage.failed(self._gate(row), str(self._key), failure)
            return PictureFailed(failure=told)
        if failure.billing is not Billing.NONE:
            return PictureFailed(failure=failure)
        await self._move(row, LedgerState.REFUSED, LedgerChanges(failure=failure))
        return PictureFailed(failure=failure, opens_take=True)

    async def _book_ready(self, row: LedgerRow, task_id: str, ready: Ready) -> LedgerRow:
        self._bench.passage.freed(row.provider)  # drawn: others may call while we fetch it
        self._pulse.report("ready", task_id, ready.url)
        return await self._move(row, LedgerState.READY, LedgerChanges(result_url=ready.url))

    async def _download(self, row: LedgerRow, url: str) -> LedgerRow | PictureFailed:
        try:
            content = await self._fetch(row, url)
            picture = await self._bench.keeper.keep(content)
        except ProviderError as error:
            return PictureFailed(failure=failure_of(error))
        except PictureUnusable as error:
            unusable = ResultUnusable(f"picture {self._key}: {error}", provider=row.provider)
            return PictureFailed(failure=failure_of(unusable))
        return await self._move(row, LedgerState.STORED, LedgerChanges(picture=picture))

    async def _fetch(self, row: LedgerRow, url: str) -> bytes:
        """Download; an expired address is asked for once more, then given up."""
        try:
            return await self._provider.download(url)
        except ResultGone:
            ready = await self._provider.collect(row.task_id or "")
            if ready is None or ready.url == url:
                raise
            await self._book_ready(row, row.task_id or "", ready)
            return await self._provider.download(ready.url)

    def _over(self, state: LedgerState, failure: Failure | None) -> PictureFailed:
        """Answer again what an earlier attempt had found out."""
        known = failure or failure_of(DarkroomError(f"take {self._key} is {state}"))
        if state is LedgerState.UNKNOWN:
            fatal = replace(known, disposition=Disposition.FATAL, retry_after=None)
            return PictureFailed(failure=fatal)
        return PictureFailed(failure=known, opens_take=True)

    async def _move(
        self, row: LedgerRow, to: LedgerState, changes: LedgerChanges = NO_CHANGES
    ) -> LedgerRow:
        """Book a transition, however long the store is away.

        A callback needs no fence, so it may have moved the row first; then the row is
        read again and the walk goes on from there.
        """
        try:
            return await until_answered(lambda: self._bench.ledger.move(row, to, changes))
        except FenceLost:
            return await self._reread(row)

    async def _reread(self, row: LedgerRow) -> LedgerRow:
        rows = await until_answered(lambda: self._bench.ledger.rows([self._key]))
        current = rows[0]
        if current.fence != row.fence:
            raise FenceLost(f"take {self._key}: a later attempt has taken over")
        return current

    async def _abandon_if_cancelled(self) -> None:
        details = activity.cancellation_details()
        if details is None or not details.cancel_requested:
            return  # the worker shuts down, or an operator paused the activity
        try:
            async with asyncio.timeout(ABANDON_SECONDS):
                await self._bench.ledger.abandon(self._key)
        except (StoreUnavailable, TimeoutError):
            # The money is booked with the state; only the mark is missing.
            log.warning("abandon_unmarked", job_id=self._key.job, call=str(self._key))


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
