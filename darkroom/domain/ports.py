"""What the rooms ask of the world. Adapters beside the domain fulfil these Protocols.

Every method of a store-backed port raises `StoreUnavailable` when the database cannot be
reached, and nothing else for that reason.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from darkroom.domain.checkpoint import (
    Claim,
    Claimed,
    ClaimRefused,
    JobRecord,
    RecordBatch,
    Recorded,
)
from darkroom.domain.events import JobEvent
from darkroom.domain.items import StoredPicture, VerifiedPicture
from darkroom.domain.job import (
    Combination,
    DifferenceRequest,
    DifferenceResult,
    FileId,
    ImageSpec,
    JobId,
    JobKind,
    OwnerId,
    Priority,
)
from darkroom.domain.ledger import (
    CallKey,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    TakeOpening,
)
from darkroom.domain.lifecycle import JobState
from darkroom.domain.names import Ring
from darkroom.domain.prompts import EnhancedPrompt, KeptPrompt, PromptAsk


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list, newest first; `None` leaves a question open."""

    owner: OwnerId
    state: JobState | None = None
    kind: JobKind | None = None
    priority: Priority | None = None
    label: tuple[str, str] | None = None
    before: tuple[datetime, JobId] | None = None  # last row of the page before


class JobStore(Protocol):
    """Jobs and their items, as the database remembers them."""

    async def claim(self, claim: Claim) -> Claimed | ClaimRefused:
        """Become the writer of a job, by compare-and-set on its run.

        Creates the row when there is none. The same writer claiming the same run again is
        answered as the first time, with what has been recorded since.
        """
        ...

    async def job(self, job_id: JobId, *, owner: OwnerId | None = None) -> JobRecord | None:
        """Read one job with its items; with an owner, only if it is theirs."""
        ...

    async def jobs(self, wanted: JobFilter, *, limit: int) -> tuple[JobRecord, ...]:
        """List jobs without items, newest first by (submitted_at, id)."""
        ...

    async def combinations_of(
        self, owner: OwnerId, *, dimensions: tuple[str, ...], but_not: JobId
    ) -> tuple[Combination, ...]:
        """Read what the owner's latest hundred other jobs chose, without repeats.

        Only combinations of exactly these dimensions, in any order; written in this order.
        """
        ...

    async def owned_picture(self, owner: OwnerId, sha256: str) -> StoredPicture | None:
        """Find a stored picture of this owner by its own or its thumbnail's hash."""
        ...


class Outbox(Protocol):
    """The log of all jobs."""

    async def append(self, batch: RecordBatch) -> Recorded:
        """Store events, items and snapshot in one transaction, and ring.

        Keyed by (job, seq): the same events again are a no-op; other events under the same
        numbers change nothing and answer the head. The job row only moves forward.
        """
        ...

    async def events_after(self, job_id: JobId, seq: int, *, limit: int) -> tuple[JobEvent, ...]:
        """Read events with a higher number, in order."""
        ...

    async def heads(self, job_ids: Sequence[JobId]) -> dict[JobId, int]:
        """Read the last stored number of each job that has any."""
        ...


class Doorbell(Protocol):
    """A hint that something was written; it may ring too often, and be deaf for a while."""

    def rings(self) -> AsyncIterator[Ring]:
        """Yield rings until closed. A ring without a topic comes first and after each gap."""
        ...


class CallLedger(Protocol):
    """Purchases of pictures."""

    async def open(self, opening: TakeOpening) -> LedgerRow:
        """Create the row if there is none, take the next fence, and read it."""
        ...

    async def move(
        self,
        row: LedgerRow,
        to: LedgerState,
        changes: LedgerChanges,
    ) -> LedgerRow:
        """Make one transition under `row.fence` from `row.state`, or nothing.

        Raises:
            FenceLost: the row has another fence or another state by now.
            IllegalTransition: the table of moves has no such step.
        """
        ...

    async def adopt(self, key: CallKey, task_id: str) -> LedgerRow | None:
        """Book a callback: `calling | unknown -> accepted`, and in any state a hint; ring.

        Needs no fence. Answers None when there is no such purchase.
        """
        ...

    async def withdraw(self, key: CallKey, called_at: datetime) -> None:
        """Take a call back that was certainly not accepted: `calling -> intent`, or nothing.

        Needs no fence: only the sender whose POST began at `called_at` can know it.
        """
        ...

    async def abandon(self, key: CallKey) -> None:
        """Mark a purchase whose job no longer waits for it."""
        ...

    async def rows(self, keys: Sequence[CallKey]) -> tuple[LedgerRow, ...]:
        """Read the rows that exist, in any order."""
        ...

    async def of_job(self, job_id: JobId) -> tuple[LedgerRow, ...]:
        """Read all purchases of a job, by item and take."""
        ...


