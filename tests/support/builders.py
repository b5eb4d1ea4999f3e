"""Domain values for tests: complete, ordinary, and changed only where a test says so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from darkroom.domain.checkpoint import Claim, JobSnapshot, RecordBatch
from darkroom.domain.dead_letters import DeadLetter
from darkroom.domain.errors import Billing, Disposition, Failure
from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.items import Item, StoredPicture
from darkroom.domain.job import (
    Dimension,
    FileId,
    ImageSpec,
    JobId,
    JobKind,
    JobPlans,
    JobRequest,
    JobStart,
    OwnerId,
    PromptSpec,
)
from darkroom.domain.ledger import CallKey, Cost, TakeOpening
from darkroom.domain.lifecycle import JobState
from darkroom.domain.ports import ProductFile
from darkroom.domain.prompts import EnhancedPrompt, KeptPrompt
from darkroom.domain.retries import LINEAR, RetryPlan
from darkroom.domain.stages import Progress, Stage

NOW = datetime(2026, 3, 14, 15, 9, 26, 535_897, tzinfo=UTC)
ADA = OwnerId("ada")
BOB = OwnerId("bob")
JOB = JobId("job_01jd0000000000000000000001")
FIRST_WRITER = "writer-of-run-1"
PENNY_MICROS = 10_000

REQUEST = JobRequest(
    dimensions=(
        Dimension(name="timeOfDay", options=("noon", "night"), weight=0.3),
        Dimension(name="weather", options=("sunny", "snowy"), weight=0.7),
    ),
    count=2,
    prompt=PromptSpec(template="A street lamp at {timeOfDay}, {weather}"),
    image=ImageSpec(model="nano-banana-2"),
    labels={"campaign": "spring"},
)
PLANS = JobPlans(
    timeout=timedelta(minutes=10),
    enhance=RetryPlan(),
    generate=LINEAR,
    concurrency=4,
    estimated_micros=4 * PENNY_MICROS,
)
START = JobStart(job_id=JOB, owner=ADA, submitted_at=NOW, request=REQUEST, plans=PLANS)
ITEM = Item(key="0001", combination=(("timeOfDay", "noon"), ("weather", "sunny")))
EVENT = JobEvent(
    seq=1,
    run=1,
    at=NOW,
    kind=EventKind.JOB_STARTED,
    state=JobState.PROCESSING,
    progress=Progress(percent=5, stage=Stage.ANALYZE, message="choosing combinations", total=2),
)
SNAPSHOT = JobSnapshot(
    run=1, seq=1, state=EVENT.state, progress=EVENT.progress, started_at=NOW - timedelta(seconds=1)
)
FAILURE = Failure(
    code="provider_unavailable",
    message="nanobanana answered 503; try again later",
    disposition=Disposition.RETRYABLE,
    billing=Billing.NONE,
    provider="nanobanana",
    retry_after=timedelta(seconds=2.5),
)


def a_job_id(number: int) -> JobId:
    """Name a job; a higher number sorts later."""
    return JobId(f"job_01jd{number:022d}")


def a_request(**changes: Any) -> JobRequest:
    """Ask for two pictures of two dimensions."""
    return replace(REQUEST, **changes)


def a_start(**changes: Any) -> JobStart:
    """Begin Ada's first job."""
    return replace(START, **changes)


def a_claim(start: JobStart = START, *, writer: str = FIRST_WRITER) -> Claim:
    """Wish to write a job."""
    return Claim(start=start, writer=writer)


def a_picture(name: str = "a") -> StoredPicture:
    """Keep a picture whose hashes derive from a letter."""
    return StoredPicture(
        sha256=(name * 64)[:64],
        thumbnail_sha256=(f"{name}0" * 32)[:64],
        media_type="image/png",
        width=1024,
        height=768,
        size_bytes=345_678,
    )


def an_item(**changes: Any) -> Item:
    """Plan item 0001."""
    return replace(ITEM, **changes)


def an_event(seq: int = 1, **changes: Any) -> JobEvent:
    """Say that the job started, as event number `seq`."""
    return replace(EVENT, seq=seq, **changes)


def a_snapshot(seq: int = 1, **changes: Any) -> JobSnapshot:
    """Describe a processing job after event number `seq`."""
    return replace(SNAPSHOT, seq=seq, **changes)


def a_failure(**changes: Any) -> Failure:
    """Describe a provider outage."""
    return replace(FAILURE, **changes)


def a_batch(*events: JobEvent, items: tuple[Item, ...] = (), **changes: Any) -> RecordBatch:
    """Record events (by default the first) of Ada's job, with a snapshot after the last."""
    told = events or (EVENT,)
    last = told[-1]
    snapshot = a_snapshot(last.seq, run=last.run, state=last.state, progress=last.progress)
    batch = RecordBatch(
        job_id=JOB, writer=FIRST_WRITER, events=told, items=items, snapshot=snapshot
    )
    return replace(batch, **changes)


def a_call(**changes: Any) -> CallKey:
    """Name the first take of the first item of Ada's job."""
    return replace(CallKey(job=JOB, item="0001", take=1), **changes)


def an_opening(**changes: Any) -> TakeOpening:
    """Say what is known before a picture is bought."""
    opening = TakeOpening(
        key=a_call(),
        owner=ADA,
        provider="nanobanana",
        model="nano-banana-2",
        price_micros=4 * PENNY_MICROS,
    )
    return replace(opening, **changes)


def a_kept_prompt(**changes: Any) -> KeptPrompt:
    """Keep an answer that cost a penny."""
    answer = EnhancedPrompt(
        text="A solar street lamp in warm noon light",
        model="deepseek-chat",
        cost_micros=PENNY_MICROS,
    )
    return replace(KeptPrompt(key="k" * 64, job_id=JOB, prompt=answer), **changes)


def a_product_file(**changes: Any) -> ProductFile:
    """Upload a photo of Ada's."""
    file = ProductFile(
        file_id=FileId("file_01jd0000000000000000000001"),
        owner=ADA,
        sha256="f" * 64,
        media_type="image/jpeg",
        width=3000,
        height=2000,
        size_bytes=3_000_000_000,
        created_at=NOW,
    )
    return replace(file, **changes)


def a_failed_end(seq: int = 1, **changes: Any) -> JobEvent:
    """Say that the job failed for good while it bought item 0001."""
    end: dict[str, Any] = {
        "kind": EventKind.JOB_FAILED,
        "state": JobState.FAILED,
        "stage": Stage.GENERATE,
        "item": "0001",
        "failure": FAILURE,
    }
    return an_event(seq, **(end | changes))


def a_letter(**changes: Any) -> DeadLetter:
    """Park the first run of Ada's job."""
    letter = DeadLetter(
        job_id=JOB,
        run=1,
        owner=ADA,
        kind=JobKind.IMAGE_GENERATION,
        failure=FAILURE,
        stage=Stage.GENERATE,
        item="0001",
        attempts=4,
        cost=Cost(estimated_micros=4 * PENNY_MICROS, spent_micros=PENNY_MICROS),
        parked_at=NOW,
        remedy="redrive",
    )
    return replace(letter, **changes)
