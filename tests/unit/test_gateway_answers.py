"""What is answered is what the API reference describes."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from darkroom.domain.admission import Place, QueueTerms, QueueView, WaitingJob, WorkingJob
from darkroom.domain.breakers import Gate, GateKey, GateState
from darkroom.domain.checkpoint import JobRecord
from darkroom.domain.control import CancelMode
from darkroom.domain.events import EventKind
from darkroom.domain.job import Priority
from darkroom.domain.lifecycle import JobState, Outcome, Waiting, WaitingOn
from darkroom.domain.parking import GateView, ParkOrder
from darkroom.domain.permits import UNLIMITED
from gateway import answers, operating_answers
from gateway.deps import Gateway
from gateway.errors import Problem, invalid, problem_response
from gateway.face import described_api
from gateway.faults import Fault
from gateway.live.messages import message_json
from gateway.operating_wire import gate_json, queue_json, terms_json
from gateway.quotes import cancel_quote
from gateway.wire import (
    file_json,
    job_json,
    pending_record,
    quote_json,
    summary_json,
    waiting_json,
)
from tests.support.builders import ADA, JOB, NOW, a_failure, a_product_file, a_start, an_event
from tests.unit.test_gateway_wire import RESULT, a_record

PLACE = Place(
    job_id=JOB, position=3, eta_p50_seconds=10, eta_p90_seconds=30, why="two are before it"
)
A_QUEUE = QueueView(
    terms=QueueTerms(concurrency=2, owner_limit=1, changed_at=NOW, changed_by="grace"),
    working=(WorkingJob(job_id=JOB, owner=ADA, granted_at=NOW, is_silent=True, free_at=NOW),),
    waiting=(
        WaitingJob(
            job_id=JOB,
            owner=ADA,
            priority=Priority.LOW,
            effective_priority=Priority.HIGH,
            submitted_at=NOW,
            place=PLACE,
        ),
    ),
    waiting_count=1,
    waiting_by_priority={Priority.LOW: 1},
    waiting_by_owner={ADA: 1},
    oldest_submitted_at=NOW,
)
GATE = GateKey(provider="nanobanana", model="nano-banana-2")
AN_OPEN_GATE = Gate(
    key=GATE, state=GateState.OPEN, opened_at=NOW, until=NOW, by="grace", failure=a_failure()
)
A_PARKED_VIEW = GateView(
    gate=AN_OPEN_GATE,
    parked_count=1,
    parked=(
        ParkOrder(key=GATE, workflow_id=JOB, first_run_id="run-1", part="0001", parked_at=NOW),
    ),
)


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


def test_place_in_line_is_described() -> None:
    """With and without a guess at when its turn comes."""
    waiting = Waiting(on=WaitingOn.SLOT, since=NOW, why="all slots are taken")
    for place in (PLACE, replace(PLACE, eta_p50_seconds=None, eta_p90_seconds=None)):
        answers.Waiting.model_validate(waiting_json(waiting, place=place))


def test_quote_is_described() -> None:
    """What a dry run of a cancel answers."""
    quote = cancel_quote(a_record(), (), prompts_micros=0, mode=CancelMode.NOW)

    answers.CancelQuote.model_validate(quote_json(JOB, quote))


@pytest.mark.parametrize("view", [A_QUEUE, QueueView(terms=QueueTerms(concurrency=5))])
def test_queue_is_described(view: QueueView) -> None:
    """An empty one too."""
    operating_answers.Queue.model_validate(queue_json(view, max_pending=9))
    operating_answers.QueueTerms.model_validate(terms_json(view.terms, max_pending=9))


@pytest.mark.parametrize("gate", [Gate(key=GATE), AN_OPEN_GATE])
@pytest.mark.parametrize("view", [None, A_PARKED_VIEW])
def test_gate_is_described(gate: Gate, view: GateView | None) -> None:
    """One that nothing ever opened, and one that holds a job back."""
    operating_answers.ProviderGate.model_validate(gate_json(gate, view, UNLIMITED))


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
