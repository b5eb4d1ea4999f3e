"""Every waiting job is told its place, when its turn may come, and why it waits."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from darkroom.domain.admission import QueueTerms, SlotGrant
from darkroom.domain.job import JobId, OwnerId, Priority
from darkroom.domain.queue_forecast import QueueForecast
from darkroom.domain.slot_book import SlotBook
from tests.support.builders import BOB, NOW
from tests.support.queueing import (
    AGING,
    a_book,
    a_slot_request,
    give_back,
    grants,
    names,
)

MINUTE = timedelta(minutes=1)


def a_queue(waiting: int, *, at_work: int = 2, holds: tuple[int, ...] = (60,)) -> SlotBook:
    """Fill the slots just now, have others wait, and remember how long holds took (seconds)."""
    book = a_book(
        *(a_slot_request(f"at_work_{number}") for number in range(at_work)), concurrency=at_work
    )
    grants(book)
    for number in range(waiting):
        later = number * timedelta(milliseconds=1)
        book.request(a_slot_request(f"waits_{number}", submitted_at=NOW + later))
    book.holds.extend(timedelta(seconds=hold) for hold in holds)
    return book


def etas(book: SlotBook, name: str) -> tuple[int | None, int | None]:
    """Foresee a job's turn: the middle, and what nine of ten keep to."""
    place = QueueForecast(book, now=NOW).place(JobId(name))
    assert place
    return place.eta_p50_seconds, place.eta_p90_seconds


def why(book: SlotBook, name: str, *, is_counting: bool = False) -> str:
    """Foresee what a job is told."""
    place = QueueForecast(book, now=NOW, is_counting=is_counting).place(JobId(name))
    assert place
    return place.why


def test_positions_are_the_order_of_turns() -> None:
    """The line played forward is what happens when it is played for real."""
    book = a_book(concurrency=2)
    for number in range(12):
        owner = OwnerId(f"owner_{number % 3}")
        priority = list(Priority)[number % 2]
        book.request(a_slot_request(f"job_{number}", owner=owner, priority=priority))
    at_work = grants(book)
    view = QueueForecast(book, now=NOW).view(limit=100)
    foreseen = [job.job_id for job in view.waiting]

    real: list[str] = []
    while at_work:
        give_back(book, at_work.pop(0))
        granted = grants(book)
        real += names(granted)
        at_work += granted

    assert [job.place.position for job in view.waiting] == list(range(1, 11))
    assert foreseen == real


def test_a_turn_comes_after_as_many_holds_as_are_before_it() -> None:
    """Two slots that were taken just now, a minute each: two turns a minute."""
    book = a_queue(4)

    assert [etas(book, f"waits_{number}")[0] for number in range(4)] == [60, 60, 120, 120]


def test_holds_that_began_earlier_end_earlier() -> None:
    """What a holder has used of its time counts."""
    book = a_book(a_slot_request("at_work"), concurrency=1)
    grants(book, now=NOW - timedelta(seconds=45))
    book.request(a_slot_request("waits"))
    book.holds.append(MINUTE)

    assert etas(book, "waits")[0] == 15


def test_a_holder_that_is_overdue_is_given_a_little_longer() -> None:
    """A turn is never foreseen in the past, nor at once."""
    book = a_book(a_slot_request("at_work"), concurrency=1)
    grants(book, now=NOW - 60 * MINUTE)
    book.request(a_slot_request("waits"))
    book.holds.append(MINUTE)

    assert etas(book, "waits")[0] == 15


def test_the_band_grows_with_how_much_holds_differ_and_how_many_there_are() -> None:
    """Certain holds give a point; uncertain ones a band, wider further back."""
    even, uneven = a_queue(4, holds=(60, 60)), a_queue(4, holds=(30, 90))

    assert etas(even, "waits_3") == (120, 120)
    first, last = etas(uneven, "waits_0"), etas(uneven, "waits_3")
    assert first == (60, 99)
    assert last == (120, 175)


