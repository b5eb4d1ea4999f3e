"""Which jobs a list shows: each filter is answered from an index that ends in the list's order."""

from typing import Any

from sqlalchemy import Select, select, tuple_

from darkroom.domain.job import JobStart
from darkroom.domain.ports import JobFilter
from darkroom.store.rows import JOBS, LABELS


def listing(wanted: JobFilter) -> Select[Any]:
    """Select the rows of the jobs that answer the filter, newest first; the caller limits."""
    asked = {"state": wanted.state, "kind": wanted.kind, "priority": wanted.priority}
    matching = [JOBS.c[name] == value for name, value in asked.items() if value is not None]
    rows, place = select(JOBS), JOBS.c
    if wanted.label is None:
        owner, newest = place.owner, (place.submitted_at, place.id)
    else:
        name, value = wanted.label
        rows = rows.join(LABELS, LABELS.c.job_id == place.id)
        matching += [LABELS.c.name == name, LABELS.c.value == value]
        owner, newest = LABELS.c.owner, (LABELS.c.submitted_at, LABELS.c.job_id)
    if wanted.before is not None:
        matching.append(tuple_(*newest) < tuple_(*wanted.before))
    return rows.where(owner == wanted.owner, *matching).order_by(*(c.desc() for c in newest))


def label_values(start: JobStart) -> list[dict[str, Any]]:
    """Write a job's labels as rows."""
    return [
        {
            "job_id": start.job_id,
            "name": name,
            "value": value,
            "owner": start.owner,
            "submitted_at": start.submitted_at,
        }
        for name, value in start.request.labels.items()
    ]
