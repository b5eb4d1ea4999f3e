"""Domain values as JSON, exactly as spec section 9 writes them: camelCase, money, times."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from darkroom.domain.admission import Place
from darkroom.domain.checkpoint import JobRecord, JobSnapshot
from darkroom.domain.errors import Failure
from darkroom.domain.events import ImageError, ImageResult, JobResult, Statistics
from darkroom.domain.items import Item, StoredPicture
from darkroom.domain.job import Combination, JobId, JobStart
from darkroom.domain.ledger import Cost
from darkroom.domain.lifecycle import JobState, Waiting
from darkroom.domain.ports import ProductFile
from darkroom.domain.stages import TOTAL_PERCENT, Progress
from gateway.quotes import CancelQuote
from gateway.request_wire import Json, request_json

CURRENCY = "USD"


def time_text(at: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with milliseconds and Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pending_record(start: JobStart) -> JobRecord:
    """Build the record of a job that was just accepted, from its start alone.

    Its first event, `job_submitted`, has the number 1 by construction.
    """
    snapshot = JobSnapshot(
        run=start.expected_run + 1,
        seq=1,
        state=JobState.PENDING,
        progress=Progress(total=start.request.picture_count),
        cost=Cost(estimated_micros=start.plans.estimated_micros),
    )
    return JobRecord(start=start, snapshot=snapshot)


def retried_record(record: JobRecord, start: JobStart) -> JobRecord:
    """Build the record of a job whose next run was just started and has not claimed it yet."""
    snapshot = replace(
        record.snapshot,
        run=start.expected_run + 1,
        state=JobState.PENDING,
        waiting=None,
        outcome=None,
        failure=None,
        completed_at=None,
    )
    return JobRecord(start=start, snapshot=snapshot, items=record.items)


def job_json(
    record: JobRecord, *, closing: JobResult | None = None, place: Place | None = None
) -> Json:
    """Write a whole job record.

    Args:
        record: with its items.
        closing: the result its last event named, once it is over.
        place: in line for a slot, while it stands there and the pool answers.
    """
    result = {
        "images": images_json(record.items),
        "errors": _errors_json(record),
        "statistics": closing and _statistics_json(closing.statistics),
    }
    combinations = unique_combinations(record)
    return {**summary_json(record, combinations=combinations, place=place), "result": result}


def summary_json(
    record: JobRecord, *, combinations: Iterable[Combination] = (), place: Place | None = None
) -> Json:
    """Write a job record without its result, as lists show it."""
    start, snapshot = record.start, record.snapshot
    return {
        "id": start.job_id,
        "type": start.request.kind,
        "status": snapshot.state,
        "priority": snapshot.priority or start.request.priority,
        "data": {
            "userId": start.owner,
            "combinations": [dict(combination) for combination in combinations],
            "parameters": request_json(start.request),
            "files": list(start.request.product),
        },
        "progress": progress_json(snapshot.progress),
        "waiting": waiting_json(snapshot.waiting, place=place),
        "outcome": snapshot.outcome,
        "error": snapshot.failure and failure_json(snapshot.failure),
        "cost": cost_json(snapshot.cost),
        "owner": start.owner,
        "labels": start.request.labels,
        "run": snapshot.run,
        "seq": snapshot.seq,
        "retryCount": max(0, snapshot.run - 1),
        "maxRetries": start.plans.generate.max_retries,
        "createdAt": time_text(start.submitted_at),
        "startedAt": _maybe_time(snapshot.started_at),
        "completedAt": _maybe_time(snapshot.completed_at),
    }


def unique_combinations(record: JobRecord) -> tuple[Combination, ...]:
    """List the chosen combinations in order; before the choice, those the caller named."""
    chosen = dict.fromkeys(item.combination for item in record.items)
    return tuple(chosen) or record.start.request.combinations


def progress_json(progress: Progress) -> Json:
    """Write progress; a client of the brief divides `current` by `total`."""
    return {
        "current": progress.percent,
        "total": TOTAL_PERCENT,
        "stage": progress.stage,
        "message": progress.message,
        "images": {"done": progress.done, "failed": progress.failed, "total": progress.total},
    }


def waiting_json(waiting: Waiting | None, *, place: Place | None = None) -> Json | None:
    """Write why a job stands still, and where in line, if that is known."""
    if waiting is None:
        return None
    written: Json = {"on": waiting.on, "since": time_text(waiting.since), "why": waiting.why}
    return written if place is None else written | place_json(place)


def place_json(place: Place) -> Json:
    """Write a place in line; without times while nobody can tell."""
    times = {
        "etaP50Seconds": place.eta_p50_seconds,
        "etaP90Seconds": place.eta_p90_seconds,
    }
    known = {name: seconds for name, seconds in times.items() if seconds is not None}
    return {"position": place.position, **known, "why": place.why}


def money_json(micros: int) -> Json:
    """Write an amount in micro-units."""
    return {"amountMicros": micros, "currency": CURRENCY}


def cost_json(cost: Cost) -> Json:
    """Write what a job costs."""
    return {
        "estimated": money_json(cost.estimated_micros),
        "spent": money_json(cost.spent_micros),
        "unknown": money_json(cost.unknown_micros),
    }


def failure_json(failure: Failure) -> Json:
    """Write a classified failure."""
    return {
        "code": failure.code,
        "message": failure.message,
        "provider": failure.provider,
        "disposition": failure.disposition,
        "billing": failure.billing,
    }


def result_json(result: JobResult) -> Json:
    """Write what a closed job delivered, as its last event tells it."""
    return {
        "outcome": result.outcome,
        "images": [_image_json(image) for image in result.images],
        "errors": [_error_json(error) for error in result.errors],
        "statistics": _statistics_json(result.statistics),
    }


def picture_json(picture: StoredPicture) -> Json:
    """Write a stored picture and where to fetch it."""
    return {
        "sha256": picture.sha256,
        "thumbnailSha256": picture.thumbnail_sha256,
        "mediaType": picture.media_type,
        "width": picture.width,
        "height": picture.height,
        "sizeBytes": picture.size_bytes,
        **_addresses(picture.sha256),
    }


def images_json(items: Iterable[Item]) -> list[Json]:
    """Write the stored pictures among a job's items, with what each shows."""
    return [
        {
            "item": item.key,
            "combination": dict(item.combination),
            "variant": item.variant or None,
            "take": item.take,
            **picture_json(item.picture),
        }
        for item in items
        if item.picture is not None
    ]


