"""A gate opens on what looks like an outage, and one call finds out whether it is over."""

from dataclasses import replace
from datetime import timedelta

import pytest

from darkroom.domain.breakers import (
    BreakerPlan,
    FailedCall,
    Gate,
    GateKey,
    GateState,
    Hand,
    HandMove,
    Verdict,
    ask,
    failed,
    move,
    succeeded,
    verdict,
)
from darkroom.domain.errors import (
    AnswerUnusable,
    ContentRefused,
    CreditsExhausted,
    Failure,
    GenerationFailed,
    IllegalTransition,
    KeyRefused,
    ProviderUnavailable,
    RateLimited,
    ReplyLost,
    RequestRefused,
)
from darkroom.domain.permits import PROVIDER_PARKED, Held
from tests.support.builders import NOW, a_failure

KEY = GateKey(provider="nanobanana", model="nano-banana-2")
PLAN = BreakerPlan(failures=3, cooldown=timedelta(seconds=10), longest=timedelta(seconds=60))
LEASE = timedelta(seconds=45)
SECOND = timedelta(seconds=1)
CLOSED = Gate(key=KEY)
OUTAGE = a_failure(retry_after=None)


def told(
    call: str = "a", *, failure: Failure = OUTAGE, at: timedelta = timedelta(0), chance: float = 0.0
) -> FailedCall:
    """Fail one call, so long after NOW."""
    return FailedCall(key=KEY, call=call, failure=failure, at=NOW + at, chance=chance)


def tripped() -> Gate:
    """Open a gate by failing often enough."""
    gate = CLOSED
    for _ in range(PLAN.failures):
        gate = failed(gate, told(), PLAN)
    return gate


def half_open(canary: str = "canary") -> Gate:
    """Let a canary through, eleven seconds after the opening."""
    gate = ask(tripped(), call=canary, now=NOW + 11 * SECOND, lease=LEASE)
    assert isinstance(gate, Gate)
    return gate


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ProviderUnavailable.code, Verdict.AWAY),
        (ReplyLost.code, Verdict.AWAY),
        (KeyRefused.code, Verdict.NEEDS_OPERATOR),
        (CreditsExhausted.code, Verdict.NEEDS_OPERATOR),
        (RateLimited.code, Verdict.SLOW),
        (ContentRefused.code, Verdict.ALIVE),
        (RequestRefused.code, Verdict.ALIVE),
        (GenerationFailed.code, Verdict.ALIVE),
        (AnswerUnusable.code, Verdict.ALIVE),
    ],
)
def test_a_failure_says_something_about_its_provider(code: str, expected: Verdict) -> None:
    """Whoever answered is there, whatever the answer was."""
    assert verdict(a_failure(code=code, retry_after=None), PLAN) is expected


def test_a_used_up_quota_is_an_outage() -> None:
    """A rate limit with a wait as long as a cooldown is not an ordinary busy moment."""
    limited = a_failure(code=RateLimited.code, retry_after=PLAN.cooldown)

    assert verdict(limited, PLAN) is Verdict.AWAY
    assert verdict(replace(limited, retry_after=PLAN.cooldown - SECOND), PLAN) is Verdict.SLOW


def test_failures_in_a_row_open_the_gate() -> None:
    """One fewer does not; the opening says since when, until when and why."""
    gate = failed(failed(CLOSED, told(), PLAN), told(), PLAN)
    assert (gate.state, gate.failures) == (GateState.CLOSED, 2)

    gate = failed(gate, told(), PLAN)

    assert (gate.state, gate.trips, gate.failure) == (GateState.OPEN, 1, OUTAGE)
    assert (gate.opened_at, gate.until) == (NOW, NOW + PLAN.cooldown)


def test_a_success_in_between_starts_the_count_again() -> None:
    """Only failures in a row count."""
    gate = failed(failed(CLOSED, told(), PLAN), told(), PLAN)

    assert succeeded(gate, call="b") == CLOSED


@pytest.mark.parametrize("code", [ContentRefused.code, GenerationFailed.code])
def test_a_refusal_counts_as_an_answer(code: str) -> None:
    """A provider that refuses a picture is there."""
    gate = failed(failed(CLOSED, told(), PLAN), told(), PLAN)

    assert failed(gate, told(failure=a_failure(code=code)), PLAN) == CLOSED


def test_a_busy_moment_counts_for_nothing() -> None:
    """A short rate limit neither opens a gate nor forgives the failures before it."""
    gate = failed(CLOSED, told(), PLAN)

    assert failed(gate, told(failure=a_failure(code=RateLimited.code)), PLAN) == gate


