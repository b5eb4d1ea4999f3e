"""Domain values as JSON: the exact words of the wire."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.events import (
    EventKind,
    ImageError,
    ImageResult,
    JobResult,
    Statistics,
)
from darkroom.domain.items import ItemState
from darkroom.domain.job import Priority
from darkroom.domain.ledger import Cost
from darkroom.domain.lifecycle import JobState, Outcome, Waiting, WaitingOn
from gateway.live.messages import message_json, socket_event, type_of
from gateway.wire import job_json, summary_json, time_text
from tests.support.builders import (
    JOB,
    NOW,
    a_failure,
    a_picture,
    a_snapshot,
    a_start,
    an_event,
    an_item,
)

RESULT = JobResult(
    outcome=Outcome.PARTIAL,
    images=(
        ImageResult(
            item="0001",
            sha256="a" * 64,
            thumbnail_sha256="b" * 64,
            media_type="image/png",
            width=1024,
            height=768,
        ),
    ),
    errors=(ImageError(item="0002", code="content_refused", message="refused; change it"),),
    statistics=Statistics(
        pictures=1,
        failed=1,
        attempts_failed=3,
        processing_seconds=12.6,
        spent_micros=20_000,
        unknown_micros=0,
    ),
)

# Source: the brief, "Job Data Structure".
BRIEF_FIELDS = {
    "id", "type", "status", "priority", "data", "progress", "result",
    "createdAt", "startedAt", "completedAt", "retryCount", "maxRetries",
}  # fmt: skip


def a_record() -> JobRecord:
    """A job with one picture stored and one given up."""
    return JobRecord(
        start=a_start(),
        snapshot=a_snapshot(
            7,
            run=3,
            cost=Cost(estimated_micros=40, spent_micros=30, unknown_micros=20),
            waiting=Waiting(on=WaitingOn.PROVIDER, since=NOW, why="nanobanana is down"),
        ),
        items=(
            an_item(state=ItemState.STORED, picture=a_picture()),
            an_item(key="0002", state=ItemState.FAILED, failure=a_failure()),
        ),
    )


def test_job_record_has_every_field_of_the_brief_and_nothing_in_snake_case() -> None:
    """A client of the brief finds what it knows."""
    written = job_json(a_record())

    assert written.keys() >= BRIEF_FIELDS
    assert all("_" not in name for name in written)
    assert written["data"].keys() == {"userId", "combinations", "parameters", "files"}
    assert written["progress"].keys() == {"current", "total", "stage", "message", "images"}
    assert written["result"].keys() == {"images", "errors", "statistics"}


def test_job_record_says_what_happened_so_far() -> None:
    """Pictures, failures, money, waiting and runs are in the record."""
    written = job_json(a_record())

    assert written["retryCount"] == 2
    assert written["seq"] == 7
    assert written["cost"]["unknown"] == {"amountMicros": 20, "currency": "USD"}
    assert written["waiting"]["on"] == "provider"
    assert written["result"]["images"][0]["url"] == f"/v1/images/{'a' * 64}"
    assert written["result"]["images"][0]["combination"] == {
        "timeOfDay": "noon",
        "weather": "sunny",
    }
    assert written["result"]["errors"][0]["item"] == "0002"
    assert written["data"]["combinations"] == [{"timeOfDay": "noon", "weather": "sunny"}]


def test_failed_job_names_the_failure_that_ended_it() -> None:
    """A failure without an item ended the whole job."""
    snapshot = a_snapshot(state=JobState.FAILED, failure=a_failure())
    written = job_json(JobRecord(start=a_start(), snapshot=snapshot))

    assert written["error"]["code"] == "provider_unavailable"
    assert written["result"]["errors"] == [{"item": None, **written["error"]}]


def test_closed_job_shows_the_statistics_of_its_last_event() -> None:
    """Record and `JOB_COMPLETED` tell the same numbers, durations as whole seconds."""
    statistics = job_json(a_record(), closing=RESULT)["result"]["statistics"]

    assert statistics["processingSeconds"] == 13
    assert statistics["spent"] == {"amountMicros": 20_000, "currency": "USD"}


def test_list_leaves_the_result_out() -> None:
    """Lists stay small."""
    assert "result" not in summary_json(a_record())


def test_times_are_utc_with_milliseconds_and_z() -> None:
    """Whatever zone a moment was in."""
    at = datetime(2026, 3, 14, 17, 9, 26, 535_897, tzinfo=timezone(timedelta(hours=2)))

    assert time_text(at) == "2026-03-14T15:09:26.535Z"


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_event_is_one_message_of_the_briefs_types(kind: EventKind) -> None:
    """No event is without a message, and none has a type of its own."""
    message = message_json(JOB, an_event(4, kind=kind, failure=a_failure(), result=RESULT))

    assert message.keys() == {"jobId", "seq", "type", "timestamp", "data"}
    assert message["seq"] == 4
    assert message["type"] == type_of(kind)
    assert socket_event(message) in {"job_update", "job_progress", "job_completed", "job_error"}


def test_progress_message_carries_progress() -> None:
    """`message.data.progress`, as the brief's client reads it."""
    data = message_json(JOB, an_event(kind=EventKind.IMAGE_STORED, picture=a_picture()))["data"]

    assert data["progress"]["current"] == 5
    assert data["event"]["image"]["sha256"] == "a" * 64