def quote_json(job_id: JobId, quote: CancelQuote) -> Json:
    """Write what a cancel would bill and save."""
    return {
        "jobId": job_id,
        "mode": quote.mode,
        "wouldBill": money_json(quote.bills_micros),
        "wouldSave": money_json(quote.saves_micros),
        "unknown": money_json(quote.unknown_micros),
        "abandoned": money_json(quote.abandoned_micros),
        "images": {
            "kept": quote.kept,
            "inFlight": quote.in_flight,
            "unknown": quote.unknown,
            "notMade": quote.not_made,
        },
    }


def file_json(file: ProductFile) -> Json:
    """Write what is known of an uploaded product photo."""
    return {
        "id": file.file_id,
        "sha256": file.sha256,
        "mediaType": file.media_type,
        "width": file.width,
        "height": file.height,
        "sizeBytes": file.size_bytes,
        "createdAt": time_text(file.created_at),
        "url": f"/v1/files/{file.file_id}/content",
    }


def _errors_json(record: JobRecord) -> list[Json]:
    """Write why pictures are missing; an error without an item ended the whole job."""
    failures = {item.key: item.failure for item in record.items if item.failure is not None}
    errors: list[Json] = [{"item": key, **failure_json(one)} for key, one in failures.items()]
    if record.snapshot.failure is not None:
        errors.append({"item": None, **failure_json(record.snapshot.failure)})
    return errors


def _image_json(image: ImageResult) -> Json:
    return {
        "item": image.item,
        "sha256": image.sha256,
        "thumbnailSha256": image.thumbnail_sha256,
        "mediaType": image.media_type,
        "width": image.width,
        "height": image.height,
        **_addresses(image.sha256),
    }


def _error_json(error: ImageError) -> Json:
    return {"item": error.item, "code": error.code, "message": error.message}


def _statistics_json(statistics: Statistics) -> Json:
    return {
        "pictures": statistics.pictures,
        "failed": statistics.failed,
        "attemptsFailed": statistics.attempts_failed,
        "processingSeconds": round(statistics.processing_seconds),
        "spent": money_json(statistics.spent_micros),
        "unknown": money_json(statistics.unknown_micros),
    }


def _addresses(sha256: str) -> Json:
    return {
        "url": f"/v1/images/{sha256}",
        "thumbnailUrl": f"/v1/images/{sha256}?size=thumb",
    }


def _maybe_time(at: datetime | None) -> str | None:
    return None if at is None else time_text(at)
