"""The gate against a simple model, over any order of calls, answers, hands and time."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from darkroom.domain.breakers import (
    JITTER,
    BreakerPlan,
    FailedCall,
    Gate,
    GateKey,
    GateState,
    Hand,
    HandMove,
    ask,
    failed,
    move,
    succeeded,
)
from darkroom.domain.errors import CreditsExhausted, Failure, IllegalTransition
from tests.support.builders import NOW, a_failure

KEY = GateKey(provider="nanobanana", model="nano-banana-2")
PLAN = BreakerPlan(failures=3, cooldown=timedelta(seconds=10), longest=timedelta(seconds=60))
LEASE = timedelta(seconds=45)
CALLS = st.sampled_from(["a", "b", "c", "d"])
OUTAGE = a_failure(retry_after=None)
BROKE = a_failure(code=CreditsExhausted.code, retry_after=None)


class GateAgainstModel(RuleBasedStateMachine):
    """The model knows a row of failures, whether something is wrong, and who is finding out."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(key=KEY)
        self.now: datetime = NOW
        self.row = 0  # failures since something last went well
        self.is_wrong = False  # something is, until a canary succeeds
        self.needs_hand = False
        self.not_before: datetime | None = None  # of the next canary
        self.trier: str | None = None
        self.tries_until: datetime | None = None

    @property
    def may_try(self) -> bool:
        """Say whether the next call is to find out."""
        if self.needs_hand or (self.not_before and self.now < self.not_before):
            return False
        return self.trier is None or self.tries_until is None or self.now >= self.tries_until

    @rule(call=CALLS)
    def a_call_asks(self, call: str) -> None:
        """Everybody passes while nothing is wrong, otherwise one that finds out."""
        answer = ask(self.gate, call=call, now=self.now, lease=LEASE)

        passes = not self.is_wrong or self.may_try or call == self.trier
        assert isinstance(answer, Gate) is passes
        if isinstance(answer, Gate):
            self.gate = answer
            if self.is_wrong:
                self.trier, self.tries_until = call, self.now + LEASE

    @rule(call=CALLS)
    def a_call_succeeds(self, call: str) -> None:
        """It counts while nothing is wrong, and for whoever finds out."""
        self.gate = succeeded(self.gate, call=call)

        if not self.is_wrong or call == self.trier:
            self._forget()

    @rule(call=CALLS, chance=st.floats(0, 1))
    def a_call_fails(self, call: str, chance: float) -> None:
        """Three in a row, or one that was to find out, and something is wrong."""
        self._fail(call, OUTAGE, chance)

        if not self.is_wrong:
            self.row += 1
        if (self.row >= PLAN.failures and not self.is_wrong) or call == self.trier:
            self._go_wrong()
            assert self.gate.until
            assert self.now + PLAN.cooldown <= self.gate.until
            assert self.gate.until <= self.now + PLAN.longest * (1 + JITTER)
            self.not_before = self.gate.until

    @rule(call=CALLS)
    def the_account_is_empty(self, call: str) -> None:
        """Only a hand helps, unless this is an old story to somebody who is finding out."""
        is_asking = self.is_wrong and not self.needs_hand and self.not_before is None
        self._fail(call, BROKE, 0.0)

        if not is_asking or call == self.trier:
            self._go_wrong()
            self.needs_hand = True

    @rule()
    def a_hand_opens(self) -> None:
        """Nothing passes until a hand closes."""
        self.gate = move(self.gate, HandMove(key=KEY, hand=Hand.OPEN, by="ada", at=self.now))

        self._go_wrong()
        self.needs_hand = True

    @precondition(lambda self: self.is_wrong)
    @rule()
    def a_hand_closes(self) -> None:
        """The next call finds out, whoever was about to."""
        self.gate = move(self.gate, HandMove(key=KEY, hand=Hand.CLOSE, by="ada", at=self.now))

        self._go_wrong()

    @precondition(lambda self: not self.is_wrong)
    @rule()
    def a_hand_closes_what_is_closed(self) -> None:
        """It is refused."""
        try:
            move(self.gate, HandMove(key=KEY, hand=Hand.CLOSE, by="ada", at=self.now))
        except IllegalTransition:
            return
        raise AssertionError("a closed gate was closed")

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        """It moves nothing by itself."""
        self.now += timedelta(seconds=seconds)

    @invariant()
    def the_state_says_what_the_model_knows(self) -> None:
        """Closed, open and half open are three readings of the same facts."""
        assert (self.gate.state is GateState.CLOSED) is not self.is_wrong
        if self.gate.state is GateState.OPEN:
            assert (self.gate.until is None) is self.needs_hand
        if self.gate.state is GateState.HALF_OPEN:
            assert self.gate.canary == self.trier

    def _fail(self, call: str, failure: Failure, chance: float) -> None:
        told = FailedCall(key=KEY, call=call, failure=failure, at=self.now, chance=chance)
        self.gate = failed(self.gate, told, PLAN)

    def _go_wrong(self) -> None:
        self.is_wrong, self.needs_hand = True, False
        self.not_before = self.trier = self.tries_until = None

    def _forget(self) -> None:
        self._go_wrong()
        self.is_wrong, self.row = False, 0


TestGate = GateAgainstModel.TestCase
TestGate.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
