"""A passage over a store in memory, for tests that are about something behind it."""

from random import Random

from activities.passage import Passage
from darkroom.domain.breakers import BreakerPlan
from darkroom.domain.permits import CallLimits
from darkroom.domain.ports import CallLedger, GateSignals
from tests.support.fake_gates import FakeGateSignals, MemoryGateBoard
from tests.support.fakes import MemoryCallLedger, MemoryState

PROVIDERS = ("nanobanana", "gemini", "deepseek")


def a_passage(
    state: MemoryState,
    *,
    ledger: CallLedger | None = None,
    signals: GateSignals | None = None,
    plan: BreakerPlan | None = None,
    limits: CallLimits | None = None,
) -> Passage:
    """Put gates before the calls of one process.

    Args:
        state: shared with the other fakes.
        ledger: another than the one on `state`.
        signals: another than one that only remembers.
        plan: when gates open.
        limits: of every provider; by default there are none.
    """
    return Passage(
        ledger=ledger or MemoryCallLedger(state),
        board=a_board(state),
        signals=signals or FakeGateSignals(),
        plan=plan or BreakerPlan(),
        limits=dict.fromkeys(PROVIDERS, limits or CallLimits()),
        chance=Random(7),
    )


def a_board(state: MemoryState) -> MemoryGateBoard:
    """Build the gates' fake over a state."""
    return MemoryGateBoard(state.doorway, deeds=state.archive.deeds, reach=state.reach)
