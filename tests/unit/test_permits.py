"""What a held call tells its job, and whose turn a free place is."""

from datetime import timedelta

import pytest

from darkroom.domain.errors import Disposition
from darkroom.domain.permits import (
    ASK_AGAIN,
    PROVIDER_BUSY,
    PROVIDER_PARKED,
    WANTED_WITHIN,
    Held,
    Use,
    held_failure,
    holding,
    longest,
)
from tests.support.builders import NOW

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("used", "ahead", "is_held"),
    [(0, 0, False), (4, 0, False), (5, 0, True), (6, 0, True), (3, 1, False), (3, 2, True)],
)
def test_free_places_belong_to_older_calls_first(used: int, ahead: int, is_held: bool) -> None:  # noqa: FBT001 -- the last column of the table
    """A call passes when more places are free than older calls wait for."""
    use = Use(what="calls at once", limit=5, used=used)

    assert (holding("nanobanana", use, ahead=ahead) is not None) is is_held


def test_what_holds_longest_decides() -> None:
    """A limit without a date may give way at any moment; a dated one does not."""
    soon = Held(code=PROVIDER_BUSY, why="soon", until=NOW)
    late = Held(code=PROVIDER_BUSY, why="late", until=NOW + SECOND)
    undated = Held(code=PROVIDER_BUSY, why="undated")

    assert longest([None, undated, soon, late]) == late
    assert longest([None, undated]) == undated
    assert longest([None]) is None


@pytest.mark.parametrize(
    ("held", "retry_after"),
    [
        (Held(code=PROVIDER_BUSY, why="", until=NOW + timedelta(hours=1)), timedelta(hours=1)),
        (Held(code=PROVIDER_BUSY, why="", until=NOW - SECOND), ASK_AGAIN),
        (Held(code=PROVIDER_BUSY, why=""), ASK_AGAIN),
        (Held(code=PROVIDER_PARKED, why="", until=NOW + timedelta(hours=1)), timedelta(hours=1)),
        (Held(code=PROVIDER_PARKED, why=""), None),
    ],
)
def test_a_job_hears_when_to_come_back(held: Held, retry_after: timedelta | None) -> None:
    """A wait that spends nothing; only an operator's gate has no end."""
    failure = held_failure(held, provider="nanobanana", model="m", now=NOW)

    assert (failure.code, failure.disposition) == (held.code, Disposition.WAIT)
    assert (failure.provider, failure.model) == ("nanobanana", "m")
    assert failure.retry_after == retry_after


def test_a_job_that_comes_back_still_has_its_place() -> None:
    """The wait between two attempts is shorter than what a place in line lasts."""
    assert 2 * ASK_AGAIN < WANTED_WITHIN
