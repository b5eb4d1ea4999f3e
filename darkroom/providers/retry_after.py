"""How long a provider asks us to wait, in either form of the Retry-After header."""

from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(hours=1)  # who asks for more is asked again after this


def read_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read seconds, or the distance between two dates.

    A date is measured from the answer's own Date header, so no clock of ours has to agree with
    the provider's.

    Args:
        headers: of the answer; names in any case that the mapping understands.

    Returns:
        Zero to LONGEST_WAIT; None when nothing usable was said.
    """
    told = headers.get("retry-after", "").strip()
    if told.isascii() and told.isdecimal():
        return min(timedelta(seconds=min(int(told), 10**9)), LONGEST_WAIT)
    return _until(told, since=headers.get("date", ""))


def _until(moment: str, *, since: str) -> timedelta | None:
    try:
        wait = parsedate_to_datetime(moment) - parsedate_to_datetime(since)
    except (ValueError, TypeError):  # not a date, or only one of them names its zone
        return None
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