class PromptCache(Protocol):
    """Enhanced prompts, kept the moment they arrive."""

    async def kept(self, keys: Sequence[str]) -> dict[str, EnhancedPrompt]:
        """Read what is there."""
        ...

    async def keep(self, prompt: KeptPrompt) -> None:
        """Keep an answer and book its cost to the job; the first text under a key stays."""
        ...

    async def book(self, key: str, job_id: JobId, cost_micros: int) -> None:
        """Book an answer that was paid for and cannot be used."""
        ...

    async def spent_micros(self, job_id: JobId) -> int:
        """Add up what the job's answers cost."""
        ...


class PromptEnhancer(Protocol):
    """The paid language model."""

    @property
    def model(self) -> str:
        """Name of the model, part of the cache key."""
        ...

    async def enhance(self, ask: PromptAsk) -> EnhancedPrompt:
        """Ask once, without any hidden retry.

        Raises:
            ProviderError: a classified leaf.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOrder:
    """What is sent to an image provider."""

    call: CallKey
    prompt: str
    image: ImageSpec
    product: tuple[FileId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The provider's answer once a picture can be fetched."""

    url: str


class ImageProvider(Protocol):
    """A paid image API that works on tasks: submit, ask, fetch."""

    @property
    def grace(self) -> timedelta:
        """How long after a lost reply its callback may still come; longer than a POST."""
        ...

    def price_micros(self, image: ImageSpec) -> int:
        """Highest possible price of one picture."""
        ...

    async def submit(self, order: PictureOrder) -> str:
        """Buy one picture, with one POST; answers the provider's task id.

        Raises:
            ProviderError: `billing` says whether it may have been accepted.
        """
        ...

    async def collect(self, task_id: str) -> Ready | None:
        """Ask once; None while the provider is still drawing.

        Raises:
            ProviderError: the task failed, or could not be asked about.
        """
        ...

    async def download(self, url: str) -> bytes:
        """Fetch the result under every guard of providers.md 3.6.

        Raises:
            ResultGone: the address has expired.
            ResultUnusable: too large, cut short, or from a host we do not trust.
            ProviderUnavailable: try the same address again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPicture:
    """A verified picture without metadata, with its thumbnail (WebP)."""

    verified: VerifiedPicture
    content: bytes
    thumbnail: bytes


class PictureCheck(Protocol):
    """Decoding, which belongs off the event loop: every method may take a while."""

    def prepare(self, content: bytes, *, max_bytes: int) -> PreparedPicture:
        """Verify, clean and shrink.

        Raises:
            PictureUnusable: with its reason.
        """
        ...


class Differentiator(Protocol):
    """Chooses combinations that differ."""

    def choose(self, request: DifferenceRequest) -> DifferenceResult:
        """Choose `count` combinations.

        Raises:
            DifferenceInfeasible: with the largest feasible count.
        """
        ...


class FileStore(Protocol):
    """Bytes by their content."""

    async def put(self, content: bytes) -> str:
        """Keep bytes, atomically; answers their sha256 in hex. Putting twice is harmless."""
        ...

    async def get(self, sha256: str) -> bytes:
        """Read bytes.

        Raises:
            FileMissing: nothing is kept under that hash.
        """
        ...

    async def has(self, sha256: str) -> bool:
        """Say whether something is kept under that hash."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFile:
    """An uploaded product photo."""

    file_id: FileId
    owner: OwnerId
    sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    created_at: datetime


class FileCatalog(Protocol):
    """Which product photos exist, and whose they are."""

    async def add(self, file: ProductFile) -> None:
        """Remember an upload."""
        ...

    async def find(self, file_ids: Sequence[FileId]) -> tuple[ProductFile, ...]:
        """Read those that exist, in any order."""
        ...


class JobSignals(Protocol):
    """A word from a running activity to its own job's workflow."""

    async def prompts_enhanced(self, job_id: JobId, prompts: dict[str, str]) -> None:
        """Tell which items have a prompt now; the workflow ignores what it already knows."""
        ...
