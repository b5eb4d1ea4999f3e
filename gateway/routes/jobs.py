"""`/v1/jobs`: submit, read, list and follow; what steers an open job stands in control.py."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.ports import JobFilter
from gateway import answers
from gateway.answers import answered
from gateway.conditional import is_known
from gateway.cursors import cursor_after, place_of
from gateway.deps import Calling, Gateway, Served
from gateway.live.messages import message_json
from gateway.queue_watch import is_in_line
from gateway.reading import recorded
from gateway.schemas import EventsQuery, JobBody, JobListQuery, Unasked
from gateway.submitting import submit
from gateway.wire import Json, images_json, job_json, summary_json

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], default_response_class=JSONResponse)


@router.post("", status_code=202, responses=answered(answers.JobRecord, 401, 413, 429, status=202))
async def create_job(
    gateway: Served,
    caller: Calling,
    body: JobBody,
    _query: Unasked,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Start an image job; with an Idempotency-Key, at most once."""
    taken = await submit(gateway, caller.owner, body, idempotency_key=idempotency_key)
    headers = {"Location": f"/v1/jobs/{taken.record.start.job_id}"}
    if taken.is_replay:
        headers["Idempotency-Replayed"] = "true"
    return JSONResponse(job_json(taken.record), status_code=202, headers=headers)


@router.get("", responses=answered(answers.JobsPage, 401))
async def list_jobs(
    gateway: Served, caller: Calling, query: Annotated[JobListQuery, Query()]
) -> Response:
    """List the caller's jobs, newest first."""
    label, _, value = (query.label or "").partition(":")
    wanted = JobFilter(
        owner=caller.owner,
        state=query.status,
        kind=query.type,
        priority=query.priority,
        label=(label, value) if query.label else None,
        before=place_of(query.cursor) if query.cursor else None,
    )
    found = await gateway.store.jobs(wanted, limit=query.limit + 1)
    page = found[: query.limit]
    places = await gateway.queue.places_of(page)
    following = cursor_after(page[-1]) if len(found) > len(page) else None
    asked = query.model_dump(mode="json", exclude_unset=True) | {"cursor": following}
    return JSONResponse(
        {
            "jobs": [
                summary_json(recorded(row), place=places.get(row.start.job_id)) for row in page
            ],
            "nextCursor": following,
        },
        headers=_link("/v1/jobs", asked) if following else None,
    )


@router.get("/{job_id}", responses=answered(answers.JobRecord, 401, 404))
async def read_job(
    request: Request, job_id: str, gateway: Served, caller: Calling, _query: Unasked
) -> Response:
    """Read one job; its ETag is the number of its last event."""
    record = await gateway.reader.record(job_id, caller.sees)
    etag = f'"{record.snapshot.seq}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    # A place in line moves without an event.
    if not is_in_line(record) and is_known(etag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return JSONResponse(await whole(gateway, record), headers=headers)


@router.get("/{job_id}/events", responses=answered(answers.EventsPage, 401, 404))
async def read_events(
    job_id: str, gateway: Served, caller: Calling, query: Annotated[EventsQuery, Query()]
) -> Response:
    """Read the job's log after a number: the messages that sockets get, in order."""
    record = await gateway.reader.record(job_id, caller.sees)
    known = record.start.job_id
    events = await gateway.outbox.events_after(known, query.after, limit=query.limit)
    last = events[-1].seq if events else query.after
    has_more = last < record.snapshot.seq and len(events) == query.limit
    following = {"after": last, "limit": query.limit}
    return JSONResponse(
        {
            "events": [message_json(known, event) for event in events],
            "lastSeq": last,
            "hasMore": has_more,
        },
        headers=_link(f"/v1/jobs/{known}/events", following) if has_more else None,
    )


@router.get("/{job_id}/images", responses=answered(answers.PicturesPage, 401, 404))
async def read_images(job_id: str, gateway: Served, caller: Calling, _query: Unasked) -> Response:
    """List the pictures a job has so far, in the order of its items."""
    record = await gateway.reader.record(job_id, caller.sees)
    return JSONResponse({"images": images_json(record.items)})


async def whole(gateway: Gateway, record: JobRecord) -> Json:
    """Write a job with all there is to tell of it."""
    closing = await gateway.reader.closing(record)
    place = await gateway.queue.place_of(record)
    return job_json(record, closing=closing, place=place)


def _link(path: str, asked: Json) -> dict[str, str]:
    return {"Link": f'<{path}?{urlencode(asked)}>; rel="next"'}
