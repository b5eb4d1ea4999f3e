"""The books of the pool: what changes them, what does not, and how they travel."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from darkroom.domain.admission import (
    MOST_SLOTS,
    NO_OWNER_LIMIT,
    QueueChange,
    QueueTerms,
    SlotClaim,
    SlotRelease,
    changed,
    check_change,
)
from darkroom.domain.job import OwnerId
from darkroom.domain.slot_book import BookState, Held, SlotBook, Stock, packed, unpacked
from tests.support.builders import ADA, BOB, NOW
from tests.support.queueing import a_book, a_holder, a_slot_request, give_back, grants, names

STATE = TypeAdapter(BookState)
PAYLOAD_BYTES = 2 * 1024 * 1024  # Temporal refuses a larger one; temporal.md 6
TOKEN = "token-0-0"
MOST_PENDING = 10_000  # the upper bound of QUEUE_MAX_PENDING


def a_held(name: str = "job_1", *, token: str | None = TOKEN) -> Held:
    """Hold a slot since now; without a token, silently."""
    return Held(holder=a_holder(name), owner=ADA, granted_at=NOW, token=token)


def test_the_books_travel_with_everything_in_them() -> None:
    """Terms, holders, the line to the microsecond, and how long holds took."""
    book = a_book(*(a_slot_request(f"job_{number}") for number in range(4)), concurrency=2)
    precise = datetime(2026, 3, 14, 15, 9, 26, 535_897, tzinfo=UTC)
    book.request(a_slot_request("precise", owner=BOB, submitted_at=precise))
    first, second = grants(book)
    give_back(book, first, now=NOW + timedelta(seconds=2.5))
    book.closed(second.holder, at=NOW)

    opened = SlotBook.opened(STATE.validate_json(STATE.dump_json(book.state())))

    assert opened.state() == book.state()
    assert sorted(opened.line, key=str) == sorted(book.line, key=str)
    assert list(opened.holds) == [timedelta(seconds=2.5)]


def test_as_many_as_may_wait_fit_into_one_payload() -> None:
    """Continue-as-new hands the whole line on."""
    requests = [
        a_slot_request(
            f"job_{number:026d}", owner=OwnerId(f"owner-of-some-length-{number % 100:04d}")
        )
        for number in range(MOST_PENDING)
    ]
    long_ids = [
        replace(request, holder=replace(request.holder, first_run_id="r" * 36))
        for request in requests
    ]

    state = a_book(*long_ids).state()

    assert len(STATE.dump_json(state)) < PAYLOAD_BYTES / 2


def test_the_line_is_packed_without_loss() -> None:
    """By owner and priority; the order in between is of no importance."""
    requests = [a_slot_request("a"), a_slot_request("b", owner=BOB), a_slot_request("c")]

    assert sorted(unpacked(packed(requests)), key=str) == sorted(requests, key=str)


def test_a_holder_that_asks_is_told_again() -> None:
    """Its grant may have been lost on the way; it is the same slot."""
    book = a_book(a_slot_request())
    (grant,) = grants(book)

    assert book.request(a_slot_request()) == grant
    assert len(book.held) == 1


def test_a_holder_that_asks_is_alive() -> None:
    """An operator has reset a job that was found dead: its slot does not expire under it."""
    book = a_book(a_slot_request())
    (grant,) = grants(book)
    book.closed(grant.holder, at=NOW)

    book.request(a_slot_request())
    book.expire(NOW + timedelta(days=1))

    assert [held.holder for held in book.held] == [grant.holder]


@pytest.mark.parametrize("token", ["another", None])
def test_a_holder_loses_its_slot_by_its_own_token_only(token: str | None) -> None:
    """A late word about an earlier slot, or about an earlier request, is none about this one."""
    book = a_book(a_slot_request())
    grants(book)

    book.release(SlotRelease(holder=a_holder(), token=token), now=NOW)

    assert len(book.held) == 1


def test_an_undelivered_grant_is_taken_back_once() -> None:
    """The holder may have been granted another slot since."""
    book = a_book(a_slot_request())
    (lost,) = grants(book)
    book.undelivered(lost)
    book.request(a_slot_request())
    (second,) = [book.grant("second", now=NOW)]

    book.undelivered(lost)

    assert second
    assert [held.token for held in book.held] == ["second"]


def test_a_silent_job_keeps_a_slot_until_it_answers() -> None:
    """It may be at work."""
    book = a_book(a_slot_request("waits", owner=BOB), concurrency=1)
    book.take_stock(Stock(holding=(a_held(token=None),), waiting={}), but_not=())
    assert not grants(book)

    book.answered(SlotClaim(request=a_slot_request(), is_waiting=True))

    assert names(grants(book)) == ["job_1"]
    assert len(book.line) == 1


def test_a_silent_job_that_asks_holds_nothing() -> None:
    """Whoever holds a slot does not ask for one."""
    book = a_book(concurrency=1)
    book.take_stock(Stock(holding=(a_held(token=None),), waiting={}), but_not=())

    assert book.request(a_slot_request()) is None

    assert names(grants(book)) == ["job_1"]


def test_a_census_does_not_overrule_what_jobs_said_since() -> None:
    """An answer may be older than the word that has overtaken it."""
    book = a_book(a_slot_request("asked"))
    said = (
        SlotRelease(holder=a_holder("gave_back"), token=TOKEN),
        SlotRelease(holder=a_holder("withdrew")),
        SlotRelease(holder=a_holder("spoke"), token="old"),
    )
    stock = Stock(
        holding=(a_held("gave_back"), a_held("spoke", token=None), a_held("holds")),
        waiting=packed([a_slot_request("withdrew"), a_slot_request("asked")]),
    )

    book.take_stock(stock, but_not=said)

    assert [held.holder.workflow_id for held in book.held] == ["holds"]
    assert [request.holder.workflow_id for request in book.line] == ["asked"]


def test_a_census_finds_that_a_job_in_line_holds_a_slot() -> None:
    """The pool before this one granted it after the job had asked this one."""
    book = a_book(a_slot_request())

    book.take_stock(Stock(holding=(a_held(),), waiting={}), but_not=())

    assert not len(book.line)
    assert len(book.held) == 1


def test_more_holders_than_slots_are_waited_for() -> None:
    """A census may find more than a limit that was lowered meanwhile allows."""
    book = a_book(a_slot_request("waits"), concurrency=2)
    holding = tuple(a_held(f"job_{number}", token=str(number)) for number in range(3))
    book.take_stock(Stock(holding=holding, waiting={}), but_not=())

    for number in range(2):
        assert not grants(book)
        book.release(SlotRelease(holder=a_holder(f"job_{number}"), token=str(number)), now=NOW)

    assert names(grants(book)) == ["waits"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (QueueChange(), "nothing to change"),
        (QueueChange(concurrency=0), "concurrency 0 is out of bounds; ask for 1 to 500"),
        (QueueChange(concurrency=MOST_SLOTS + 1), "out of bounds"),
        (QueueChange(owner_limit=-1), "0 to 500 (0 lifts it)"),
        (QueueChange(owner_limit=MOST_SLOTS + 1), "out of bounds"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: QueueChange, reason: str) -> None:
    """With what is wrong, and what may be asked."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        check_change(change)


def test_a_change_leaves_alone_what_it_does_not_name() -> None:
    """And says by whom and when."""
    terms = QueueTerms(concurrency=5, owner_limit=2)

    after = changed(terms, QueueChange(is_paused=True, by="ada"), at=NOW)

    assert after == replace(terms, is_paused=True, changed_at=NOW, changed_by="ada")
    assert changed(after, QueueChange(is_paused=True, by="bob"), at=NOW) == after


def test_the_owner_limit_can_be_lifted() -> None:
    """Naming none leaves it; naming 0 lifts it."""
    terms = QueueTerms(concurrency=5, owner_limit=2)

    assert changed(terms, QueueChange(concurrency=4), at=NOW).owner_limit == 2
    assert changed(terms, QueueChange(owner_limit=NO_OWNER_LIMIT), at=NOW).owner_limit is None


def test_changes_of_one_moment_are_told_apart() -> None:
    """Their moment is how the store knows one that is kept already."""
    first = changed(QueueTerms(concurrency=5), QueueChange(concurrency=4), at=NOW)
    second = changed(first, QueueChange(concurrency=3), at=NOW)

    assert first.changed_at == NOW
    assert second.changed_at == NOW + timedelta(microseconds=1)
