"""What jobs say to the slot pool, and what the pool asks of the world."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, Unpack

from temporalio import activity

from activities.heartbeats import beating
from darkroom.domain.admission import (
    Holder,
    PoolPlan,
    PoolTerms,
    QueueTerms,
    SlotClaim,
    SlotRelease,
    SlotRequest,
)
from darkroom.domain.audit import AuditEntry
from darkroom.domain.ports import JobRun, JobRuns, QueueSignals, QueueStore
from darkroom.domain.slot_book import Held, Stock, packed

ASKED_AT_ONCE = 32  # a question may have a worker replay a job


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsQuestion:
    """What governs the pool now?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsDecision:
    """What an operator decided, and how the audit log tells it."""

    terms: QueueTerms
    deed: AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class CensusQuestion:
    """Who holds a slot, and who waits for one?"""

    at: datetime
    pool_id: str
    plan: PoolPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class LookQuestion:
    """Are these holders still at work?"""

    at: datetime
    holders: tuple[Holder, ...]
    silent: tuple[Holder, ...] = ()  # of whom nobody knows whether they hold a slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A holder whose run is over, at the latest since then."""

    holder: Holder
    closed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at the holders found."""

    gone: tuple[Gone, ...] = ()
    answered: tuple[SlotClaim, ...] = ()


class PoolPorts(TypedDict):
    """What the pool's activities stand on."""

    seeds: PoolTerms
    queues: QueueStore
    runs: JobRuns


class SlotActivities:
    """Idempotent: the pool counts a holder once, and a token is given back once."""

    def __init__(self, signals: QueueSignals) -> None:
        self._signals = signals

    @activity.defn
    async def request(self, request: SlotRequest) -> None:
        """Ask for a slot, making the pool when it is not there."""
        await self._signals.request(request)

    @activity.defn
    async def release(self, release: SlotRelease) -> None:
        """Give a slot back, or leave the line."""
        await self._signals.release(release)


class PoolActivities:
    """Idempotent: questions change nothing, and a decision is kept once by its moment."""

    def __init__(self, **ports: Unpack[PoolPorts]) -> None:
        self._seeds = ports["seeds"]
        self._queues = ports["queues"]
        self._runs = ports["runs"]

    @activity.defn
    async def terms(self, question: TermsQuestion) -> PoolTerms:
        """Read what an operator decided last, or what the settings say where none did."""
        del question
        decided = await self._queues.terms()
        return PoolTerms(terms=decided or self._seeds.terms, plan=self._seeds.plan)

    @activity.defn
    async def decide(self, decision: TermsDecision) -> None:
        """Keep what an operator decided, and audit it."""
        await self._queues.change(decision.terms, decision.deed)

    @activity.defn
    async def census(self, question: CensusQuestion) -> Stock:
        """Ask every job that runs, and those that were ended from outside a moment ago."""
        async with beating():
            return await self._census(question)

    async def _census(self, question: CensusQuestion) -> Stock:
        plan, pool_run = question.plan, activity.info().workflow_run_id or ""
        since = question.at - plan.settle
        is_settled = await self._runs.is_alone(question.pool_id, pool_run, since=since)
        open_runs = await self._runs.running()
        ended = await self._runs.ended_since(question.at - plan.grace)
        holding: dict[Holder, Held] = {}
        waiting: list[SlotRequest] = []
        for run, claim in await self._asked((*open_runs, *ended)):
            held = await self._held(run, claim, plan)
            if held:
                holding.setdefault(held.holder, held)
            elif claim and claim.is_waiting and run.closed_at is None:
                waiting.append(claim.request)
        return Stock(
            holding=tuple(holding.values()), waiting=packed(waiting), is_settled=is_settled
        )

    @activity.defn
    async def look(self, question: LookQuestion) -> Look:
        """See which holders' runs are over, and ask again those that did not answer."""
        found = await asyncio.gather(*[self._found(one, question) for one in question.holders])
        silent = [
            run
            for run, holder in zip(found, question.holders, strict=True)
            if isinstance(run, JobRun) and holder in question.silent
        ]
        claims = await self._asked(silent)
        return Look(
            gone=tuple(one for one in found if isinstance(one, Gone)),
            answered=tuple(claim for _, claim in claims if claim),
        )

    async def _asked(self, runs: Sequence[JobRun]) -> list[tuple[JobRun, SlotClaim | None]]:
        """Ask many runs what they hold, so many at a time."""
        turn = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask(run: JobRun) -> SlotClaim | None:
            async with turn:
                return await self._runs.slot_claim(run)

        claims = await asyncio.gather(*[ask(run) for run in runs])
        return list(zip(runs, claims, strict=True))

    async def _held(self, run: JobRun, claim: SlotClaim | None, plan: PoolPlan) -> Held | None:
        """Say what a run holds; one that does not answer may hold a slot."""
        free_at = run.closed_at and run.closed_at + plan.grace
        if claim is None:
            known = await self._runs.run_of(run.workflow_id, run_id=run.run_id)
            if known is None:
                return None
            first_run_id = known.first_run_id or run.run_id
            holder = Holder(workflow_id=run.workflow_id, first_run_id=first_run_id)
            return Held(holder=holder, owner=run.owner, granted_at=run.started_at, free_at=free_at)
        if claim.grant is None:
            return None
        return Held(
            holder=claim.request.holder,
            owner=claim.request.owner,
            granted_at=claim.grant.granted_at,
            token=claim.grant.token,
            free_at=free_at,
        )

    async def _found(self, holder: Holder, question: LookQuestion) -> JobRun | Gone:
        """Find a holder's run, which may be over, or may have given way to a retry."""
        latest = await self._runs.run_of(holder.workflow_id)
        if latest is None:
            return Gone(holder=holder, closed_at=question.at)
        if latest.first_run_id != holder.first_run_id:
            return Gone(holder=holder, closed_at=latest.started_at)  # at the latest
        return Gone(holder=holder, closed_at=latest.closed_at) if latest.closed_at else latest
