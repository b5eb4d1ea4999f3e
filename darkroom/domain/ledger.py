"""How one picture is bought at most once: the states of a purchase and what to do in each.

The row of a take is (job, item, take). Every attempt takes a higher fence; a transition
that another attempt's fence has overtaken changes nothing. See docs/adr/0003.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from darkroom.domain.breakers import GateKey
from darkroom.domain.errors import Failure
from darkroom.domain.items import StoredPicture
from darkroom.domain.job import JobId, OwnerId


class LedgerState(StrEnum):
    """How far a purchase has come."""

    INTENT = "intent"  # nothing was sent
    CALLING = "calling"  # a POST may be on its way: only its reply or callback can tell
    ACCEPTED = "accepted"  # the provider works on it and names the task
    READY = "ready"  # the provider names the address of the result
    STORED = "stored"  # the picture is ours
    SETTLED = "settled"  # paid for, and over: with a picture, or with why there is none
    REFUSED = "refused"  # not made, not paid
    UNKNOWN = "unknown"  # the reply was lost and nobody told in time what became of the call


# calling -> intent: the provider certainly did not accept, so the take may be sent again.
# calling -> stored: the reply itself was the picture; -> settled: it was paid for and is useless.
# ready -> ready: the provider named a fresh address for the same result.
# unknown -> ...: whoever sent it got the reply after all, or the provider called back.
MOVES: dict[LedgerState, frozenset[LedgerState]] = {
    LedgerState.INTENT: frozenset({LedgerState.CALLING}),
    LedgerState.CALLING: frozenset(
        {
            *(LedgerState.INTENT, LedgerState.ACCEPTED, LedgerState.STORED),
            *(LedgerState.SETTLED, LedgerState.REFUSED, LedgerState.UNKNOWN),
        }
    ),
    LedgerState.ACCEPTED: frozenset({LedgerState.READY, LedgerState.REFUSED}),
    LedgerState.READY: frozenset({LedgerState.READY, LedgerState.STORED}),
    LedgerState.STORED: frozenset({LedgerState.SETTLED}),
    LedgerState.SETTLED: frozenset(),
    LedgerState.REFUSED: frozenset(),
    LedgerState.UNKNOWN: frozenset(
        {LedgerState.ACCEPTED, LedgerState.STORED, LedgerState.SETTLED, LedgerState.REFUSED}
    ),
}
# From `calling` to one of these, the provider has answered: it is there.
ANSWERED = MOVES[LedgerState.CALLING] - {LedgerState.INTENT, LedgerState.UNKNOWN}
ADOPTABLE = frozenset({LedgerState.CALLING, LedgerState.UNKNOWN})
PAID = frozenset({LedgerState.ACCEPTED, LedgerState.READY, LedgerState.STORED, LedgerState.SETTLED})
MAYBE_PAID = PAID | ADOPTABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class CallKey:
    """Name of one purchase; its text travels to the provider as `X-Darkroom-Call`."""

    job: JobId
    item: str
    take: int

    def __str__(self) -> str:
        return f"{self.job}/{self.item}/{self.take}"


def parse_call(text: str) -> CallKey:
    """Read what `str(CallKey)` wrote.

    Raises:
        ValueError: the text is not job/item/take.
    """
    job, item, take = text.split("/")
    return CallKey(job=JobId(job), item=item, take=int(take))


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOpening:
    """What is known of a purchase before anything is sent; money in micro-units of USD."""

    key: CallKey
    owner: OwnerId
    provider: str
    model: str
    price_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One purchase as the store remembers it."""

    key: CallKey
    owner: OwnerId
    provider: str
    model: str
    price_micros: int
    state: LedgerState
    fence: int
    called_at: datetime | None = None  # when the last POST began
    task_id: str | None = None
    result_url: str | None = None
    picture: StoredPicture | None = None
    failure: Failure | None = None
    hinted: bool = False  # a callback says that there is something to collect
    abandoned: bool = False  # paid for, but its job no longer waits for it

    @property
    def gate(self) -> GateKey:
        """Name the gate that its call must pass."""
        return GateKey(provider=self.provider, model=self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerChanges:
    """Columns a transition fills in; None leaves a column as it is."""

    called_at: datetime | None = None
    task_id: str | None = None
    result_url: str | None = None
    picture: StoredPicture | None = None
    failure: Failure | None = None


NO_CHANGES = LedgerChanges()


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Nothing was sent: send it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitAdoption:
    """It was sent and nobody knows what became of it: wait for word until this moment."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """The provider works on it: ask until it is ready."""

    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """The result has an address: fetch, verify and keep it."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The picture is ours: book the price."""

    picture: StoredPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Nothing is left to do."""

    picture: StoredPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """This take will never become a picture, or nobody can tell (`unknown`)."""

    state: LedgerState
    failure: Failure | None


LedgerStep: TypeAlias = Send | AwaitAdoption | Collect | Download | Settle | Delivered | Over


def next_step(row: LedgerRow, *, grace: timedelta) -> LedgerStep:
    """Say what an attempt that finds this row must do.

    Args:
        row: as just read, under the caller's own fence.
        grace: how long after `called_at` word of the call may still come.
    """
    match row:
        case LedgerRow(state=LedgerState.INTENT):
            return Send()
        case LedgerRow(state=LedgerState.CALLING, called_at=datetime() as called_at):
            return AwaitAdoption(until=called_at + grace)
        case LedgerRow(state=LedgerState.ACCEPTED, task_id=str(task_id)):
            return Collect(task_id=task_id)
        case LedgerRow(state=LedgerState.READY, result_url=str(url)):
            return Download(url=url)
        case LedgerRow(state=LedgerState.STORED, picture=StoredPicture() as picture):
            return Settle(picture=picture)
        case LedgerRow(state=LedgerState.SETTLED, picture=StoredPicture() as picture):
            return Delivered(picture=picture)
        case LedgerRow(state=LedgerState.SETTLED | LedgerState.REFUSED | LedgerState.UNKNOWN):
            return Over(state=row.state, failure=row.failure)
        case _:
            raise ValueError(f"ledger row {row.key} is {row.state} but lacks what that state needs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Money of one job in micro-units of USD; `unknown` may or may not have been charged."""

    estimated_micros: int = 0
    spent_micros: int = 0
    unknown_micros: int = 0


NO_COST = Cost()


def bill(rows: Iterable[LedgerRow], *, prompts_micros: int, estimated_micros: int) -> Cost:
    """Add up what a job's purchases cost."""
    known = list(rows)
    return Cost(
        estimated_micros=estimated_micros,
        spent_micros=prompts_micros + sum(r.price_micros for r in known if r.state in PAID),
        unknown_micros=sum(r.price_micros for r in known if r.state in ADOPTABLE),
    )
