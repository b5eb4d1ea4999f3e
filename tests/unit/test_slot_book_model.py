"""The pool's books against a simple model, over any order of words, deaths and lost memories.

The model is the jobs themselves: each knows what it was told. What a job says reaches the pool
in order; a grant may cross anything on its way back.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import TypeAdapter

from darkroom.domain.admission import QueueTerms, SlotClaim, SlotGrant, SlotRelease, SlotRequest
from darkroom.domain.job import OwnerId, Priority
from darkroom.domain.slot_book import BookState, Held, SlotBook, Stock, packed
from tests.support.builders import NOW
from tests.support.queueing import a_book, a_holder, a_slot_request

LIMITS = st.integers(1, 3)
JOBS = st.sampled_from([f"job_{number}" for number in range(4)])
STATE = TypeAdapter(BookState)


@dataclass(slots=True, eq=False)
class Job:
    """What one run knows of its slot."""

    request: SlotRequest
    is_waiting: bool = False
    token: str | None = None
    returned: list[str] = field(default_factory=list[str])
    died_at: datetime = NOW

    def awaits(self, grant: SlotGrant) -> bool:
        """Say whether this run will take a grant."""
        is_ours = grant.holder == self.request.holder and grant.token not in self.returned
        return is_ours and self.is_waiting

    def claim(self) -> SlotClaim:
        """Answer a pool without a memory."""
        grant = None
        if self.token:
            grant = SlotGrant(holder=self.request.holder, token=self.token, granted_at=NOW)
        return SlotClaim(request=self.request, is_waiting=self.is_waiting, grant=grant)

    def held(self, *, is_silent: bool = False, free_at: datetime | None = None) -> Held:
        """Stand in the books as a census writes it."""
        return Held(
            holder=self.request.holder,
            owner=self.request.owner,
            granted_at=NOW,
            token=None if is_silent else self.token,
            free_at=free_at,
        )


class BooksAgainstJobs(RuleBasedStateMachine):
    """Never above the limit by grant, nobody lost, and everybody's turn comes."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOW
        self.book: SlotBook = a_book(concurrency=2)
        self.jobs: dict[str, Job] = {}
        self.dead: list[Job] = []  # that may still be calling
        self.on_their_way: list[SlotGrant] = []
        self.tokens = (f"token-{number}" for number in count())
        self.runs = (f"run-{number}" for number in count())

    @rule(name=JOBS, priority=st.sampled_from(Priority), owner=st.sampled_from(["ada", "bob"]))
    def a_job_asks(self, name: str, priority: Priority, owner: str) -> None:
        """For the first time, or again with another priority."""
        if name not in self.jobs:
            request = a_slot_request(name, owner=OwnerId(owner), submitted_at=self.now)
            holder = a_holder(name, first_run_id=next(self.runs))
            self.jobs[name] = Job(replace(request, holder=holder))
        job = self.jobs[name]
        job.request = replace(job.request, priority=priority)
        if job.token is None:
            job.is_waiting = True
            self._ask(job)

    @rule(name=JOBS)
    def a_job_gives_back(self, name: str) -> None:
        """What it holds, or its place."""
        if job := self.jobs.get(name):
            self._give_back(job)

    @rule(name=JOBS)
    def a_word_is_said_twice(self, name: str) -> None:
        """An activity that was tried again changes nothing the second time."""
        job = self.jobs.get(name)
        if job and job.returned:
            self._say_back(job.request.holder.first_run_id, job, job.returned[-1])

    @rule(name=JOBS)
    def a_job_dies(self, name: str) -> None:
        """It says nothing, and what it began goes on for a while."""
        if job := self.jobs.pop(name, None):
            job.died_at, job.is_waiting = self.now, False
            self.dead.append(job)

    @rule()
    def the_pool_grants(self) -> None:
        """As many slots as are free; never more at work than may be."""
        while grant := self.book.grant(next(self.tokens), now=self.now):
            self.on_their_way.append(grant)
            assert self._may_be_calling() <= self.book.terms.concurrency
            assert not self.book.terms.is_paused

    @rule()
    @precondition(lambda self: self.on_their_way)
    def a_grant_arrives(self) -> None:
        """At a run that waits, at one that does not any more, or at nobody."""
        self._deliver(self.on_their_way.pop(0))

    @rule()
    def the_pool_serves(self) -> None:
        """Grants that arrive at once, as they mostly do."""
        self.the_pool_grants()
        self._deliver_all()

    @rule()
    def the_pool_looks(self) -> None:
        """Find the dead among the holders."""
        living = {job.request.holder for job in self.jobs.values()}
        for held in self.book.held:
            if held.holder not in living:
                self.book.closed(held.holder, at=self.now)

    @rule(seconds=st.sampled_from([1, 20, 40, 900]))
    def time_passes(self, seconds: int) -> None:
        """And with it the grace of the dead."""
        self.now += timedelta(seconds=seconds)
        self.dead = [job for job in self.dead if job.died_at + self.book.plan.grace > self.now]
        self.book.expire(self.now)

    @rule(concurrency=LIMITS, owner_limit=st.none() | LIMITS, is_paused=st.booleans())
    def an_operator_decides(
        self, concurrency: int, owner_limit: int | None, *, is_paused: bool
    ) -> None:
        """Anything within bounds."""
        self.book.terms = QueueTerms(
            concurrency=concurrency, owner_limit=owner_limit, is_paused=is_paused
        )

    @rule()
    def the_pool_goes_on_in_a_next_run(self) -> None:
        """The books travel as JSON; no grant is on its way then."""
        self._deliver_all()
        self.book = SlotBook.opened(STATE.validate_json(STATE.dump_json(self.book.state())))

    @rule(silent=JOBS)
    def the_pool_is_terminated(self, silent: str) -> None:
        """A new one asks everybody; one job does not answer, and is asked again later."""
        self._deliver_all()
        plan = self.book.plan
        self.book = SlotBook(terms=self.book.terms, plan=plan)
        holding = [
            *(
                job.held(is_silent=name == silent)
                for name, job in self.jobs.items()
                if job.token or name == silent
            ),
            *(job.held(free_at=job.died_at + plan.grace) for job in self.dead if job.token),
        ]
        waiting = [
            job.request for name, job in self.jobs.items() if job.is_waiting and name != silent
        ]
        stock = Stock(holding=tuple(holding), waiting=packed(waiting))
        self.book.take_stock(stock, but_not=())

    @rule()
    def the_silent_answer(self) -> None:
        """Asked again at the next look."""
        for held in self.book.held:
            job = self.jobs.get(held.holder.workflow_id)
            if job and held.is_silent and held.holder == job.request.holder:
                self.book.answered(job.claim())

    @invariant()
    def nobody_is_lost(self) -> None:
        """Whoever waits is in line, about to hear, or kept a slot for until it answers."""
        expected = {grant.holder for grant in self.on_their_way} | {
            held.holder for held in self.book.held if held.is_silent
        }
        for job in self.jobs.values():
            holder = job.request.holder
            assert not job.is_waiting or holder in self.book.line or holder in expected

    @invariant()
    def whoever_works_is_in_the_books(self) -> None:
        """Under the token it holds, or as one that may hold something."""
        held = {one.holder: one.token for one in self.book.held}
        for job in self.jobs.values():
            if job.token:
                assert held[job.request.holder] in {job.token, None}

    def teardown(self) -> None:
        """Everybody's turn comes once an operator lets it, and those at work end."""
        self.book.terms = QueueTerms(concurrency=1)
        for _ in range(3 * len(self.jobs) + 3):
            self.the_pool_looks()
            self.the_silent_answer()
            self.time_passes(900)
            self.the_pool_grants()
            self._deliver_all()
            for job in self.jobs.values():
                if job.token:
                    self._give_back(job)
        assert not [name for name, job in self.jobs.items() if job.is_waiting]
        assert not self.book.held

    def _may_be_calling(self) -> int:
        """Count whoever holds a slot, will hold one, or died a moment ago holding one."""
        living = sum(job.token is not None for job in self.jobs.values())
        dead = sum(job.token is not None for job in self.dead)
        jobs = self.jobs.values()
        coming = {g.holder for g in self.on_their_way if any(job.awaits(g) for job in jobs)}
        return living + dead + len(coming)

    def _deliver_all(self) -> None:
        while self.on_their_way:
            self._deliver(self.on_their_way.pop(0))

    def _deliver(self, grant: SlotGrant) -> None:
        job = self.jobs.get(grant.holder.workflow_id)
        if job is None:
            self.book.undelivered(grant)
        elif job.awaits(grant):
            job.token, job.is_waiting = grant.token, False
        elif grant.token != job.token:
            self._say_back(grant.holder.first_run_id, job, grant.token)
            if job.is_waiting:
                self._ask(job)

    def _ask(self, job: Job) -> None:
        repeated = self.book.request(job.request)
        if repeated:
            self.on_their_way.append(repeated)

    def _say_back(self, first_run_id: str, job: Job, token: str | None) -> None:
        holder = replace(job.request.holder, first_run_id=first_run_id)
        self.book.release(SlotRelease(holder=holder, token=token), now=self.now)

    def _give_back(self, job: Job) -> None:
        if not (job.token or job.is_waiting):
            return
        token, job.token, job.is_waiting = job.token, None, False
        if token:
            job.returned.append(token)
        self._say_back(job.request.holder.first_run_id, job, token)


TestBooksAgainstJobs = BooksAgainstJobs.TestCase
TestBooksAgainstJobs.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
