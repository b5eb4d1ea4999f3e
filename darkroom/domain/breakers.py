"""Whether a provider's model may be called: a breaker as pure transitions of one value.

The words are a breaker's: *closed* lets calls through, *open* holds them back, *half open* lets
one real call through, the canary, to find out. Time and chance come from the caller.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from darkroom.domain.errors import (
    OPERATOR_CODES,
    Disposition,
    Failure,
    IllegalTransition,
    ProviderUnavailable,
    RateLimited,
    ReplyLost,
)
from darkroom.domain.permits import PROVIDER_PARKED, Held

# A call that was not accepted, or of which nobody knows: the provider may be away.
OUTAGE_CODES = frozenset({ProviderUnavailable.code, ReplyLost.code})
OPENED_BY_HAND = "opened_by_hand"

# Waits are drawn out by up to a quarter, so that gates which opened together do not try together.
JITTER = 0.25


class GateState(StrEnum):
    """Whether calls pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKey:
    """Which gate: one for each model of a provider."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPlan:
    """When a gate opens by itself, and for how long. Source: spec.md 3, docs/adr/0005."""

    failures: int = 5  # in a row
    cooldown: timedelta = timedelta(seconds=10)  # of the first opening; doubles with each
    longest: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate as the store remembers it; a gate that it does not know is closed."""

    key: GateKey
    state: GateState = GateState.CLOSED
    failures: int = 0  # in a row, while closed
    trips: int = 0  # openings since a call last succeeded
    opened_at: datetime | None = None
    until: datetime | None = None  # of an open gate; None: until an operator closes it
    canary: str | None = None  # the one call that may find out
    lease_until: datetime | None = None  # after which the canary counts as lost
    by: str = ""  # who moved it last by hand
    failure: Failure | None = None  # what opened it

    @property
    def is_quiet(self) -> bool:
        """Say whether a success would change nothing."""
        return self.state is GateState.CLOSED and not self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """One call that failed. `chance` is drawn by the caller, between 0 and 1."""

    key: GateKey
    call: str
    failure: Failure
    at: datetime
    chance: float = 0.0


class Hand(StrEnum):
    """What an operator may do to a gate."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandMove:
    """An operator's word about one gate."""

    key: GateKey
    hand: Hand
    by: str
    reason: str = ""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOpened:
    """Signal to a parked job: try again. A canary tries with one part only."""

    key: GateKey
    is_canary: bool = False


class Verdict(StrEnum):
    """What a failed call says about its provider."""

    ALIVE = "alive"  # it answered; what it did not like was ours
    SLOW = "slow"  # it asks for a short pause, which each job takes by itself
    AWAY = "away"
    NEEDS_OPERATOR = "needs_operator"


def verdict(failure: Failure, plan: BreakerPlan) -> Verdict:
    """Read a failure of a call.

    A rate limit speaks of an outage only when the provider names a wait as long as a cooldown:
    that is a quota which is used up. Shorter ones are part of a busy provider's ordinary day.
    """
    if failure.code in OPERATOR_CODES:
        return Verdict.NEEDS_OPERATOR
    if failure.code in OUTAGE_CODES:
        return Verdict.AWAY
    if failure.code == RateLimited.code:
        is_quota = (failure.retry_after or timedelta(0)) >= plan.cooldown
        return Verdict.AWAY if is_quota else Verdict.SLOW
    return Verdict.ALIVE


def ask(gate: Gate, *, call: str, now: datetime, lease: timedelta) -> Gate | Held:
    """Let a call through, or hold it back.

    Args:
        gate: as just read.
        call: its name; asking twice is one call.
        now: when.
        lease: how long a canary may take to find out.

    Returns:
        The gate once the call has passed: changed when it passed as the canary.
    """
    match gate.state:
        case GateState.CLOSED:
            return gate
        case GateState.OPEN:
            if gate.until is None or now < gate.until:
                return held_by(gate)
        case GateState.HALF_OPEN:
            if gate.canary not in {None, call} and now < (gate.lease_until or now):
                return held_by(gate)
        case _:
            assert_never(gate.state)
    return replace(
        gate, state=GateState.HALF_OPEN, until=None, canary=call, lease_until=now + lease
    )


