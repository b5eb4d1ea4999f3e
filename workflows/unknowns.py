"""Purchases of which nobody can tell whether they were made: somebody decides, or a callback.

The money is shown apart until then. Nothing is bought twice silently: buying again is either
the caller's standing wish (once a picture) or an operator's decision, and an event says so.
"""

from dataclasses import replace

from temporalio import workflow

from darkroom.domain.attempts import CalledBack
from darkroom.domain.control import DecideOrder, Decision
from darkroom.domain.errors import Failure
from darkroom.domain.events import EventKind
from darkroom.domain.items import Item
from darkroom.domain.job import OnUnknown
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.lifecycle import WaitingOn
from darkroom.domain.stages import Stage
from workflows.floor import Floor
from workflows.standstill import waiting_on

STANDING_WISH = "the request says rebuy_once"


class Unknowns:
    """Which items wait for a decision, and what was decided."""

    def __init__(self, journal: JobJournal, floor: Floor, on_unknown: OnUnknown) -> None:
        self._journal = journal
        self._standstill = floor.standstill
        self._clearance = floor.clearance
        self._on_unknown = on_unknown
        self._asking: dict[str, int] = {}  # item -> take of unknown outcome
        self._settled: dict[str, DecideOrder | CalledBack] = {}
        self._rebought: set[str] = set()

    @property
    def asking(self) -> frozenset[str]:
        """Items that wait for a decision."""
        return frozenset(self._asking) - frozenset(self._settled)

    def decide(self, order: DecideOrder) -> None:
        """Take a decision; whoever calls has checked that the items wait for one."""
        for key in [order.item] if order.item else sorted(self.asking):
            self._settled[key] = order

    def called_back(self, told: CalledBack) -> None:
        """The purchase was made after all: its picture can be collected."""
        if self._asking.get(told.item) == told.take:
            self._settled.setdefault(told.item, told)

    async def settle(self, item: Item, failure: Failure) -> bool:
        """Wait for a decision about an item's take; False when the item is given up."""
        facts = Facts(stage=Stage.GENERATE, item=item.key, failure=failure)
        self._journal.note(EventKind.IMAGE_UNKNOWN, at=workflow.now(), facts=facts)
        if self._on_unknown is OnUnknown.REBUY_ONCE and item.key not in self._rebought:
            self._rebought.add(item.key)
            self._rebuy(item, by=self._journal.owner, note=STANDING_WISH)
            return True
        match await self._decision(item, failure):
            case CalledBack() | None:
                return True
            case DecideOrder(decision=Decision.REBUY, by=by):
                self._rebuy(item, by=by, note=Decision.REBUY)
                return True
            case DecideOrder(by=by):
                self._note_decision(item, by=by, note=Decision.GIVE_UP)
                return False

    async def _decision(self, item: Item, failure: Failure) -> DecideOrder | CalledBack | None:
        """Wait; None when the job is to end first."""
        why = f"picture {item.key} may or may not have been bought: {failure.message}"
        self._standstill.waits(
            item.key, waiting_on(WaitingOn.OPERATOR, why), failure=failure, is_long=True
        )
        self._asking[item.key] = item.take
        try:
            await workflow.wait_condition(
                lambda: item.key in self._settled or self._clearance.is_stopping
            )
        finally:
            del self._asking[item.key]
        self._standstill.moves(item.key)
        return self._settled.pop(item.key, None)

    def _rebuy(self, item: Item, *, by: str, note: str) -> None:
        self._journal.put_items([replace(item, take=item.take + 1)])
        self._note_decision(item, by=by, note=note)

    def _note_decision(self, item: Item, *, by: str, note: str) -> None:
        facts = Facts(stage=Stage.GENERATE, item=item.key, by=by, note=note)
        self._journal.note(EventKind.IMAGE_DECIDED, at=workflow.now(), facts=facts)
