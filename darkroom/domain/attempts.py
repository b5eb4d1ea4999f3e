"""What one execution of a stage reports to the workflow, which decides what comes next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from darkroom.domain.difference import Certificate
from darkroom.domain.errors import Failure
from darkroom.domain.items import Item, StoredPicture
from darkroom.domain.job import (
    Combination,
    DifferenceRequest,
    FileId,
    ImageSpec,
    JobId,
    OwnerId,
    PromptSpec,
)
from darkroom.domain.ledger import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOrder:
    """Choose a job's combinations; with `avoids_history`, far from the owner's earlier ones."""

    job_id: JobId
    owner: OwnerId
    request: DifferenceRequest
    avoids_history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceOrder:
    """Enhance the prompts of the items that have none; at most `concurrency` at once."""

    job_id: JobId
    owner: OwnerId
    prompt: PromptSpec
    items: tuple[Item, ...]
    concurrency: int
    variation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateOrder:
    """Buy, collect and keep one take of one picture."""

    job_id: JobId
    owner: OwnerId
    item: str
    take: int
    prompt_key: str
    image: ImageSpec
    product: tuple[FileId, ...]
    admitted_at: datetime | None = None  # when the job got its slot; older ones buy first


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishOrder:
    """Check what was stored and add up what it cost."""

    job_id: JobId
    estimated_micros: int
    pictures: tuple[str, ...]  # sha256 of every stored picture
    is_cancelled: bool = False  # then, if nothing was paid, other jobs may have its combinations


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyzed:
    """The combinations and what they are worth, or why there are none."""

    combinations: tuple[Combination, ...] = ()
    failure: Failure | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enhanced:
    """Prompts kept so far by item, fatal failures by item, and what stopped the rest."""

    prompts: dict[str, str]  # item -> prompt key
    failures: dict[str, Failure]
    cost_micros: int = 0
    stopped_by: Failure | None = None  # retryable or wait
    degraded: tuple[str, ...] = ()  # items whose prompt is the plain template


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsEnhanced:
    """Signal: prompts that a running enhance activity has kept so far, by item."""

    prompts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledBack:
    """Signal: a purchase of unknown outcome was made after all, and can be collected."""

    item: str
    take: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """Cancel one run of a workflow, as `temporal workflow cancel` does."""

    workflow_id: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureDone:
    """The picture is stored and settled."""

    picture: StoredPicture
    cost_micros: int
    outcome: Literal["done"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFailed:
    """The attempt failed; `opens_take` says that a further try needs a take of its own."""

    failure: Failure
    opens_take: bool = False
    outcome: Literal["failed"] = "failed"


PictureAttempt: TypeAlias = PictureDone | PictureFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureReport:
    """Wrapper, so that fields can be added beside the union."""

    attempt: PictureAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What the job cost, and the stored pictures whose bytes are not where they belong."""

    cost: Cost
    missing: tuple[str, ...] = ()