def held_by(gate: Gate) -> Held:
    """Say why a gate that is not closed holds a call back, and until when."""
    until = gate.lease_until if gate.state is GateState.HALF_OPEN else gate.until
    return Held(code=PROVIDER_PARKED, why=_why(gate), until=until)


def succeeded(gate: Gate, *, call: str) -> Gate:
    """Forget failures; close a half-open gate if this was its canary.

    An answer to a call from before the opening says nothing about now.
    """
    is_canary = gate.state is GateState.HALF_OPEN and gate.canary == call
    if gate.state is GateState.CLOSED or is_canary:
        return Gate(key=gate.key)
    return gate


def failed(gate: Gate, told: FailedCall, plan: BreakerPlan) -> Gate:
    """Count a failure; open the gate at the last one that is too many."""
    match verdict(told.failure, plan):
        case Verdict.ALIVE:
            return succeeded(gate, call=told.call)
        case Verdict.NEEDS_OPERATOR:
            return _await_operator(gate, told)
        case Verdict.SLOW:
            return _reopen(gate, told, plan) if _is_canary(gate, told.call) else gate
        case Verdict.AWAY:
            return _count(gate, told, plan)


def move(gate: Gate, moved: HandMove) -> Gate:
    """Open or close a gate by hand; a gate that is closed by hand asks for a canary at once.

    Raises:
        IllegalTransition: it is closed already.
    """
    if moved.hand is Hand.OPEN:
        return Gate(
            key=gate.key,
            state=GateState.OPEN,
            opened_at=moved.at,
            by=moved.by,
            failure=_opened_by(moved),
        )
    if gate.state is GateState.CLOSED:
        raise IllegalTransition(f"the gate of {gate.key} is closed already: calls go through")
    return replace(
        gate, state=GateState.HALF_OPEN, until=None, canary=None, lease_until=None, by=moved.by
    )


def _count(gate: Gate, told: FailedCall, plan: BreakerPlan) -> Gate:
    if gate.state is GateState.CLOSED:
        counted = replace(gate, failures=gate.failures + 1)
        return counted if counted.failures < plan.failures else _reopen(counted, told, plan)
    return _reopen(gate, told, plan) if _is_canary(gate, told.call) else gate


def _is_canary(gate: Gate, call: str) -> bool:
    return gate.state is GateState.HALF_OPEN and gate.canary == call


def _reopen(gate: Gate, told: FailedCall, plan: BreakerPlan) -> Gate:
    """Open for a cooldown, longer with each time in a row; the provider's own wait wins."""
    # A float power beyond 2**1000 overflows; past the longest wait nothing changes.
    cooldown = min(plan.cooldown * 2.0 ** min(gate.trips, 32), plan.longest)
    cooldown *= 1 + JITTER * told.chance
    wait = max(cooldown, told.failure.retry_after or cooldown)
    return _opened(gate, told, until=told.at + wait)


def _await_operator(gate: Gate, told: FailedCall) -> Gate:
    """Open until an operator acts, unless this is a late answer that a gate knows already."""
    is_known = gate.state is GateState.OPEN and gate.until is None
    is_late = gate.state is GateState.HALF_OPEN and gate.canary != told.call
    return gate if is_known or is_late else _opened(gate, told, until=None)


def _opened(gate: Gate, told: FailedCall, *, until: datetime | None) -> Gate:
    return Gate(
        key=gate.key,
        state=GateState.OPEN,
        trips=gate.trips + 1,
        opened_at=told.at,
        until=until,
        failure=told.failure,
    )


def _opened_by(moved: HandMove) -> Failure:
    reason = f": {moved.reason}" if moved.reason else ""
    return Failure(
        code=OPENED_BY_HAND,
        message=f"{moved.by} holds calls to {moved.key} back{reason}",
        disposition=Disposition.WAIT,
        provider=moved.key.provider,
    )


def _why(gate: Gate) -> str:
    """Say in words a caller can read why calls do not pass."""
    cause = gate.failure.message if gate.failure else "it did not answer"
    if gate.state is GateState.HALF_OPEN:
        return f"{gate.key}: one call is finding out whether it answers again ({cause})"
    if gate.until is None:
        return f"{gate.key}: an operator must let calls through again ({cause})"
    return f"{gate.key}: calls are held back until it is asked again ({cause})"
