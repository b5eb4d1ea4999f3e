"""Requests, lines and books of the queue for tests, and what one may read off them."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count

from darkroom.domain.admission import (
    Holder,
    PoolPlan,
    QueueTerms,
    SlotGrant,
    SlotRelease,
    SlotRequest,
)
from darkroom.domain.job import OwnerId, Priority
from darkroom.domain.slot_book import SlotBook
from darkroom.domain.waiting_line import LEVELS
from tests.support.builders import ADA, NOW

AGING = timedelta(minutes=10)


def a_holder(name: str = "job_1", *, first_run_id: str = "run-1") -> Holder:
    """Name one run of a job."""
    return Holder(workflow_id=name, first_run_id=first_run_id)


def a_slot_request(
    name: str = "job_1",
    *,
    owner: OwnerId = ADA,
    priority: Priority = Priority.NORMAL,
    submitted_at: datetime = NOW,
) -> SlotRequest:
    """Ask for a slot, by default as Ada's first job."""
    return SlotRequest(
        holder=a_holder(name), owner=owner, priority=priority, submitted_at=submitted_at
    )


def a_book(
    *requests: SlotRequest,
    concurrency: int = 5,
    owner_limit: int | None = None,
    plan: PoolPlan | None = None,
) -> SlotBook:
    """Open books in which these wait."""
    terms = QueueTerms(concurrency=concurrency, owner_limit=owner_limit)
    book = SlotBook(terms=terms, plan=plan or PoolPlan(aging=AGING))
    for request in requests:
        book.request(request)
    return book


def grants(book: SlotBook, *, now: datetime = NOW) -> list[SlotGrant]:
    """Give every slot away that is free."""
    tokens = (f"token-{len(book.held)}-{number}" for number in count())
    granted = (book.grant(token, now=now) for token in tokens)
    return list(_until_none(granted))


def give_back(book: SlotBook, grant: SlotGrant, *, now: datetime = NOW) -> None:
    """Return one slot."""
    book.release(SlotRelease(holder=grant.holder, token=grant.token), now=now)


def names(granted: Iterable[SlotGrant]) -> list[str]:
    """Name the jobs that were granted a slot."""
    return [grant.holder.workflow_id for grant in granted]


def turns(book: SlotBook, *, now: datetime = NOW) -> list[str]:
    """Let one job after the other have the only slot, until nobody waits; names them."""
    order: list[str] = []
    while granted := grants(book, now=now):
        (grant,) = granted
        order.append(grant.holder.workflow_id)
        give_back(book, grant, now=now)
    return order


def first_by_the_rule(
    waiting: Iterable[SlotRequest],
    *,
    held: Sequence[OwnerId] = (),
    now: datetime = NOW,
    owner_limit: int | None = None,
) -> SlotRequest | None:
    """Find whose turn it is the slow way: by looking at everybody.

    Args:
        waiting: in any order.
        held: the owner of each slot that is taken.
        now: when a slot becomes free.
        owner_limit: slots of one owner at a time.
    """

    def turn(one: SlotRequest) -> tuple[int, int, datetime, str]:
        raised = max(now - one.submitted_at, timedelta(0)) // AGING
        level = max(LEVELS.index(one.priority) - raised, 0)
        return level, held.count(one.owner), one.submitted_at, one.holder.workflow_id

    eligible = (one for one in waiting if not owner_limit or held.count(one.owner) < owner_limit)
    return min(eligible, key=turn, default=None)


def _until_none(granted: Iterator[SlotGrant | None]) -> Iterator[SlotGrant]:
    for grant in granted:
        if grant is None:
            return
        yield grant