def test_an_open_gate_holds_back_until_its_time() -> None:
    """The last moment of the cooldown still counts; the next call is the canary."""
    gate = tripped()
    assert gate.until

    held = ask(gate, call="b", now=gate.until - SECOND, lease=LEASE)
    passed = ask(gate, call="b", now=gate.until, lease=LEASE)

    assert isinstance(held, Held)
    assert (held.code, held.until) == (PROVIDER_PARKED, gate.until)
    assert isinstance(passed, Gate)
    assert (passed.state, passed.canary) == (GateState.HALF_OPEN, "b")
    assert passed.lease_until == gate.until + LEASE


def test_only_the_canary_passes_a_half_open_gate() -> None:
    """Asking again under the same name is the same call, with a new lease."""
    gate = half_open("b")

    assert isinstance(ask(gate, call="c", now=NOW + 12 * SECOND, lease=LEASE), Held)
    again = ask(gate, call="b", now=NOW + 12 * SECOND, lease=LEASE)
    assert again == replace(gate, lease_until=NOW + 12 * SECOND + LEASE)


def test_a_lapsed_lease_passes_to_the_next_call() -> None:
    """A canary that was never heard of again is lost."""
    passed = ask(half_open("b"), call="c", now=NOW + 11 * SECOND + LEASE, lease=LEASE)

    assert isinstance(passed, Gate)
    assert passed.canary == "c"


def test_late_answers_say_nothing_about_now() -> None:
    """A call from before the opening neither closes nor opens a gate."""
    for gate in (tripped(), half_open("b")):
        assert succeeded(gate, call="a") == gate
        assert failed(gate, told("a", at=12 * SECOND), PLAN) == gate


def test_each_opening_in_a_row_waits_twice_as_long() -> None:
    """Up to the longest; a success in between begins anew."""
    gate, waits = half_open(), list[timedelta]()
    for _ in range(5):
        gate = failed(gate, told("canary"), PLAN)
        assert gate.until
        waits.append(gate.until - NOW)
        gate = replace(gate, state=GateState.HALF_OPEN, canary="canary")

    assert waits == [20 * SECOND, 40 * SECOND, 60 * SECOND, 60 * SECOND, 60 * SECOND]


def test_chance_draws_a_wait_out_by_up_to_a_quarter() -> None:
    """So that the gates of several models do not all try in the same second."""
    gate = replace(CLOSED, failures=PLAN.failures - 1)

    assert failed(gate, told(chance=1.0), PLAN).until == NOW + 1.25 * PLAN.cooldown


def test_the_provider_s_own_wait_wins() -> None:
    """When it says how long, asking earlier is of no use."""
    gate = replace(CLOSED, failures=PLAN.failures - 1)
    patient = a_failure(retry_after=timedelta(hours=1))

    assert failed(gate, told(failure=patient), PLAN).until == NOW + timedelta(hours=1)


def test_a_canary_that_is_told_to_slow_down_opens_the_gate_again() -> None:
    """It has not found out that calls pass."""
    gate = failed(half_open("b"), told("b", failure=a_failure(code=RateLimited.code)), PLAN)

    assert gate.state is GateState.OPEN


@pytest.mark.parametrize("code", [KeyRefused.code, CreditsExhausted.code])
def test_a_refused_key_waits_for_an_operator(code: str) -> None:
    """At the first time, from any state, and without an end that time would bring."""
    refused = told("b", failure=a_failure(code=code))

    for gate in (CLOSED, tripped(), half_open("b")):
        opened = failed(gate, refused, PLAN)
        assert (opened.state, opened.until) == (GateState.OPEN, None)
        assert failed(opened, refused, PLAN) == opened


def test_a_late_refusal_does_not_undo_what_an_operator_did() -> None:
    """The account was topped up; only the canary can say that it did not help."""
    refused = told("a", failure=a_failure(code=CreditsExhausted.code))
    opened = failed(CLOSED, refused, PLAN)
    closed = move(opened, HandMove(key=KEY, hand=Hand.CLOSE, by="ada", at=NOW))

    assert failed(closed, refused, PLAN) == closed


def test_a_gate_closed_by_hand_asks_for_a_canary_at_once() -> None:
    """Nobody believes a hand before a call has succeeded."""
    closed = move(tripped(), HandMove(key=KEY, hand=Hand.CLOSE, by="ada", at=NOW))
    assert (closed.state, closed.canary, closed.by) == (GateState.HALF_OPEN, None, "ada")

    passed = ask(closed, call="b", now=NOW, lease=LEASE)

    assert isinstance(passed, Gate)
    assert succeeded(passed, call="b") == CLOSED


def test_a_closed_gate_cannot_be_closed() -> None:
    """There is nothing to do, and whoever asks should know."""
    with pytest.raises(IllegalTransition, match="closed already"):
        move(CLOSED, HandMove(key=KEY, hand=Hand.CLOSE, by="ada", at=NOW))
