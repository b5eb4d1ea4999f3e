"""One purchase in the hands of any number of attempts, held against what the provider saw.

Real: the ledger with its fences and moves, and the decision what an attempt must do with the row
it finds. The model is the provider: it knows which calls it took on, and sends the bill. Attempts
are frozen, killed and overtaken at any point, replies and callbacks are lost.
"""

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from darkroom.domain.errors import FenceLost
from darkroom.domain.ledger import (
    ADOPTABLE,
    MOVES,
    NO_CHANGES,
    PAID,
    AwaitAdoption,
    Collect,
    Download,
    LedgerChanges,
    LedgerRow,
    LedgerState,
    Send,
    Settle,
    next_step,
)
from darkroom.domain.permits import UNLIMITED, CallTerms
from tests.support.builders import NOW, a_call, a_picture, an_opening
from tests.support.fakes import MemoryCallLedger, MemoryState

T = TypeVar("T")

CALL = a_call()
GRACE = timedelta(seconds=90)
MOST_ATTEMPTS = 4
CHOICE = st.integers(0, MOST_ATTEMPTS - 1)


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """An attempt and what it last read; `posted_at` while its POST is on the way."""

    row: LedgerRow
    posted_at: datetime | None = None
    task: str | None = None  # the provider took the POST on, and the reply is on its way


