"""What a caller asks for: one job, its request, and the input of one run."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from darkroom.domain.difference import (
    Combination,
    Constraint,
    DifferenceRequest,
    Dimension,
    Metric,
)
from darkroom.domain.difference import DifferenceResult as DifferenceResult
from darkroom.domain.errors import Failure
from darkroom.domain.retries import RetryPlan

JobId = NewType("JobId", str)
OwnerId = NewType("OwnerId", str)
FileId = NewType("FileId", str)


class JobKind(StrEnum):
    """What sort of work a job is; the wire's `type`. Source: brief, "Job types"."""

    IMAGE_GENERATION = "image_generation"
    BATCH_PROCESSING = "batch_processing"
    COMBINATION_ANALYSIS = "combination_analysis"


class Priority(StrEnum):
    """How urgent the caller says it is. Source: brief, "Priority Levels"."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


TEMPORAL_PRIORITY_KEYS = {Priority.HIGH: 1, Priority.NORMAL: 3, Priority.LOW: 5}


class PromptMode(StrEnum):
    """How far enhancement may wander from the template. Source: providers.md 1.3."""

    CREATIVE = "creative"
    BALANCED = "balanced"
    PRECISE = "precise"


class OnImageFailure(StrEnum):
    """What a job does when some of its pictures cannot be had."""

    DELIVER = "deliver"
    FAIL = "fail"


class OnUnknown(StrEnum):
    """What a job does about a purchase whose answer was lost for good."""

    ASK = "ask"
    REBUY_ONCE = "rebuy_once"  # booked as possibly double


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSpec:
    """A template with `{dimension}` fields, and how freely it may be enhanced."""

    template: str
    mode: PromptMode = PromptMode.BALANCED


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """Which provider draws, and what it is to draw on."""

    provider: str = "nanobanana"
    model: str
    aspect_ratio: str = "1:1"
    size: str = "1K"
    format: str = "png"
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request as the door accepted it: complete, inside all bounds."""

    kind: JobKind = JobKind.IMAGE_GENERATION
    priority: Priority = Priority.NORMAL
    product: tuple[FileId, ...] = ()
    dimensions: tuple[Dimension, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    combinations: tuple[Combination, ...] = ()  # explicit ones; then `dimensions` is empty
    count: int = 1
    metric: Metric = Metric.HAMMING
    min_difference: float = 1.0
    avoid_history: bool = True
    variants: tuple[str, ...] = ()  # phrases; each combination is drawn once per phrase
    prompt: PromptSpec
    image: ImageSpec
    on_image_failure: OnImageFailure = OnImageFailure.DELIVER
    labels: dict[str, str] = field(default_factory=dict[str, str])
    # None where nothing was said, so that the fingerprints of older requests stay what they were.
    history_min_difference: float | None = None
    exclusions: tuple[Combination, ...] | None = None

    @property
    def picture_count(self) -> int:
        """Pictures the job asks for: combinations times variants."""
        return self.count * max(1, len(self.variants))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlans:
    """Bounds the door resolved from the settings, so that workflows never read settings."""

    timeout: timedelta  # processing time only, see durability rule 4
    enhance: RetryPlan
    generate: RetryPlan
    concurrency: int  # pictures of one job in flight at once
    estimated_micros: int
    on_unknown: OnUnknown = OnUnknown.ASK


class RetryScope(StrEnum):
    """Which pictures of a failed or cancelled job a retry makes."""

    FAILED = "failed"  # what is not there yet
    ALL = "all"  # also those that are there, as new takes


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTerms:
    """How a run came about that is not a job's first; an edit is a decision to buy anew."""

    by: str
    scope: RetryScope = RetryScope.FAILED
    renews_prompts: bool = False  # the prompt was edited
    opens_takes: bool = False  # what is bought was edited


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """How a run came about that takes an open job over from a run that is gone.

    With a `failure` it only writes the job's end: failed, with a dead letter.
    """

    writer: str  # of the run that is gone; compared when the job is claimed
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStart:
    """Input of one run of a job's workflow.

    `expected_run` is the number of the run before this one: 0 for a submitted job. The run
    that claims the job in the store becomes `expected_run + 1`.
    """

    job_id: JobId
    owner: OwnerId
    expected_run: int = 0
    submitted_at: datetime
    request: JobRequest
    plans: JobPlans
    retry: RetryTerms | None = None
    repair: Repair | None = None  # of this one run; the store does not remember it


def in_order(combination: Combination, dimensions: tuple[str, ...]) -> Combination | None:
    """Write a combination in the order of these dimensions; None if it has others."""
    options = dict(combination)
    if options.keys() != set(dimensions):
        return None
    return tuple((name, options[name]) for name in dimensions)


def difference_request(
    request: JobRequest, *, job_id: JobId, history: tuple[Combination, ...] = ()
) -> DifferenceRequest:
    """Say what the differentiator is asked for a job; the same job asks the same."""
    seed = hashlib.sha256(f"{job_id}/{request.image.seed}".encode()).digest()
    return DifferenceRequest(
        dimensions=request.dimensions,
        constraints=request.constraints,
        count=request.count,
        metric=request.metric,
        min_difference=request.min_difference,
        history_min_difference=request.history_min_difference,
        history=history,
        exclusions=request.exclusions or (),
        seed=int.from_bytes(seed[:4]),
    )
