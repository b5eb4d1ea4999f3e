"""The pool's books: who holds a slot, who waits, and what each word of a job changes.

A holder's slot is free when it gives it back, when its grant could not be delivered, or a grace
after its run was found closed. A word that fits nothing changes nothing.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from darkroom.domain.admission import (
    EPOCH,
    Holder,
    PoolPlan,
    QueueTerms,
    SlotClaim,
    SlotGrant,
    SlotRelease,
    SlotRequest,
)
from darkroom.domain.job import OwnerId, Priority
from darkroom.domain.waiting_line import WaitingLine

REMEMBERED_HOLDS = 50  # enough to tell when a turn may come

# The line as it travels: by owner and priority (workflow id, first run id, microseconds).
PackedLine: TypeAlias = dict[OwnerId, dict[Priority, list[tuple[str, str, int]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One slot that is taken."""

    holder: Holder
    owner: OwnerId
    granted_at: datetime
    token: str | None = None  # none: it does not answer, and may hold a slot
    free_at: datetime | None = None  # its run is over; the slot is free from then on

    @property
    def is_silent(self) -> bool:
        """Say whether nobody knows if it holds a slot."""
        return self.token is None and self.free_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What a census found out about the jobs there are."""

    holding: tuple[Held, ...] = ()
    waiting: PackedLine
    is_settled: bool = True  # false: words of the pool before may still be on their way


@dataclass(frozen=True, slots=True, kw_only=True)
class BookState:
    """The books as one value, small enough to be handed to the pool's next run."""

    terms: QueueTerms
    plan: PoolPlan
    held: tuple[Held, ...] = ()
    waiting: PackedLine
    hold_milliseconds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStart:
    """Input of one run of the pool's workflow; without a state it remembers nothing."""

    state: BookState | None = None


