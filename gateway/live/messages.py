"""One event of the log as one message: the same on every socket, page and gateway."""

from typing import Any, assert_never

from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.job import JobId
from gateway.wire import (
    Json,
    failure_json,
    picture_json,
    progress_json,
    result_json,
    time_text,
    waiting_json,
)

JOB_UPDATE = "JOB_UPDATE"
JOB_PROGRESS = "JOB_PROGRESS"
JOB_COMPLETED = "JOB_COMPLETED"
JOB_ERROR = "JOB_ERROR"


def socket_event(message: Json) -> str:
    """Name the Socket.IO event that carries a message: its type in lower case."""
    return str(message["type"]).lower()


def message_json(job_id: JobId, event: JobEvent) -> Json:
    """Write an event as the message clients get."""
    message_type = type_of(event.kind)
    return {
        "jobId": job_id,
        "seq": event.seq,
        "type": message_type,
        "timestamp": time_text(event.at),
        "data": _body(message_type, job_id, event),
    }


def type_of(kind: EventKind) -> str:
    """Choose the brief's message type for an event."""
    match kind:
        case (
            EventKind.STAGE_STARTED
            | EventKind.STAGE_FINISHED
            | EventKind.PROMPT_ENHANCED
            | EventKind.IMAGE_STORED
        ):
            return JOB_PROGRESS
        case EventKind.JOB_COMPLETED:
            return JOB_COMPLETED
        case EventKind.IMAGE_FAILED | EventKind.JOB_FAILED:
            return JOB_ERROR
        case (
            EventKind.JOB_SUBMITTED
            | EventKind.JOB_STARTED
            | EventKind.ATTEMPT_FAILED
            | EventKind.JOB_WAITING
            | EventKind.JOB_RESUMED
            | EventKind.JOB_PAUSED
            | EventKind.JOB_STOPPING
            | EventKind.PRIORITY_CHANGED
            | EventKind.ORDER_REFUSED
            | EventKind.IMAGE_UNKNOWN
            | EventKind.IMAGE_DECIDED
            | EventKind.JOB_CANCELLED
            | EventKind.JOB_RETRIED
        ):
            return JOB_UPDATE
    assert_never(kind)


def _body(message_type: str, job_id: JobId, event: JobEvent) -> Json:
    result = result_json(event.result) if event.result else None
    match message_type:
        case "JOB_PROGRESS":
            return {"progress": progress_json(event.progress), "event": _event(event)}
        case "JOB_COMPLETED":
            return {"result": result, "job": _job(job_id, event)}
        case "JOB_ERROR":
            is_fatal = event.kind is EventKind.JOB_FAILED
            error = {"item": event.item, **_failure(event)}
            return {"error": error, "fatal": is_fatal, "job": _job(job_id, event)}
        case _:
            return {"event": _event(event), "job": _job(job_id, event)}


def _job(job_id: JobId, event: JobEvent) -> Json:
    """Write what an event says of its job: the fields of the record that it may move."""
    return {
        "id": job_id,
        "status": event.state,
        "run": event.run,
        "seq": event.seq,
        "progress": progress_json(event.progress),
        "waiting": waiting_json(event.waiting),
    }


def _event(event: JobEvent) -> Json:
    """Write the fact itself, without the fields it does not have."""
    facts: dict[str, Any] = {
        "stage": event.stage,
        "item": event.item,
        "attempt": event.attempt,
        "nextTryAt": event.next_try_at and time_text(event.next_try_at),
        "error": event.failure and failure_json(event.failure),
        "image": event.picture and picture_json(event.picture),
        "waiting": waiting_json(event.waiting),
        "result": event.result and result_json(event.result),
        "by": event.by,
        "note": event.note,
    }
    return {"kind": event.kind} | {name: fact for name, fact in facts.items() if fact is not None}


def _failure(event: JobEvent) -> Json:
    if event.failure is not None:
        return failure_json(event.failure)
    return {"code": "internal", "message": f"{event.kind} without a reason"}
