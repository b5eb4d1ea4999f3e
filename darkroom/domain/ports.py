"""What the rooms ask of the world. Adapters beside the domain fulfil these Protocols.

Every method of a store-backed port raises `StoreUnavailable` when the database cannot be
reached, and nothing else for that reason.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from darkroom.domain.admission import QueueTerms, QueueView, SlotClaim, SlotRelease, SlotRequest
from darkroom.domain.audit import AuditEntry, AuditRecord
from darkroom.domain.breakers import BreakerPlan, FailedCall, Gate, GateKey, HandMove
from darkroom.domain.checkpoint import (
    Claim,
    Claimed,
    ClaimRefused,
    JobRecord,
    LiveJob,
    RecordBatch,
    Recorded,
)
from darkroom.domain.dead_letters import (
    DeadLetter,
    LetterCount,
    LetterFilter,
    LetterRecord,
    LetterVerdict,
)
from darkroom.domain.drift import (
    JobPlace,
    KeptFile,
    RunView,
    WrittenJob,
)
from darkroom.domain.errors import Failure
from darkroom.domain.escalation import Escalation
from darkroom.domain.events import JobEvent
from darkroom.domain.items import Item, StoredPicture, VerifiedPicture
from darkroom.domain.job import (
    Combination,
    DifferenceRequest,
    DifferenceResult,
    FileId,
    ImageSpec,
    JobId,
    JobKind,
    JobStart,
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
from darkroom.domain.parking import ParkOrder
from darkroom.domain.permits import CallTerms, Held
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

        Creates the row when there is none. A retry takes its combinations back, if they were
        released and are still free. The same writer claiming the same run again is
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
        A job that was cancelled before anything was paid has left nothing to avoid.
        """
        ...

    async def owned_picture(self, owner: OwnerId, sha256: str) -> StoredPicture | None:
        """Find a stored picture of this owner by its own or its thumbnail's hash."""
        ...


