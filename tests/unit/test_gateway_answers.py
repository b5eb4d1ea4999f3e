"""What is answered is what the API reference describes."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.events import EventKind
from darkroom.domain.lifecycle import JobState, Outcome
from gateway import answers
from gateway.deps import Gateway
from gateway.errors import Problem, invalid, problem_response
from gateway.face import described_api
from gateway.faults import Fault
from gateway.live.messages import message_json
from gateway.wire import file_json, job_json, pending_record, summary_json
from tests.support.builders import JOB, NOW, a_failure, a_product_file, a_start, an_event
from tests.unit.test_gateway_wire import RESULT, a_record


def a_closed_record() -> JobRecord:
    """A job that ended badly."""
    record = a_record()
    snapshot = replace(
        record.snapshot,
        state=JobState.FAILED,
        outcome=Outcome.NONE,
        failure=a_failure(),
        completed_at=NOW,
        waiting=None,
    )
    return replace(record, snapshot=snapshot)


@pytest.mark.parametrize("record", [pending_record(a_start()), a_record(), a_closed_record()])
def test_job_record_is_described(record: JobRecord) -> None:
    """Every field, and none beside them."""
    answers.JobRecord.model_validate(job_json(record, closing=RESULT))
    answers.JobSummary.model_validate(summary_json(record))


@pytest.mark.parametrize("kind", list(EventKind))
def test_message_is_described(kind: EventKind) -> None:
    """Every kind of event."""
    event = an_event(kind=kind, failure=a_failure(), result=RESULT)

    answers.Message.model_validate(message_json(JOB, event))


def test_photo_is_described() -> None:
    """What an upload answers."""
    answers.ProductPhoto.model_validate(file_json(a_product_file()))


def test_problem_is_described() -> None:
    """What a refusal answers."""
    problem: Problem = invalid([Fault(field="count", message="is 0", remedy="send 1")])

    answers.ProblemAnswer.model_validate_json(bytes(problem_response(problem).body))


def opening() -> AbstractAsyncContextManager[Gateway]:
    """Stand for adapters that nobody opens."""
    raise AssertionError("describing the API opens nothing")


@pytest.fixture
def described() -> dict[str, Any]:
    """The API reference."""
    return described_api(None, opening).openapi()


def test_every_address_is_described_with_its_refusals(described: dict[str, Any]) -> None:
    """OpenAPI 3.1; each refusal is a problem, each of our own addresses wants a key."""
    assert described["openapi"].startswith("3.1")
    for path, operations in described["paths"].items():
        for operation in operations.values():
            refusals = {s: r for s, r in operation["responses"].items() if int(s) >= 400}
            if path in {"/livez", "/readyz"}:
                continue
            assert refusals
            for refusal in refusals.values():
                (media_type,) = refusal["content"]
                assert media_type == "application/problem+json"
            if not path.startswith("/v1/callbacks"):
                assert operation["security"]
                assert "401" in refusals


def test_request_is_described_in_the_words_of_the_wire(described: dict[str, Any]) -> None:
    """camelCase, and no field of our own spelling."""
    schemas = described["components"]["schemas"]

    assert {"minDifference", "onImageFailure"} <= schemas["JobBody"]["properties"].keys()
    assert "aspectRatio" in schemas["ImageBody"]["properties"]
    assert "HTTPValidationError" not in schemas
    for schema in schemas.values():
        assert not any("_" in name for name in schema.get("properties", {}))
