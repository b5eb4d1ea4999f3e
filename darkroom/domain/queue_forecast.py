"""When a waiting job's turn may come, and why it waits: the line played forward.

Holders are taken to keep their slots for as long as recent ones did. What is not foreseen:
jobs that are still to come, pauses, limits that change.
"""

import heapq
import math
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from darkroom.domain.admission import Place, QueueView, SlotRequest, WaitingJob, WorkingJob
from darkroom.domain.job import JobId, OwnerId
from darkroom.domain.slot_book import Held, SlotBook
from darkroom.domain.stages import counted
from darkroom.domain.waiting_line import effective_priority

NOMINAL_HOLD = timedelta(minutes=1)  # orders the line while nothing is known; tells no times
OVERDUE_SHARE = 0.25  # of a hold: what a holder is given that took longer than others did
P90_DEVIATIONS = 1.2816  # of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One waiting job's turn, as far as can be foreseen."""

    request: SlotRequest
    position: int  # counted from 1
    after: timedelta
    holds: int  # that are waited for, one after the other; each of them may last longer


class QueueForecast:
    """What is to come of the books as they are now."""

    def __init__(self, book: SlotBook, *, now: datetime, is_counting: bool = False) -> None:
        self.now = now
        self._book = book
        self._is_counting = is_counting
        self._seconds = [hold.total_seconds() for hold in book.holds]
        self._turns = {turn.request.holder.workflow_id: turn for turn in self._play()}

    def place(self, job_id: JobId) -> Place | None:
        """Tell a waiting job's place; None for any other job."""
        turn = self._turns.get(job_id)
        return self._place(turn) if turn else None

    def view(self, *, limit: int) -> QueueView:
        """Show the queue, with the first `limit` waiting jobs."""
        line = self._book.line
        shown = sorted(self._turns.values(), key=lambda turn: turn.position)[: max(limit, 0)]
        return QueueView(
            terms=self._book.terms,
            is_counting=self._is_counting,
            working=tuple(_working(held) for held in self._book.held),
            waiting=tuple(self._waiting(turn) for turn in shown),
            waiting_count=len(line),
            waiting_by_priority=dict(Counter(request.priority for request in line)),
            waiting_by_owner=dict(Counter(request.owner for request in line)),
            oldest_submitted_at=min((request.submitted_at for request in line), default=None),
        )

    def _play(self) -> Iterator[Turn]:
        """Let slots become free one after the other, and the line move up, by the real rule."""
        line, terms, hold = self._book.line.copy(), self._book.terms, self._hold
        at_work: list[tuple[datetime, int, OwnerId, int]] = [
            (self._end(held), -1, held.owner, 1) for held in self._book.held
        ]
        heapq.heapify(at_work)
        clock, holds, position = self.now, 0, 0
        while len(line):
            is_free = len(at_work) < terms.concurrency
            request = line.next(clock, owner_limit=terms.owner_limit) if is_free else None
            if request is None:
                end, _, owner, holds = heapq.heappop(at_work)
                clock = max(clock, end)
                line.yield_slot(owner)
                continue
            position += 1
            line.leave(request.holder)
            line.hold(request.owner)
            heapq.heappush(at_work, (clock + hold, position, request.owner, holds + 1))
            yield Turn(request=request, position=position, after=clock - self.now, holds=holds)

    @property
    def _hold(self) -> timedelta:
        if not self._seconds:
            return NOMINAL_HOLD
        return timedelta(seconds=statistics.fmean(self._seconds))

    def _end(self, held: Held) -> datetime:
        if held.free_at:
            return held.free_at
        return max(held.granted_at + self._hold, self.now + OVERDUE_SHARE * self._hold)

    def _place(self, turn: Turn) -> Place:
        is_held = self._book.terms.is_paused or self._is_counting
        is_known = bool(self._seconds) and not is_held
        after = turn.after.total_seconds()
        deviation = statistics.pstdev(self._seconds) if self._seconds else 0.0
        late = after + P90_DEVIATIONS * deviation * math.sqrt(turn.holds)
        return Place(
            job_id=JobId(turn.request.holder.workflow_id),
            position=turn.position,
            eta_p50_seconds=math.ceil(after) if is_known else None,
            eta_p90_seconds=math.ceil(late) if is_known else None,
            why=self._why(turn),
        )

    def _why(self, turn: Turn) -> str:
        """Say in words a caller can read what a job waits for."""
        terms, owner = self._book.terms, turn.request.owner
        if self._is_counting:
            return "the queue has just come back and counts who is at work; it goes on in a moment"
        if terms.is_paused:
            return "the queue is paused; nothing begins until an operator resumes it"
        at_work = self._book.line.held_by(owner)
        if terms.owner_limit and at_work >= terms.owner_limit:
            return (
                f"{counted(at_work, 'job')} of this owner at work, as many as one owner may have "
                "at a time; the next begins when one of them ends"
            )
        taken = f"{len(self._book.held)} of {counted(terms.concurrency, 'slot')} taken"
        if turn.position == 1:
            return f"{taken}; this job is next{self._raised(turn.request)}"
        ahead = counted(turn.position - 1, "job")
        return f"{taken}; {ahead} in line before this one{self._raised(turn.request)}"

    def _raised(self, request: SlotRequest) -> str:
        waited = self.now - request.submitted_at
        counts_as = effective_priority(request.priority, waited, self._book.plan.aging)
        if counts_as is request.priority:
            return ""
        minutes = counted(int(waited.total_seconds() // 60), "minute")
        return f", which after {minutes} of waiting counts as {counts_as}"

    def _waiting(self, turn: Turn) -> WaitingJob:
        request = turn.request
        waited = self.now - request.submitted_at
        return WaitingJob(
            job_id=JobId(request.holder.workflow_id),
            owner=request.owner,
            priority=request.priority,
            effective_priority=effective_priority(request.priority, waited, self._book.plan.aging),
            submitted_at=request.submitted_at,
            place=self._place(turn),
        )


def _working(held: Held) -> WorkingJob:
    return WorkingJob(
        job_id=JobId(held.holder.workflow_id),
        owner=held.owner,
        granted_at=held.granted_at,
        is_silent=held.is_silent,
        free_at=held.free_at,
        first_run_id=held.holder.first_run_id,
        token=held.token,
    )