class Reservations(Protocol):
    """Which combinations the jobs of an owner have for themselves, by `combination_key`."""

    async def reserve(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> tuple[Combination, ...]:
        """Reserve all of them in one transaction, or none.

        Answers those that another job of this owner has; empty means that all are this job's
        now. What the job has already counts as reserved.
        """
        ...

    async def keep(
        self, owner: OwnerId, job_id: JobId, combinations: Sequence[Combination]
    ) -> None:
        """Reserve those that are free, for a job that does not mind sharing the others."""
        ...

    async def release(self, job_id: JobId) -> None:
        """Free all that a job has; harmless if it has nothing."""
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

    async def call(self, row: LedgerRow, terms: CallTerms) -> LedgerRow | Held:
        """Move `intent -> calling`, if the gate and the provider's limits let this call through.

        All in one transaction: the gate, what is in flight, the rates, the calls of older jobs
        that wait, whether the job is paused, fence and state. A call that is held back because
        the provider is busy waits in line from then on, for as long as it keeps asking.

        Raises:
            FenceLost: the row has another fence or another state by now.
        """
        ...

    async def step_aside(self, key: CallKey) -> None:
        """Stop waiting in line; harmless if it does not wait."""
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


class GateBoard(Protocol):
    """Whether each model of each provider may be called. Purchases ask through the ledger.

    A purchase that leaves `calling` because its provider answered closes the gate by itself.
    """

    async def gate(self, key: GateKey) -> Gate:
        """Read a gate; one that was never moved is closed."""
        ...

    async def gates(self) -> tuple[Gate, ...]:
        """Read every gate that was ever moved, by provider and model."""
        ...

    async def ask(self, key: GateKey, call: str, terms: CallTerms) -> Held | None:
        """Let a call without a ledger row through, counting it where there are rates."""
        ...

    async def succeeded(self, key: GateKey, call: str) -> None:
        """Forget failures, and close a gate whose canary this was."""
        ...

    async def failed(self, told: FailedCall, plan: BreakerPlan) -> Gate:
        """Count a failure, and answer the gate after it."""
        ...

    async def move(self, moved: HandMove) -> Gate:
        """Open or close a gate by hand, audited in the same transaction.

        Raises:
            IllegalTransition: it is closed already.
        """
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
class ProductPhoto:
    """A product photo as it travels inside an order."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOrder:
    """What is sent to an image provider; `prepare` fills in photos that travel along."""

    call: CallKey
    prompt: str
    image: ImageSpec
    product: tuple[FileId, ...]
    photos: tuple[ProductPhoto, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAccepted:
    """The provider works on the picture, under this name."""

    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMade:
    """The reply is the picture; there is nothing to ask for later."""

    content: bytes = field(repr=False)


Bought: TypeAlias = TaskAccepted | PictureMade


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The provider's answer once a picture can be fetched."""

    url: str


class ImageProvider(Protocol):
    """A paid image API: it works on tasks (submit, ask, fetch), or answers with the picture."""

    @property
    def grace(self) -> timedelta:
        """How long after a call word of it may still come; longer than a POST takes."""
        ...

    @property
    def calls_back(self) -> bool:
        """Say whether a callback may still tell what became of a call whose reply was lost."""
        ...

    def price_micros(self, image: ImageSpec) -> int:
        """Highest possible price of one picture."""
        ...

    async def prepare(self, order: PictureOrder) -> PictureOrder:
        """Put into an order what must travel with it; free, and nothing is sent.

        Raises:
            StoreUnavailable, FilesUnavailable: ask again.
            FileMissing: a photo is not there.
            RequestRefused: the order can never be sent.
        """
        ...

    async def submit(self, order: PictureOrder) -> Bought:
        """Buy one picture, with one POST.

        Raises:
            ProviderError: `billing` says whether it may have been accepted; `cost_micros` is
                what an answer without a picture cost, where that is known.
        """
        ...

    async def collect(self, task_id: str) -> Ready | None:
        """Ask once; None while the provider is still drawing.

        Raises:
            ProviderError: the task failed, could not be asked about, or was never one.
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
    """A word from an activity to its own job's workflow."""

    async def cancel(self, workflow_id: str, run_id: str) -> None:
        """Ask Temporal to cancel one run; harmless when it is over."""
        ...

    async def prompts_enhanced(self, job_id: JobId, prompts: dict[str, str]) -> None:
        """Tell which items have a prompt now; the workflow ignores what it already knows."""
        ...


class GateSignals(Protocol):
    """A word to the workflow of a gate, which is made when it is not there."""

    async def park(self, order: ParkOrder) -> None:
        """Have a job woken when its calls may pass; repeated: in place."""
        ...

    async def watch(self, key: GateKey) -> None:
        """Have somebody look after a gate that has opened; harmless when somebody does."""
        ...


class AuditLog(Protocol):
    """What operators and schedules did; only ever added to."""

    async def add(self, entry: AuditEntry) -> None:
        """Write one deed down."""
        ...

    async def entries(
        self, target: str | None = None, *, before: int | None = None, limit: int
    ) -> tuple[AuditRecord, ...]:
        """Read deeds, newest first; with a target, only what was done to it.

        Args:
            target: id of what was touched; None for everything.
            before: number of the last deed of the page before.
            limit: at most.
        """
        ...


class DeadLetterStore(Protocol):
    """Failed runs that somebody must look at.

    A job's failed end parks its letter, and the claim of its next run closes it, in the
    transactions that store them: no method of this port is needed for either. Every deed here
    is audited in its own transaction, except `redriven`: whoever redrives audits that first.
    """

    async def park(self, letter: DeadLetter, *, by: str) -> None:
        """Park a run that cannot say itself that it failed; one that is there is renewed."""
        ...

    async def letters(self, wanted: LetterFilter, *, limit: int) -> tuple[LetterRecord, ...]:
        """List letters, oldest first by (parked_at, job_id, run)."""
        ...

    async def letter(self, job_id: JobId, *, run: int | None = None) -> LetterRecord | None:
        """Read the letter of a run, or of the job's latest run that has one."""
        ...

    async def counts(self, wanted: LetterFilter) -> tuple[LetterCount, ...]:
        """Count letters by code and stage, most first; the filter's place is ignored."""
        ...

    async def due(
        self, at: datetime, ladder: Sequence[timedelta], *, limit: int
    ) -> tuple[Escalation, ...]:
        """Find parked letters whose level is lower than their age asks for, oldest first."""
        ...

    async def escalate(self, told: Sequence[Escalation], *, at: datetime, by: str) -> int:
        """Raise the level of letters that were told; counts those that were still due."""
        ...

    async def discard(self, verdict: LetterVerdict) -> bool:
        """Close a parked letter for good; false when it is not parked (any more)."""
        ...

    async def reopen(self, verdict: LetterVerdict) -> bool:
        """Park a discarded letter again, untold; false when it is not, or its job went on."""
        ...

    async def redriven(self, verdict: LetterVerdict) -> bool:
        """Close a letter whose job was started again, or say why its claim has closed it.

        False when somebody else started it, or it is said already.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that operators should look at; `key` is the same when it is told again."""

    key: str
    kind: str  # past tense, as in the log
    at: datetime
    facts: dict[str, str | int | datetime | None]


class Notifier(Protocol):
    """The way to the people who run the house, beside the log."""

    async def tell(self, alerts: Sequence[Alert]) -> None:
        """Tell all of them at once; at least one.

        Raises:
            OperatorsUnreachable: nobody took them; tell them again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlace:
    """One purchase's place among all of a state, oldest call first."""

    called_at: datetime
    key: CallKey


class Inventory(Protocol):
    """What the store holds of all owners, page by page, for reconcile.

    `after` is the place of the last row of the page before.
    """

    async def jobs_in(
        self, state: JobState, *, after: JobPlace | None = None, limit: int
    ) -> tuple[WrittenJob, ...]:
        """Read jobs in one state, oldest first."""
        ...

    async def written(self, job_id: JobId) -> WrittenJob | None:
        """Read one job's row with the name of its writer."""
        ...

    async def restore(self, job: WrittenJob, items: tuple[Item, ...]) -> bool:
        """Write a job that the store has forgotten; false if it is there."""
        ...

    async def kept_files(
        self, *, after: tuple[JobId, str] | None = None, limit: int
    ) -> tuple[KeptFile, ...]:
        """Read the stored pictures of all jobs, by job and item."""
        ...

    async def purchases_in(
        self,
        state: LedgerState,
        *,
        called_before: datetime,
        after: CallPlace | None = None,
        limit: int,
    ) -> tuple[LedgerRow, ...]:
        """Read purchases in one state that nobody has abandoned, oldest call first."""
        ...

    async def note(self, row: LedgerRow, failure: Failure | None) -> bool:
        """Write down what is wrong with a purchase, or that nothing is; false if it moved on."""
        ...


class JobTruth(Protocol):
    """What Temporal says of jobs, and what may be done to their runs from outside.

    When Temporal cannot be asked, its own error leaves, and the step is tried again.
    """

    async def run_of(self, workflow_id: str) -> RunView | None:
        """Describe the latest run; None if Temporal knows none."""
        ...

    def running(self) -> AsyncIterator[JobId]:
        """Name the jobs that run; one that began or ended just now may be missed."""
        ...

    def ended_since(self, moment: datetime) -> AsyncIterator[JobId]:
        """Name the jobs of which a run was over at that moment or later, some more than once."""
        ...

    async def live(self, job_id: JobId) -> LiveJob | None:
        """Ask a job's latest run what it knows; None if no worker answers."""
        ...

    async def queue(self) -> QueueView | None:
        """Ask the pool who holds a slot; None if there is no pool, or no worker answers."""
        ...

    async def start_of(self, run: RunView) -> JobStart:
        """Read with what a run was started."""
        ...

    async def end_of(self, run: RunView) -> Failure:
        """Read how a run that is over came to its end, in words and with its code."""
        ...

    async def terminate(self, run: RunView, *, reason: str) -> None:
        """End a run without a word to it; harmless when it is over."""
        ...

    async def restart(self, start: JobStart, *, then: str | None = None) -> bool:
        """Start one more run of a job; false if one is running already.

        Args:
            start: of the run.
            then: what the run is told as soon as it is started, `cancel` or `pause`.
        """
        ...


class QueueStore(Protocol):
    """How the queue admits jobs, where an operator has changed it."""

    async def terms(self) -> QueueTerms | None:
        """Read what an operator decided last; None: the settings hold."""
        ...

    async def change(self, terms: QueueTerms, deed: AuditEntry) -> None:
        """Keep terms and the deed that made them, both or neither.

        Idempotent by `terms.changed_at`: terms that are kept already are not audited twice.
        """
        ...


class QueueSignals(Protocol):
    """A word to the slot pool, which is made when it is not there."""

    async def request(self, request: SlotRequest) -> None:
        """Ask for a slot."""
        ...

    async def release(self, release: SlotRelease) -> None:
        """Give a slot back, or leave the line."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One execution in Temporal of a job that needs a slot."""

    workflow_id: str
    run_id: str
    first_run_id: str | None = None  # lists do not tell it
    owner: OwnerId
    started_at: datetime
    closed_at: datetime | None = None  # none: it is open


class JobRuns(Protocol):
    """What Temporal knows of jobs that need slots; an RPC that fails leaves as its own error."""

    async def running(self) -> tuple[JobRun, ...]:
        """List open runs; one that began within the last second may be missing."""
        ...

    async def ended_since(self, moment: datetime) -> tuple[JobRun, ...]:
        """List runs that were ended from outside: terminated, or timed out by Temporal."""
        ...

    async def run_of(self, workflow_id: str, *, run_id: str | None = None) -> JobRun | None:
        """Find a run, by default the job's latest; None when Temporal has forgotten it."""
        ...

    async def slot_claim(self, run: JobRun) -> SlotClaim | None:
        """Ask a run, open or not, what it holds or waits for; None: it does not answer."""
        ...

    async def is_alone(self, workflow_id: str, run_id: str, *, since: datetime) -> bool:
        """Say whether no other run of a workflow was open at or after a moment."""
        ...
