"""How many calls a provider takes from us, and whose turn it is when it takes no more.

Knows nothing of databases: the ledger counts, and asks here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from darkroom.domain.errors import Disposition, Failure

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

# A waiting call says again and again that it waits; one that was silent for this long is gone.
WANTED_WITHIN = timedelta(seconds=8)

# Codes of what holds a call back. A job parks for the first and snoozes for the others.
PROVIDER_PARKED = "provider_parked"
PROVIDER_BUSY = "provider_busy"
JOB_PAUSED = "job_paused"  # as the store knows it: nothing more is bought

# How soon a job asks again when nobody knows until when its call is held back. Shorter than
# WANTED_WITHIN, so that the call keeps its place meanwhile.
ASK_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """What a provider takes from all workers together; None is no limit.

    `counted_within`: a call that began longer ago is not in flight any more, whatever its row
    says. `answered_within`: the longest a call may stay without an answer. `patience`: how long
    an attempt waits for a busy provider before it answers its job. A job that is paused or told
    to stop hears of such a call only then, so it is short; the call keeps its place in line.
    """

    concurrency: int | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    counted_within: timedelta = timedelta(minutes=10)
    answered_within: timedelta = timedelta(seconds=45)
    patience: timedelta = timedelta(seconds=5)

    @property
    def has_rates(self) -> bool:
        """Say whether calls must be counted over time."""
        return self.per_minute is not None or self.per_hour is not None

    @property
    def is_unlimited(self) -> bool:
        """Say whether nothing needs to be counted at all."""
        return self.concurrency is None and not self.has_rates


UNLIMITED = CallLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTerms:
    """What one call asks for: under which limits, when, and since when its job is admitted."""

    limits: CallLimits
    called_at: datetime
    admitted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A call that must not be made now: nothing was sent, and no attempt is spent.

    `until` is when to ask again; None: nobody can know, or an operator must act.
    """

    code: str  # PROVIDER_PARKED, PROVIDER_BUSY or JOB_PAUSED
    why: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One limit of a provider, and how much of it is used; `frees_at` when that is known."""

    what: str
    limit: int
    used: int
    frees_at: datetime | None = None


def holding(provider: str, use: Use, *, ahead: int) -> Held | None:
    """Hold a call back when every free permit belongs to a call of an older job.

    Args:
        provider: whose limit it is.
        use: of that limit.
        ahead: waiting calls of jobs that were admitted earlier.
    """
    if ahead < use.limit - use.used:
        return None
    behind = f", {ahead} older calls are first" if ahead else ""
    why = f"{provider}: {use.used} of {use.limit} {use.what} are taken{behind}"
    return Held(code=PROVIDER_BUSY, why=why, until=use.frees_at)


def longest(all_held: Iterable[Held | None]) -> Held | None:
    """Choose what holds a call back for longest; what nobody can date ends any moment."""
    held = [one for one in all_held if one is not None]
    dated = [(one.until, number) for number, one in enumerate(held) if one.until is not None]
    return held[max(dated)[1]] if dated else next(iter(held), None)


def held_failure(held: Held, *, provider: str, model: str, now: datetime) -> Failure:
    """Write a held call as what a job understands: a wait that spends nothing.

    A parked call without `retry_after` waits for an operator.
    """
    retry_after = max(held.until - now, ASK_AGAIN) if held.until else ASK_AGAIN
    if held.code == PROVIDER_PARKED and held.until is None:
        retry_after = None
    return Failure(
        code=held.code,
        message=held.why,
        disposition=Disposition.WAIT,
        provider=provider,
        model=model,
        retry_after=retry_after,
    )