class SlotBook:
    """Never more holders by grant than the limit, and nobody twice."""

    def __init__(self, *, terms: QueueTerms, plan: PoolPlan) -> None:
        self.terms = terms
        self.line = WaitingLine(aging=plan.aging)
        self.holds: deque[timedelta] = deque(maxlen=REMEMBERED_HOLDS)
        self._plan = plan
        self._held: dict[Holder, Held] = {}

    @classmethod
    def opened(cls, state: BookState) -> "SlotBook":
        """Take the books over from the run before."""
        book = cls(terms=state.terms, plan=state.plan)
        for held in state.held:
            book._hold(held)
        for request in unpacked(state.waiting):
            book.line.join(request)
        book.holds.extend(timedelta(milliseconds=hold) for hold in state.hold_milliseconds)
        return book

    @property
    def plan(self) -> PoolPlan:
        """How the pool works."""
        return self._plan

    @plan.setter
    def plan(self, plan: PoolPlan) -> None:
        self._plan = plan
        self.line.aging = plan.aging

    @property
    def held(self) -> tuple[Held, ...]:
        """List who holds a slot, in the order of their grants."""
        return tuple(self._held.values())

    @property
    def next_free_at(self) -> datetime | None:
        """Say when the first slot of a closed run becomes free by itself."""
        return min((one.free_at for one in self._held.values() if one.free_at), default=None)

    def request(self, request: SlotRequest) -> SlotGrant | None:
        """Let a job wait; a job that holds a slot is told again, with the same grant."""
        held = self._held.get(request.holder)
        if held and held.token:
            self._held[held.holder] = replace(held, free_at=None)  # it lives: it was reset
            return SlotGrant(holder=held.holder, token=held.token, granted_at=held.granted_at)
        if held:
            self._free(held)  # whoever asks holds nothing
        self.line.join(request)
        return None

    def release(self, release: SlotRelease, *, now: datetime) -> None:
        """Take a slot back; without a token, a request."""
        held = self._held.get(release.holder)
        if release.token is None:
            self.line.leave(release.holder)
        if held is None or held.token not in {release.token, None}:
            return
        if release.token:
            self.holds.append(now - held.granted_at)
        self._free(held)

    def grant(self, token: str, *, now: datetime) -> SlotGrant | None:
        """Give a free slot to whoever is next; None when there is no slot, or nobody."""
        if self.terms.is_paused or len(self._held) >= self.terms.concurrency:
            return None
        request = self.line.next(now, owner_limit=self.terms.owner_limit)
        if request is None:
            return None
        self.line.leave(request.holder)
        self._hold(Held(holder=request.holder, owner=request.owner, granted_at=now, token=token))
        return SlotGrant(holder=request.holder, token=token, granted_at=now)

    def may_grant(self, now: datetime) -> bool:
        """Say whether `grant` would give a slot."""
        is_open = not self.terms.is_paused and len(self._held) < self.terms.concurrency
        return is_open and self.line.next(now, owner_limit=self.terms.owner_limit) is not None

    def undelivered(self, grant: SlotGrant) -> None:
        """Free a slot whose holder was gone before it heard of it."""
        held = self._held.get(grant.holder)
        if held and held.token == grant.token:
            self._free(held)

    def closed(self, holder: Holder, *, at: datetime) -> None:
        """Free the slot of a run that is over once nothing of it can be calling any more."""
        held = self._held.get(holder)
        if held and held.free_at is None:
            self._held[holder] = replace(held, free_at=at + self._plan.grace)

    def expire(self, now: datetime) -> None:
        """Free what was kept for the remains of closed runs."""
        for held in self.held:
            if held.free_at and held.free_at <= now:
                self._free(held)

    def answered(self, claim: SlotClaim) -> None:
        """Believe a holder that was silent so far."""
        held = self._held.get(claim.request.holder)
        if held is None or not held.is_silent:
            return
        if claim.grant:
            self._held[held.holder] = replace(
                held, token=claim.grant.token, granted_at=claim.grant.granted_at
            )
            return
        self._free(held)
        if claim.is_waiting:
            self.line.join(claim.request)

    def take_stock(self, stock: Stock, *, but_not: Iterable[SlotRelease]) -> None:
        """Believe a census, except where a job has given back or withdrawn since it began."""
        said = {(release.holder, release.token) for release in but_not}
        spoke = {holder for holder, _ in said}
        for held in stock.holding:
            is_over = held.holder in spoke if held.is_silent else (held.holder, held.token) in said
            if not is_over:
                self.line.leave(held.holder)
                self._hold(held)
        for request in unpacked(stock.waiting):
            is_known = request.holder in self._held or request.holder in self.line
            if not is_known and (request.holder, None) not in said:
                self.line.join(request)

    def state(self) -> BookState:
        """Write the books as one value."""
        return BookState(
            terms=self.terms,
            plan=self._plan,
            held=self.held,
            waiting=packed(self.line),
            hold_milliseconds=tuple(hold // timedelta(milliseconds=1) for hold in self.holds),
        )

    def _hold(self, held: Held) -> None:
        before = self._held.pop(held.holder, None)
        if before:
            self.line.yield_slot(before.owner)
        self._held[held.holder] = held
        self.line.hold(held.owner)

    def _free(self, held: Held) -> None:
        del self._held[held.holder]
        self.line.yield_slot(held.owner)


def packed(requests: Iterable[SlotRequest]) -> PackedLine:
    """Write requests so that thousands of them fit into one payload."""
    line: PackedLine = {}
    for one in requests:
        micros = (one.submitted_at - EPOCH) // timedelta(microseconds=1)
        row = (one.holder.workflow_id, one.holder.first_run_id, micros)
        line.setdefault(one.owner, {}).setdefault(one.priority, []).append(row)
    return line


def unpacked(line: PackedLine) -> Iterator[SlotRequest]:
    """Read what `packed` wrote."""
    for owner, by_priority in line.items():
        for priority, rows in by_priority.items():
            for workflow_id, first_run_id, micros in rows:
                yield SlotRequest(
                    holder=Holder(workflow_id=workflow_id, first_run_id=first_run_id),
                    owner=owner,
                    priority=priority,
                    submitted_at=EPOCH + timedelta(microseconds=micros),
                )
