"""Who gets the next slot: priority, aged; then the owner who holds fewer; then submit time."""

import random
import time
from datetime import timedelta

import pytest

from darkroom.domain.admission import Holder, SlotRelease, SlotRequest
from darkroom.domain.job import OwnerId, Priority
from darkroom.domain.waiting_line import LEVELS, WaitingLine, effective_priority
from tests.support.builders import BOB, NOW
from tests.support.queueing import (
    AGING,
    a_book,
    a_holder,
    a_slot_request,
    first_by_the_rule,
    give_back,
    grants,
    names,
    turns,
)

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("asked", "waited", "counts_as"),
    [
        (Priority.LOW, timedelta(0), Priority.LOW),
        (Priority.LOW, AGING - SECOND, Priority.LOW),
        (Priority.LOW, AGING, Priority.NORMAL),
        (Priority.LOW, 2 * AGING, Priority.HIGH),
        (Priority.NORMAL, AGING, Priority.HIGH),
        (Priority.HIGH, 100 * AGING, Priority.HIGH),
        (Priority.LOW, -SECOND, Priority.LOW),
    ],
)
def test_each_aging_waited_raises_a_priority_by_one(
    asked: Priority, waited: timedelta, counts_as: Priority
) -> None:
    """Up to high, and a clock that is a little behind lowers nothing."""
    assert effective_priority(asked, waited, AGING) is counts_as


def test_sixty_jobs_of_six_owners_go_in_the_order_of_the_rule() -> None:
    """With one slot: by priority, then by submit time; no owner holds anything in between."""
    chance = random.Random(20)
    requests = [
        a_slot_request(
            f"job_{number:02d}",
            owner=OwnerId(f"owner_{number % 6}"),
            priority=chance.choice(LEVELS),
            submitted_at=NOW - timedelta(seconds=chance.randrange(500)),
        )
        for number in range(60)
    ]
    order = turns(a_book(*requests, concurrency=1))

    assert len(order) == 60
    while requests:
        first = first_by_the_rule(requests)
        assert first
        assert order.pop(0) == first.holder.workflow_id
        requests.remove(first)


def test_sixty_jobs_of_six_owners_share_five_slots() -> None:
    """Whoever comes next is never preferred to a job that the rule puts before it."""
    chance = random.Random(21)
    requests = {
        f"job_{number:02d}": a_slot_request(
            f"job_{number:02d}",
            owner=OwnerId(f"owner_{number % 6}"),
            priority=chance.choice(LEVELS),
            submitted_at=NOW - timedelta(minutes=chance.randrange(30)),
        )
        for number in range(60)
    }
    book, waiting = a_book(*requests.values()), dict(requests)
    at_work = grants(book)
    assert len(at_work) == 5
    for name in names(at_work):
        del waiting[name]

    while waiting:
        give_back(book, at_work.pop(chance.randrange(len(at_work))))
        held = [requests[grant.holder.workflow_id].owner for grant in at_work]
        expected = first_by_the_rule(waiting.values(), held=held)

        (grant,) = grants(book)

        assert expected
        assert grant.holder == expected.holder
        at_work.append(grant)
        del waiting[grant.holder.workflow_id]


def test_a_low_job_past_the_aging_bound_is_not_passed() -> None:
    """After two agings it counts as high, and is older than every high job that comes now."""
    old = a_slot_request("low", priority=Priority.LOW, submitted_at=NOW - 2 * AGING)
    fresh = [
        a_slot_request(f"high_{number}", owner=BOB, priority=Priority.HIGH) for number in range(10)
    ]

    assert turns(a_book(*fresh, old, concurrency=1))[0] == "low"


def test_a_low_job_short_of_the_bound_is_passed() -> None:
    """Until then it counts as normal at most."""
    old = a_slot_request("low", priority=Priority.LOW, submitted_at=NOW - 2 * AGING + SECOND)
    fresh = a_slot_request("high", owner=BOB, priority=Priority.HIGH)

    assert turns(a_book(fresh, old, concurrency=1)) == ["high", "low"]


