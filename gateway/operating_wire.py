"""The queue and the gates of providers as JSON, as operators read them."""

from datetime import datetime

from darkroom.domain.admission import QueueTerms, QueueView, WaitingJob, WorkingJob
from darkroom.domain.breakers import Gate
from darkroom.domain.parking import GateView
from darkroom.domain.permits import CallLimits
from gateway.request_wire import Json
from gateway.wire import failure_json, place_json, time_text


def terms_json(terms: QueueTerms, *, max_pending: int) -> Json:
    """Write how many may work."""
    return {
        "concurrency": terms.concurrency,
        "ownerLimit": terms.owner_limit,
        "maxPending": max_pending,
        "paused": terms.is_paused,
        "draining": terms.is_draining,
        "changedAt": _maybe_time(terms.changed_at),
        "changedBy": terms.changed_by or None,
    }


def queue_json(view: QueueView, *, max_pending: int) -> Json:
    """Write the whole queue."""
    return {
        **terms_json(view.terms, max_pending=max_pending),
        "counting": view.is_counting,
        "working": [_working_json(job) for job in view.working],
        "waiting": {
            "count": view.waiting_count,
            "byPriority": view.waiting_by_priority,
            "byOwner": view.waiting_by_owner,
            "oldestSubmittedAt": _maybe_time(view.oldest_submitted_at),
            "jobs": [_waiting_json(job) for job in view.waiting],
        },
    }


def gate_json(gate: Gate, view: GateView | None, limits: CallLimits) -> Json:
    """Write a gate; without the view of its workflow, who is parked is not known."""
    return {
        "provider": gate.key.provider,
        "model": gate.key.model,
        "state": gate.state,
        "failures": gate.failures,
        "trips": gate.trips,
        "openedAt": _maybe_time(gate.opened_at),
        "until": _maybe_time(gate.until),
        "canary": gate.canary,
        "by": gate.by or None,
        "error": gate.failure and failure_json(gate.failure),
        "limits": {
            "concurrency": limits.concurrency,
            "perMinute": limits.per_minute,
            "perHour": limits.per_hour,
        },
        "parkedCount": view and view.parked_count,
        "parked": [
            {"jobId": order.workflow_id, "since": time_text(order.parked_at)}
            for order in (view.parked if view else ())
        ],
    }


def _working_json(job: WorkingJob) -> Json:
    return {
        "jobId": job.job_id,
        "owner": job.owner,
        "since": time_text(job.granted_at),
        "silent": job.is_silent,
        "freeAt": _maybe_time(job.free_at),
    }


def _waiting_json(job: WaitingJob) -> Json:
    return {
        "jobId": job.job_id,
        "owner": job.owner,
        "priority": job.priority,
        "effectivePriority": job.effective_priority,
        "submittedAt": time_text(job.submitted_at),
        **place_json(job.place),
    }


def _maybe_time(at: datetime | None) -> str | None:
    return at and time_text(at)