def test_completed_message_carries_the_result() -> None:
    """`message.data.result`, as the brief's client reads it."""
    data = message_json(JOB, an_event(kind=EventKind.JOB_COMPLETED, result=RESULT))["data"]

    assert data["result"]["images"][0]["item"] == "0001"
    assert data["result"]["errors"][0]["code"] == "content_refused"


@pytest.mark.parametrize(
    ("kind", "is_fatal"), [(EventKind.IMAGE_FAILED, False), (EventKind.JOB_FAILED, True)]
)
def test_error_message_says_whether_the_job_ended(kind: EventKind, is_fatal: bool) -> None:  # noqa: FBT001 -- a parameter of the example
    """`message.data.error`, and whether there is more to come."""
    data = message_json(JOB, an_event(kind=kind, item="0002", failure=a_failure()))["data"]

    assert data["fatal"] is is_fatal
    assert data["error"]["code"] == "provider_unavailable"
    assert data["error"]["item"] == "0002"


def test_other_messages_carry_the_event_and_what_it_says_of_the_job() -> None:
    """Attempts are visible, with what failed and when the next try is due."""
    event = an_event(
        kind=EventKind.ATTEMPT_FAILED,
        item="0001",
        attempt=2,
        failure=a_failure(),
        next_try_at=NOW + timedelta(seconds=5),
    )

    data = message_json(JOB, event)["data"]

    assert data["event"]["kind"] == "attempt_failed"
    assert data["event"]["attempt"] == 2
    assert data["event"]["nextTryAt"] == "2026-03-14T15:09:31.535Z"
    assert data["job"]["status"] == "processing"


def test_event_says_who_gave_an_order_and_what_they_said() -> None:
    """Where nobody did, neither word is there."""
    event = an_event(kind=EventKind.JOB_PAUSED, by="grace", note="wrong photo")

    message = message_json(JOB, event)

    assert message["type"] == "JOB_UPDATE"
    assert message["data"]["event"] == {"kind": "job_paused", "by": "grace", "note": "wrong photo"}
    assert "by" not in message_json(JOB, an_event())["data"]["event"]


def test_job_shows_the_priority_it_has_now() -> None:
    """As changed, or else as requested."""
    record = a_record()
    changed = replace(record, snapshot=replace(record.snapshot, priority=Priority.HIGH))

    assert summary_json(record)["priority"] == "normal"
    assert summary_json(changed)["priority"] == "high"
