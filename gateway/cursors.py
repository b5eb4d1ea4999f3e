"""Where the next page of a list begins: opaque to callers, a row's place to us."""

import base64
import binascii
from datetime import datetime

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.job import JobId
from gateway.errors import invalid
from gateway.faults import Fault
from gateway.reading import JOB_ID


def cursor_after(last: JobRecord) -> str:
    """Write the place behind a page's last row."""
    place = f"{last.start.submitted_at.isoformat()}|{last.start.job_id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[datetime, JobId]:
    """Read what `cursor_after` wrote.

    Raises:
        Problem: somebody else wrote it.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        at, _, job_id = text.partition("|")
        moment = datetime.fromisoformat(at)
    except (binascii.Error, ValueError) as unreadable:
        raise _refused() from unreadable
    if moment.tzinfo is None or not JOB_ID.fullmatch(job_id):
        raise _refused()
    return moment, JobId(job_id)


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
