"""A job's side of the slot pool: ask, take, give back. One request however many parts wait.

What a job says to the pool leaves it in order, one word after the other. A grant is taken only
by a run that waits for it; any other is given back at once, so that no slot is lost to a word
that crossed another on its way.
"""

import asyncio
from dataclasses import replace
from datetime import datetime

from temporalio import workflow

from activities.admission import SlotActivities
from darkroom.domain.admission import Holder, SlotClaim, SlotGrant, SlotRelease, SlotRequest
from darkroom.domain.job import JobStart, Priority
from workflows.durably import durably

# Histories from before there were slots have no such marker, and replay without any. It is set
# in a run's first task: after a local activity it may be recorded in a later task than the one
# in which a replay asks for it (a query that arrives meanwhile splits the task in two).
SLOTS_PATCH = "slots"


class SlotLease:
    """What one run holds, or waits for."""

    def __init__(self, start: JobStart) -> None:
        self.has_slots = workflow.patched(SLOTS_PATCH)
        self._request = _request(start)
        self._granted_at: datetime | None = None
        self._tokens: list[str] = []  # of the one slot; two, when a pool has forgotten it
        self._unheard: list[str | None] = []  # given back, but the pool may not know yet
        self._returned: set[str] = set()  # never ours again, however late they come
        self._is_waiting = False
        self._is_asked = False
        self._has_asked = False
        self._early: list[str] = []  # tokens that came before this run asked; see `grant`
        self._speaking = asyncio.Lock()
        workflow.register_random_seed_callback(self._forget)

    @property
    def is_held(self) -> bool:
        """Say whether this run may work."""
        return self._granted_at is not None

    @property
    def is_waiting(self) -> bool:
        """Say whether a slot is wanted and has not come yet."""
        return self._is_waiting

    @property
    def granted_at(self) -> datetime | None:
        """When the slot came that is held now."""
        return self._granted_at

    async def acquire(self) -> None:
        """Wait for a slot, or until `give_back` says that none is wanted any more."""
        if not self.has_slots:
            self._granted_at = self._granted_at or workflow.now()
            return
        self._has_asked = True
        self._is_waiting = not self.is_held
        while self._is_waiting:
            if not self._is_asked:
                await self._ask()
            await workflow.wait_condition(lambda: not (self._is_waiting and self._is_asked))

    async def grant(self, grant: SlotGrant) -> None:
        """Take a slot that is waited for; have any other given back."""
        is_ours = grant.holder == self._request.holder and grant.token not in self._returned
        if is_ours and (self._is_waiting or self.is_held):
            self._take(grant)
            return
        if is_ours and not self._has_asked:
            # Of the run before a reset. If the pool still counts it, it says so when it is
            # asked; given back now, another job would work beside calls that are under way.
            self._early.append(grant.token)
            return
        await self._release(grant.holder, grant.token)
        self._is_asked = False  # if we wait, then for a pool that took us for a holder

    async def give_back(self) -> None:
        """Let others have the slot, or this run's place in the line. Harmless without either."""
        tokens = [*dict.fromkeys([*self._tokens, *self._early])]
        self._unheard += tokens or [None] * self._is_waiting
        self._granted_at, self._tokens, self._early = None, [], []
        self._is_waiting = self._is_asked = False
        self._returned.update(tokens)
        for token in tuple(self._unheard):
            await self._release(self._request.holder, token)
            if token in self._unheard:  # said twice at once, it is heard once
                self._unheard.remove(token)

    def change_priority(self, priority: Priority) -> None:
        """Move in the line: whoever waits asks again, and others ask so the next time."""
        self._request = replace(self._request, priority=priority)
        self._is_asked = False

    def claim(self) -> SlotClaim:
        """Tell a pool that has lost its memory."""
        grant = None
        if self._tokens and self._granted_at:
            grant = SlotGrant(
                holder=self._request.holder, token=self._tokens[-1], granted_at=self._granted_at
            )
        return SlotClaim(request=self._request, is_waiting=self._is_waiting, grant=grant)

    def _take(self, grant: SlotGrant) -> None:
        """Hold the slot from now on.

        A holder that is granted another has met a pool that does not know of the first. It is
        one slot under two names, and goes back under both.
        """
        self._granted_at = self._granted_at or grant.granted_at
        self._tokens = [*dict.fromkeys([*self._tokens, grant.token])]
        self._is_waiting = self._is_asked = False

    async def _ask(self) -> None:
        self._is_asked = True
        async with self._speaking:
            if self._is_waiting:
                await durably(SlotActivities.request, self._request)

    async def _release(self, holder: Holder, token: str | None) -> None:
        async with self._speaking:
            await durably(SlotActivities.release, SlotRelease(holder=holder, token=token))

    def _forget(self, seed: int) -> None:
        """Ask again after an operator's reset: what was held may be somebody else's by now."""
        del seed
        self._is_asked = self._has_asked = False
        if self._tokens:
            self._granted_at, self._tokens = None, []


def _request(start: JobStart) -> SlotRequest:
    """Line a retry up where it was asked for, not where the job was first submitted."""
    info = workflow.info()
    return SlotRequest(
        holder=Holder(workflow_id=info.workflow_id, first_run_id=info.first_execution_run_id),
        owner=start.owner,
        priority=start.request.priority,
        submitted_at=info.start_time if start.expected_run else start.submitted_at,
    )
