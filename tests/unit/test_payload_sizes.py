"""Values that travel through Temporal stay small, however large a job is."""

from dataclasses import replace

import pytest
from pydantic_core import to_json

from darkroom.domain.attempts import EnhanceOrder
from darkroom.domain.checkpoint import ClaimAnswer, Claimed, DescribeQuestion, RecordBatch
from darkroom.domain.errors import ProviderUnavailable, failure_of
from darkroom.domain.items import Item, ItemState
from darkroom.domain.journal import JobJournal
from tests.support.builders import (
    ADA,
    JOB,
    NOW,
    a_batch,
    a_failure,
    a_picture,
    a_request,
    a_snapshot,
    a_start,
)

LARGEST_JOB = 200  # QUEUE_MAX_IMAGES as it comes
PAYLOAD_LIMIT_BYTES = 256 * 1024  # durability.md rule 6
DETAILS_LIMIT_BYTES = 4 * 1024
DIMENSIONS = ("timeOfDay", "weather", "location", "angle", "roadSurface", "sceneElements")


def largest_items() -> tuple[Item, ...]:
    """Items of a job as large as the door lets in, each stored after failures."""
    return tuple(
        Item(
            key=f"{number:04d}",
            combination=tuple((name, f"an option of some length {number}") for name in DIMENSIONS),
            variant="a light rain on a summer night",
            state=ItemState.STORED,
            prompt_key="p" * 64,
            attempts=3,
            picture=a_picture("a"),
        )
        for number in range(1, LARGEST_JOB + 1)
    )


def order() -> EnhanceOrder:
    """Everything to enhance at once."""
    return EnhanceOrder(
        job_id=JOB, owner=ADA, prompt=a_request().prompt, items=largest_items(), concurrency=4
    )


def checkpoint() -> ClaimAnswer:
    """A run that takes the whole job over."""
    return ClaimAnswer(answer=Claimed(snapshot=a_snapshot(900), items=largest_items()))


def batch() -> RecordBatch:
    """A flush that reports every item."""
    return replace(a_batch(), items=largest_items())


@pytest.mark.parametrize(
    "value",
    [order(), checkpoint(), batch(), DescribeQuestion()],
    ids=lambda value: type(value).__name__,
)
def test_two_hundred_items_stay_under_the_payload_limit(value: object) -> None:
    """Pictures and prompts never travel, only their hashes."""
    assert len(to_json(value)) < PAYLOAD_LIMIT_BYTES


def test_a_failure_stays_small_whatever_the_provider_says() -> None:
    """A megabyte of error text becomes a value that fits into a failure's details."""
    error = ProviderUnavailable("x" * 1_000_000, provider="nanobanana")

    assert len(to_json(failure_of(error))) < DETAILS_LIMIT_BYTES


def test_a_query_of_the_largest_job_can_be_answered() -> None:
    """The live answer with all items and a tail of events is far from Temporal's 2 MiB."""
    journal = JobJournal(a_start(), writer="w")
    journal.put_items(replace(item, failure=a_failure()) for item in largest_items())
    for item in journal.items:
        journal.begin_stage(journal.snapshot.progress.stage, item.key, at=NOW)

    assert len(to_json(journal.live())) < 4 * PAYLOAD_LIMIT_BYTES