def test_the_second_owner_gets_the_next_slot_before_fifty_of_the_first() -> None:
    """Fair share: who holds fewer slots goes first, however long the other's line is."""
    flood = [
        a_slot_request(f"ada_{number:02d}", submitted_at=NOW + number * timedelta(milliseconds=1))
        for number in range(55)
    ]
    book = a_book(*flood)
    first = grants(book)
    book.request(a_slot_request("bob", owner=BOB, submitted_at=NOW + timedelta(minutes=1)))

    give_back(book, first[0])

    assert names(grants(book)) == ["bob"]


def test_priority_comes_before_fair_share() -> None:
    """An owner at work still goes first with something more urgent."""
    book = a_book(a_slot_request("ada_1"), concurrency=2)
    grants(book)
    book.request(a_slot_request("bob", owner=BOB))
    book.request(a_slot_request("ada_2", priority=Priority.HIGH))

    assert names(grants(book)) == ["ada_2"]


def test_submit_time_and_then_the_id_decide_between_equals() -> None:
    """The order in which requests arrive says nothing: signals overtake each other."""
    late = a_slot_request("job_a", submitted_at=NOW + SECOND)
    twins = [a_slot_request("job_c"), a_slot_request("job_b")]

    assert turns(a_book(late, *twins, concurrency=1)) == ["job_b", "job_c", "job_a"]


def test_an_owner_at_the_cap_is_left_out() -> None:
    """A free slot stays free rather than being that owner's third."""
    flood = [a_slot_request(f"ada_{number}") for number in range(4)]
    book = a_book(*flood, owner_limit=2)
    granted = grants(book)
    assert names(granted) == ["ada_0", "ada_1"]

    book.request(a_slot_request("bob", owner=BOB, priority=Priority.LOW))
    assert names(grants(book)) == ["bob"]

    give_back(book, granted[0])
    assert names(grants(book)) == ["ada_2"]


def test_asking_again_changes_the_request_in_place() -> None:
    """A changed priority moves the job; it is in line once."""
    book = a_book(
        a_slot_request("job_1"), a_slot_request("job_2", priority=Priority.LOW), concurrency=1
    )

    book.request(a_slot_request("job_2", priority=Priority.HIGH))

    assert len(book.line) == 2
    assert turns(book) == ["job_2", "job_1"]


def test_a_job_that_left_the_line_is_not_granted_anything() -> None:
    """Whoever comes next gets the slot instead."""
    book = a_book(a_slot_request("job_1"), a_slot_request("job_2"), concurrency=1)

    book.release(SlotRelease(holder=a_holder("job_1")), now=NOW)

    assert turns(book) == ["job_2"]


def test_the_line_agrees_with_sorting_it_whole() -> None:
    """The quick way to the next one finds the same as the slow way, whatever happens."""
    chance = random.Random(22)
    line, held = WaitingLine(aging=AGING), list[OwnerId]()
    mirror: dict[Holder, SlotRequest] = {}
    for step in range(2000):
        now = NOW + timedelta(seconds=step)
        owner = OwnerId(f"owner_{chance.randrange(8)}")
        match chance.randrange(4):
            case 0 | 1:
                request = a_slot_request(
                    f"job_{chance.randrange(200)}",
                    owner=owner,
                    priority=chance.choice(LEVELS),
                    submitted_at=now - timedelta(minutes=chance.randrange(40)),
                )
                line.join(request)
                mirror[request.holder] = request
            case 2 if mirror:
                gone = chance.choice(list(mirror))
                line.leave(gone)
                del mirror[gone]
            case _:
                if held and chance.random() < 0.5:
                    line.yield_slot(held.pop(chance.randrange(len(held))))
                else:
                    line.hold(owner)
                    held.append(owner)

        expected = first_by_the_rule(mirror.values(), held=held, now=now, owner_limit=3)
        assert line.next(now, owner_limit=3) == expected


def test_five_thousand_owners_wait_without_slowing_the_queue() -> None:
    """A grant looks at those at work and at the front, not at everybody who waits."""
    book = a_book(
        *(
            a_slot_request(
                f"job_{number:04d}",
                owner=OwnerId(f"owner_{number:04d}"),
                submitted_at=NOW + number * timedelta(milliseconds=1),
            )
            for number in range(5000)
        ),
        concurrency=1,
    )
    began = time.process_time()

    order = turns(book)

    assert order == sorted(order)
    assert len(order) == 5000
    assert time.process_time() - began < 5  # looking at all of them each time takes minutes
