"""Where the next page of a list begins: opaque to callers, a row's place to us."""

import base64
import binascii
from datetime import datetime

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.dead_letters import LetterPlace, LetterRecord
from darkroom.domain.job import JobId
from gateway.errors import invalid
from gateway.faults import Fault
from gateway.reading import JOB_ID

HIGHEST_NUMBER = 2**31 - 1  # of a database's whole numbers


def cursor_after(last: JobRecord) -> str:
    """Write the place behind a page's last job."""
    return _written(last.start.submitted_at.isoformat(), last.start.job_id)


def place_of(cursor: str) -> tuple[datetime, JobId]:
    """Read what `cursor_after` wrote.

    Raises:
        Problem: somebody else wrote it.
    """
    at, job_id = _read(cursor, parts=2)
    return _moment(at), _job(job_id)


def cursor_after_letter(last: LetterRecord) -> str:
    """Write the place behind a page's last dead letter."""
    letter = last.letter
    return _written(letter.parked_at.isoformat(), letter.job_id, str(letter.run))


def letter_place_of(cursor: str) -> LetterPlace:
    """Read what `cursor_after_letter` wrote.

    Raises:
        Problem: somebody else wrote it.
    """
    at, job_id, run = _read(cursor, parts=3)
    return LetterPlace(parked_at=_moment(at), job_id=_job(job_id), run=_number(run))


def cursor_after_number(number: int) -> str:
    """Write the place behind a page's last numbered row."""
    return _written(str(number))


def number_of(cursor: str) -> int:
    """Read what `cursor_after_number` wrote.

    Raises:
        Problem: somebody else wrote it.
    """
    (number,) = _read(cursor, parts=1)
    return _number(number)


def _written(*parts: str) -> str:
    return base64.urlsafe_b64encode("|".join(parts).encode()).decode().rstrip("=")


def _read(cursor: str, *, parts: int) -> list[str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split("|")
    except (binascii.Error, ValueError) as unreadable:
        raise _refused() from unreadable
    if len(found) != parts:
        raise _refused()
    return found


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as unreadable:
        raise _refused() from unreadable
    if moment.tzinfo is None:
        raise _refused()
    return moment


def _job(text: str) -> JobId:
    if not JOB_ID.fullmatch(text):
        raise _refused()
    return JobId(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= HIGHEST_NUMBER):
        raise _refused()
    return int(text[:20])


def _refused() -> Exception:
    return invalid(
        [
            Fault(
                field="cursor",
                message="is not a cursor that a list gave",
                remedy="take nextCursor from the page before, or start without one",
            )
        ]
    )