def test_without_a_hold_so_far_no_time_is_told() -> None:
    """A place is known all the same."""
    place = QueueForecast(a_queue(1, holds=()), now=NOW).place(JobId("waits_0"))

    assert place
    assert (place.position, place.eta_p50_seconds, place.eta_p90_seconds) == (1, None, None)


def test_a_paused_queue_tells_no_time() -> None:
    """Nobody knows when it is resumed."""
    book = a_queue(1)
    book.terms = replace(book.terms, is_paused=True)

    assert etas(book, "waits_0") == (None, None)
    assert "an operator resumes it" in why(book, "waits_0")


def test_a_pool_that_counts_says_so() -> None:
    """It lasts a moment, and is not the caller's doing."""
    assert "counts who is at work" in why(a_queue(1), "waits_0", is_counting=True)


def test_a_job_hears_how_many_are_before_it() -> None:
    """And how many slots there are."""
    book = a_queue(3)

    assert why(book, "waits_0") == "2 of 2 slots taken; this job is next"
    assert why(book, "waits_2") == "2 of 2 slots taken; 2 jobs in line before this one"


def test_a_job_hears_that_waiting_has_raised_it() -> None:
    """So that an order which does not follow the asked priorities explains itself."""
    book = a_queue(0)
    old = NOW - AGING - MINUTE
    book.request(a_slot_request("old", priority=Priority.LOW, submitted_at=old))

    assert why(book, "old").endswith("which after 11 minutes of waiting counts as normal")


def test_a_job_hears_that_its_owner_is_at_the_cap() -> None:
    """A free slot beside it would look like a fault otherwise."""
    book = a_queue(1, at_work=2)
    book.terms = QueueTerms(concurrency=5, owner_limit=2)

    assert "as many as one owner may have" in why(book, "waits_0")


def test_a_job_that_does_not_wait_has_no_place() -> None:
    """At work, or not known."""
    forecast = QueueForecast(a_queue(1), now=NOW)

    assert forecast.place(JobId("at_work_0")) is None
    assert forecast.place(JobId("nobody")) is None


def test_a_slot_that_is_kept_for_the_dead_comes_free_when_it_says() -> None:
    """Not after another whole hold."""
    book = a_book(a_slot_request("dead"), concurrency=1)
    (grant,) = grants(book)
    book.request(a_slot_request("waits"))
    book.holds.append(MINUTE)

    book.closed(grant.holder, at=NOW - timedelta(seconds=5))

    assert etas(book, "waits")[0] == (book.plan.grace - timedelta(seconds=5)).seconds


@pytest.mark.parametrize(("limit", "listed"), [(2, 2), (0, 0), (-1, 0), (99, 5)])
def test_the_view_lists_as_many_as_are_asked_for(limit: int, listed: int) -> None:
    """And counts all of them."""
    book = a_queue(4)
    book.request(a_slot_request("bob", owner=BOB, priority=Priority.HIGH))

    view = QueueForecast(book, now=NOW).view(limit=limit)

    assert len(view.waiting) == listed
    assert view.waiting_count == 5
    assert view.waiting_by_priority == {Priority.NORMAL: 4, Priority.HIGH: 1}
    assert [job.job_id for job in view.working] == ["at_work_0", "at_work_1"]


def test_thousands_are_foreseen_quickly() -> None:
    """It is asked by every caller that looks, and holds up the pool meanwhile."""
    book = a_queue(5000)
    began = time.process_time()

    place = QueueForecast(book, now=NOW).place(JobId("waits_4999"))

    assert place
    assert place.position == 5000
    assert time.process_time() - began < 1  # 0.1 s on an idle machine


def test_a_grant_of_the_only_slot_is_foreseen_at_once() -> None:
    """A free slot needs no hold to end."""
    book = a_book(a_slot_request("waits"), concurrency=1)
    book.holds.append(MINUTE)

    assert etas(book, "waits") == (0, 0)
    assert isinstance(book.grant("token", now=NOW), SlotGrant)
