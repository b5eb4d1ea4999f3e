"""How a job ends: what it delivered, what it cost, and how Temporal shows it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from temporalio import workflow

from activities.finish import FinishActivities
from darkroom.domain.attempts import Finished, FinishOrder
from darkroom.domain.errors import Failure
from darkroom.domain.events import ImageError, ImageResult, JobResult, Statistics
from darkroom.domain.items import Item, ItemState
from darkroom.domain.job import JobStart
from darkroom.domain.journal import JobJournal
from darkroom.domain.lifecycle import Outcome
from darkroom.domain.stages import Stage


class StoryFailed(Exception):
    """The run cannot go on; carries what the dead letter will say."""

    def __init__(self, failure: Failure, *, stage: Stage, item: str | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.stage = stage
        self.item = item


Ask: TypeAlias = Callable[
    [Callable[[Any, FinishOrder], Awaitable[Finished]], FinishOrder], Awaitable[Finished]
]


async def close_the_books(
    start: JobStart, journal: JobJournal, ask: Ask, *, is_cancelled: bool = False
) -> tuple[JobResult, Finished]:
    """Add up a job that is about to end, in whatever way."""
    stored = journal.items_in(ItemState.STORED)
    order = FinishOrder(
        job_id=start.job_id,
        estimated_micros=start.plans.estimated_micros,
        pictures=tuple(item.picture.sha256 for item in stored if item.picture),
        is_cancelled=is_cancelled,
    )
    finished = await ask(FinishActivities.finish, order)
    result = JobResult(
        outcome=outcome_of(journal.items, wanted=start.request.picture_count),
        images=tuple(image for item in stored if (image := _image(item))),
        errors=tuple(error for item in journal.items if (error := _error(item))),
        statistics=_statistics(journal, finished),
    )
    return result, finished


def outcome_of(items: tuple[Item, ...], *, wanted: int) -> Outcome:
    """Say how much of what was asked for is there."""
    stored = sum(item.state is ItemState.STORED for item in items)
    if not stored:
        return Outcome.NONE
    return Outcome.FULL if stored == wanted else Outcome.PARTIAL


def _statistics(journal: JobJournal, finished: Finished) -> Statistics:
    began = journal.snapshot.started_at
    took = (workflow.now() - began).total_seconds() if began else 0.0
    return Statistics(
        pictures=len(journal.items_in(ItemState.STORED)),
        failed=len(journal.items_in(ItemState.FAILED)),
        attempts_failed=sum(item.attempts for item in journal.items),
        processing_seconds=round(took, 3),
        spent_micros=finished.cost.spent_micros,
        unknown_micros=finished.cost.unknown_micros,
    )


def _image(item: Item) -> ImageResult | None:
    picture = item.picture
    if picture is None:
        return None
    return ImageResult(
        item=item.key,
        sha256=picture.sha256,
        thumbnail_sha256=picture.thumbnail_sha256,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
    )


def _error(item: Item) -> ImageError | None:
    failure = item.failure
    if failure is None:
        return None
    return ImageError(item=item.key, code=failure.code, message=failure.message)