class Purchase(RuleBasedStateMachine):
    """Any interleaving of attempts, the provider and its callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryCallLedger(MemoryState())
        self.now = NOW
        self.attempts: list[Attempt] = []
        self.tasks: list[str] = []  # the provider's book: one line, one picture to pay
        self.withdrawn: list[datetime] = []  # calls that were taken back
        self.before: LedgerRow | None = None

    @precondition(lambda self: len(self.attempts) < MOST_ATTEMPTS)
    @rule()
    def begin(self) -> None:
        """An attempt begins; whoever was there before is overtaken and not told."""
        self.attempts.append(Attempt(row=done(self.ledger.open(an_opening()))))

    @precondition(lambda self: self.attempts)
    @rule(number=CHOICE)
    def go_on(self, number: int) -> None:
        """An attempt does what the row it last read tells it to do."""
        attempt = self._attempt(number)
        if attempt.posted_at is None:
            try:
                self._step(attempt)
            except FenceLost:
                self._look_again(attempt)

    @precondition(lambda self: self.attempts)
    @rule(number=CHOICE)
    def accept(self, number: int) -> None:
        """A POST that is on its way reaches the provider, which takes it on."""
        attempt = self._attempt(number)
        if attempt.posted_at and attempt.task is None:
            attempt.task = f"task-{len(self.tasks) + 1}"
            self.tasks.append(attempt.task)

    @precondition(lambda self: self.attempts)
    @rule(number=CHOICE)
    def answer(self, number: int) -> None:
        """The reply comes: the task's name, or that the call was not taken on."""
        attempt = self._attempt(number)
        if attempt.posted_at is None:
            return
        posted_at, attempt.posted_at = attempt.posted_at, None
        if attempt.task is None:
            self.withdrawn.append(posted_at)
            done(self.ledger.withdraw(CALL, posted_at))
        else:
            self._book(attempt, attempt.task)
        self._look_again(attempt)

    @precondition(lambda self: self.attempts)
    @rule(number=CHOICE)
    def die(self, number: int) -> None:
        """A worker is killed; a POST that was taken on stays taken on."""
        self.attempts.remove(self._attempt(number))

    @precondition(lambda self: self.tasks)
    @rule()
    def call_back(self) -> None:
        """The provider calls back, once more or for the first time."""
        done(self.ledger.adopt(CALL, self.tasks[-1]))

    @precondition(lambda self: self.withdrawn)
    @rule()
    def withdraw_again(self) -> None:
        """Whoever did not hear that its call was taken back says it once more, much later."""
        done(self.ledger.withdraw(CALL, self.withdrawn[0]))

    @precondition(lambda self: not any(one.posted_at for one in self.attempts))
    @rule()
    def let_time_pass(self) -> None:
        """The grace is longer than any POST can take, so none is on its way when it is over."""
        self.now += GRACE

    @precondition(lambda self: len(self.attempts) > 1)
    @rule(to=st.sampled_from(LedgerState))
    def overtaken_attempts_change_nothing(self, to: LedgerState) -> None:
        """Whoever holds an older fence cannot move the row, whatever it believes."""
        row = self._row()
        stale = next((one.row for one in self.attempts if row and one.row.fence < row.fence), None)
        if stale is None or to not in MOVES[stale.state]:
            return
        with pytest.raises(FenceLost):
            done(self.ledger.move(stale, to, NO_CHANGES))

    @invariant()
    def nothing_is_bought_twice(self) -> None:
        """The provider takes on at most one call under one name."""
        assert len(self.tasks) <= 1

    @invariant()
    def ledger_and_bill_agree(self) -> None:
        """What we call paid is on the bill, and what is on the bill we call paid, or open."""
        row = self._row()
        if self.tasks:
            assert row
            assert row.state in PAID | ADOPTABLE
        if row and row.state in PAID:
            assert [row.task_id] == self.tasks

    @invariant()
    def fences_only_rise_and_states_follow_the_table(self) -> None:
        """Besides the table's moves there is only the callback's, which needs no fence."""
        row, before = self._row(), self.before
        if row and before:
            assert row.fence >= before.fence
            allowed = MOVES[before.state] | {before.state, LedgerState.INTENT}
            assert row.state in allowed
            assert row.state is not LedgerState.INTENT or before.state in {
                LedgerState.INTENT,
                LedgerState.CALLING,
            }
        self.before = row

    def _step(self, attempt: Attempt) -> None:
        match next_step(attempt.row, grace=GRACE):
            case Send():
                self._post(attempt)
            case AwaitAdoption(until=until):
                self._look_again(attempt)
                if attempt.row.state is LedgerState.CALLING and self.now >= until:
                    self._move(attempt, LedgerState.UNKNOWN)
            case Collect():
                self._move(attempt, LedgerState.READY, result_url="https://provider/1")
            case Download():
                self._move(attempt, LedgerState.STORED, picture=a_picture())
            case Settle():
                self._move(attempt, LedgerState.SETTLED)
            case _:
                self._look_again(attempt)

    def _post(self, attempt: Attempt) -> None:
        self.now += timedelta(seconds=1)
        called = done(
            self.ledger.call(attempt.row, CallTerms(limits=UNLIMITED, called_at=self.now))
        )
        assert isinstance(called, LedgerRow)
        attempt.row, attempt.posted_at = called, self.now

    def _book(self, attempt: Attempt, task: str) -> None:
        changes = LedgerChanges(task_id=task)
        try:
            done(self.ledger.move(attempt.row, LedgerState.ACCEPTED, changes))
        except FenceLost:
            done(self.ledger.adopt(CALL, task))

    def _move(self, attempt: Attempt, to: LedgerState, **changes: Any) -> None:
        attempt.row = done(self.ledger.move(attempt.row, to, LedgerChanges(**changes)))

    def _look_again(self, attempt: Attempt) -> None:
        """Read the row anew; an attempt that was overtaken leaves."""
        row = self._row()
        if row is None or row.fence != attempt.row.fence:
            self.attempts = [one for one in self.attempts if one is not attempt]
        else:
            attempt.row = row

    def _attempt(self, number: int) -> Attempt:
        return self.attempts[number % len(self.attempts)]

    def _row(self) -> LedgerRow | None:
        return next(iter(done(self.ledger.rows([CALL]))), None)


def done(answer: Coroutine[Any, Any, T]) -> T:
    """Take the answer of a fake, which never waits for anything.

    Raises:
        AssertionError: it waited.
    """
    try:
        answer.send(None)
    except StopIteration as returned:
        return returned.value
    raise AssertionError("a fake in memory waited")


Purchase.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPurchase = Purchase.TestCase
