"""The slot pool: one workflow that knows who works and who waits, and gives free slots away.

The rules stand in the domain's books. Here are the words that come in, the grants that go out,
and what lets the pool outlive everything: a census when it has no memory, a look at holders
that may have died, and a next run before its history grows long.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.admission import (
    CensusQuestion,
    LookQuestion,
    PoolActivities,
    TermsDecision,
    TermsQuestion,
)
from darkroom.domain.admission import (
    Place,
    PlaceQuestion,
    PoolPlan,
    QueueChange,
    QueueQuestion,
    QueueTerms,
    QueueView,
    SlotGrant,
    SlotRelease,
    SlotRequest,
    audited,
    changed,
    check_change,
)
from darkroom.domain.names import (
    CHANGE_QUEUE,
    PLACE,
    QUEUE,
    REFRESH_SIGNAL,
    RELEASE_SLOT_SIGNAL,
    REQUEST_SLOT_SIGNAL,
    SLOT_GRANTED_SIGNAL,
    SLOT_POOL,
)
from darkroom.domain.queue_forecast import QueueForecast
from darkroom.domain.slot_book import PoolStart, SlotBook
from workflows.durably import steadily
from workflows.options import CENSUS

# What is meant by a query, a signal or an update that was typed without any input.
_WHOLE, _TERMS, _NO_CHANGE = QueueQuestion(), TermsQuestion(), QueueChange()
_UNREAD = QueueTerms(concurrency=1)  # until the store has been asked; nobody gets a slot before


@workflow.defn(name=SLOT_POOL)
class SlotPoolWorkflow:
    """Lasts for ever, one run after the other."""

    @workflow.init
    def __init__(self, start: PoolStart) -> None:
        self._book = _opened(start)
        self._is_counting = start.state is None
        self._is_looking = False
        self._lives = 1  # one more after each reset by an operator
        self._said: list[SlotRelease] = []  # while counting
        self._delivering: set[asyncio.Task[None]] = set()
        self._deciding = asyncio.Lock()
        self._undecided = 0
        self._shown = ""
        self._forecast = self._play_forward()
        self._foreseen_at = 0  # events in the history then
        workflow.register_random_seed_callback(self._forget)

    @workflow.run
    async def run(self, start: PoolStart) -> None:  # noqa: ARG002 -- Temporal hands the input to both; @workflow.init keeps it
        """Give slots away until the history has grown long enough, then go on in the next run."""
        async with asyncio.TaskGroup() as beside:
            looking = beside.create_task(self._look_after_holders())
            await self._serve()
            looking.cancel()
        await workflow.wait_condition(self._is_at_rest)
        workflow.continue_as_new(PoolStart(state=self._book.state()))

    @workflow.signal(name=REQUEST_SLOT_SIGNAL)
    def request_slot(self, request: SlotRequest | None = None) -> None:
        """Let a job wait; what only a hand can have typed changes nothing."""
        if request and request.submitted_at.tzinfo:
            repeated = self._book.request(request)
            if repeated:
                self._send(repeated, is_repeated=True)

    @workflow.signal(name=RELEASE_SLOT_SIGNAL)
    def release_slot(self, release: SlotRelease | None = None) -> None:
        """Take a slot back, or a request."""
        if release:
            self._book.release(release, now=workflow.now())
            if self._is_counting:
                self._said.append(release)

    @workflow.signal(name=REFRESH_SIGNAL)
    async def refresh(self, question: TermsQuestion = _TERMS) -> None:
        """Read the terms anew: a worker has begun, perhaps with other settings."""
        del question
        if not self._is_counting:
            await self._read_terms()

    @workflow.update(name=CHANGE_QUEUE)
    async def change_queue(self, change: QueueChange = _NO_CHANGE) -> QueueTerms:
        """Change how many may work, or whether anybody may begin: at once, and for good."""
        await workflow.wait_condition(lambda: self._book.terms is not _UNREAD)
        before = self._book.terms
        after = changed(before, change, at=workflow.now())
        if after == before:
            return before
        self._book.terms = after
        self._undecided += 1
        async with self._deciding:
            deed = audited(before, after, reason=change.reason)
            await steadily(PoolActivities.decide, TermsDecision(terms=after, deed=deed))
        self._undecided -= 1
        return after

    @change_queue.validator
    def _may_change_queue(self, change: QueueChange = _NO_CHANGE) -> None:
        try:
            check_change(change)
        except ValueError as reason:
            raise ApplicationError(
                str(reason), type="validation_failed", non_retryable=True
            ) from reason

    @workflow.query(name=QUEUE)
    def queue(self, question: QueueQuestion = _WHOLE) -> QueueView:
        """Answer how the queue is."""
        return self._foreseen().view(limit=question.limit)

    @workflow.query(name=PLACE)
    def place(self, question: PlaceQuestion) -> Place | None:
        """Answer where in the line a job stands; nothing for any other job."""
        return self._foreseen().place(question.job_id)

    async def _serve(self) -> None:
        while True:
            if self._is_counting:
                await self._count()
                continue
            if self._is_long():
                return
            while grant := self._book.grant(workflow.uuid4().hex, now=workflow.now()):
                self._send(grant)
            self._show()
            await workflow.wait_condition(self._is_called)

    def _is_called(self) -> bool:
        may_grant = self._book.may_grant(workflow.now())
        return self._is_counting or may_grant or self._is_long() or self._shown != self._words()

    def _is_long(self) -> bool:
        """Say whether to go on in a next run; not while anything waits that may take long."""
        info = workflow.info()
        is_long = info.get_current_history_length() >= self._book.plan.history_events
        is_busy = self._is_looking or not workflow.all_handlers_finished()
        return (is_long or info.is_continue_as_new_suggested()) and not is_busy

    def _is_at_rest(self) -> bool:
        return workflow.all_handlers_finished() and not self._delivering

    def _send(self, grant: SlotGrant, *, is_repeated: bool = False) -> None:
        """Have a grant delivered while others are made."""
        delivery = asyncio.create_task(self._deliver(grant, is_repeated=is_repeated))
        self._delivering.add(delivery)
        delivery.add_done_callback(self._delivering.discard)

    async def _deliver(self, grant: SlotGrant, *, is_repeated: bool) -> None:
        """Tell a job. One that is gone before it ever heard of its slot cannot be using it."""
        job = workflow.get_external_workflow_handle(grant.holder.workflow_id)
        try:
            await job.signal(SLOT_GRANTED_SIGNAL, grant)
        except FailureError:
            if not is_repeated:
                self._book.undelivered(grant)

    async def _count(self) -> None:
        """Find out who holds a slot and who waits, by asking every job."""
        life = self._lives
        await self._read_terms()
        while True:
            question = CensusQuestion(
                at=workflow.now(), pool_id=workflow.info().workflow_id, plan=self._book.plan
            )
            stock = await workflow.execute_activity_method(
                PoolActivities.census, question, summary="ask every job", **CENSUS
            )
            if stock.is_settled:
                break
            await workflow.sleep(self._book.plan.settle, summary="let the pool before fall silent")
        if life == self._lives:
            self._book.take_stock(stock, but_not=self._said)
            self._is_counting = False
            self._said.clear()

    async def _read_terms(self) -> None:
        async with self._deciding:
            read = await steadily(PoolActivities.terms, TermsQuestion())
            self._book.plan = read.plan
            if not self._undecided:
                self._book.terms = read.terms

    async def _look_after_holders(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._book.held) and not self._is_counting)
            await workflow.sleep(self._until_next_look(), summary="next look at the holders")
            await self._look()

    def _until_next_look(self) -> timedelta:
        free_at, now = self._book.next_free_at, workflow.now()
        every = self._book.plan.look_every
        return max(min(every, free_at - now), timedelta(0)) if free_at else every

    async def _look(self) -> None:
        held = [one for one in self._book.held if one.free_at is None]
        question = LookQuestion(
            at=workflow.now(),
            holders=tuple(one.holder for one in held),
            silent=tuple(one.holder for one in held if one.is_silent),
        )
        if held:
            self._is_looking = True
            look = await steadily(PoolActivities.look, question)
            self._is_looking = False
            for gone in look.gone:
                self._book.closed(gone.holder, at=gone.closed_at)
            for claim in look.answered:
                self._book.answered(claim)
        self._book.expire(workflow.now())

    def _forget(self, seed: int) -> None:
        """Remember nothing after an operator's reset: the run before went on without us."""
        del seed
        terms, plan = self._book.terms, self._book.plan
        self._book = SlotBook(terms=terms, plan=plan)
        self._lives += 1
        self._is_counting = True
        self._said.clear()
        self._delivering.clear()  # what was under way then is never answered

    def _foreseen(self) -> QueueForecast:
        """Play the line forward, once for as long as nothing happens."""
        happened = workflow.info().get_current_history_length()
        if self._foreseen_at != happened:
            self._forecast = self._play_forward()
            self._foreseen_at = happened
        return self._forecast

    def _play_forward(self) -> QueueForecast:
        return QueueForecast(self._book, now=workflow.now(), is_counting=self._is_counting)

    def _show(self) -> None:
        """Tell operators in `temporal workflow describe` and the Web UI how the queue is."""
        self._shown = self._words()
        workflow.set_current_details(self._shown)

    def _words(self) -> str:
        terms = self._book.terms
        marks = [
            f", **{mark}** by {terms.changed_by}"
            for mark, is_set in (("paused", terms.is_paused), ("draining", terms.is_draining))
            if is_set
        ]
        taken = f"{len(self._book.held)} of {terms.concurrency} slots taken"
        return f"{taken}, {len(self._book.line)} waiting{''.join(marks)}"


def _opened(start: PoolStart) -> SlotBook:
    return SlotBook.opened(start.state) if start.state else SlotBook(terms=_UNREAD, plan=PoolPlan())
