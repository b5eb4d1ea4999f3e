"""What a caller asks for: one job, its request, and the input of one run."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType, TypeAlias

from darkroom.domain.retries import RetryPlan

JobId = NewType("JobId", str)
OwnerId = NewType("OwnerId", str)
FileId = NewType("FileId", str)

# (dimension, option) pairs in the order of the request's dimensions.
Combination: TypeAlias = tuple[tuple[str, str], ...]


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


class Metric(StrEnum):
    """How far apart two combinations are."""

    HAMMING = "hamming"  # the number of dimensions that differ
    WEIGHTED_HAMMING = "weighted_hamming"  # the weights of the dimensions that differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One way in which pictures may differ; options are unique, at least one."""

    name: str
    options: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """(dimension, option) pairs that must not all occur in one combination."""

    forbid: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRequest:
    """What the differentiator is asked: `count` combinations, pairwise far apart."""

    dimensions: tuple[Dimension, ...]
    constraints: tuple[Constraint, ...] = ()
    count: int
    metric: Metric = Metric.HAMMING
    min_difference: float = 1.0
    history: tuple[Combination, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceResult:
    """Chosen combinations and the smallest distance between any two of them."""

    combinations: tuple[Combination, ...]
    min_distance: float


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
        history=history,
        seed=int.from_bytes(seed[:4]),
    )
