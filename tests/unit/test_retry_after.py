"""How long a provider's Retry-After asks us to wait."""

from datetime import timedelta

import httpx
import pytest

from darkroom.providers.retry_after import LONGEST_WAIT, read_retry_after

NOON = "Tue, 24 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("0", timedelta(0)),
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("99999999999999999999", LONGEST_WAIT),
        ("Tue, 24 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Tue, 24 Nov 2026 11:00:00 GMT", timedelta(0)),
        ("Wed, 25 Nov 2026 12:00:00 GMT", LONGEST_WAIT),
        ("Tue, 24 Nov 2026 13:00:30 +0100", timedelta(seconds=30)),
    ],
)
def test_seconds_and_dates_are_understood(told: str, wait: timedelta) -> None:
    """A date counts from the answer's own date, and no wait is longer than the longest."""
    headers = httpx.Headers({"Retry-After": told, "Date": NOON})

    assert read_retry_after(headers) == wait


@pytest.mark.parametrize("told", ["", "soon", "-5", "1.5", "٣", "24 Nov", "Tue, 99 Nov 2026"])
def test_what_cannot_be_read_is_not_believed(told: str) -> None:
    """The caller's own plan decides then."""
    assert read_retry_after({"retry-after": told, "date": NOON}) is None


def test_nothing_said_is_no_wait() -> None:
    """Most answers have no such header."""
    assert read_retry_after(httpx.Headers({"Date": NOON})) is None


def test_a_date_without_a_date_to_count_from_is_not_believed() -> None:
    """Our clock may differ from the provider's."""
    assert read_retry_after(httpx.Headers({"Retry-After": NOON})) is None
