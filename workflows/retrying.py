"""Carry out the declared retry plan for what was classified; every failure is an event."""

from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio import workflow

from darkroom.domain.errors import (
    OPERATOR_CODES,
    Disposition,
    Failure,
    ProviderUnavailable,
)
from darkroom.domain.events import EventKind
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.permits import PROVIDER_PARKED
from darkroom.domain.retries import RetryPlan
from darkroom.domain.stages import Stage
from workflows.clearance import Clearance
from workflows.parking import Parking
from workflows.standstill import Standstill, waiting_for

# A lone job makes this many more tries at a provider that never answered, so that the gate
# closes on the outage before the outage has used the job's attempts up.
OUTAGE_PATIENCE = 5

# Failures behind which a provider's gate closes: the part waits there for its turn.
PARKING_CODES = OPERATOR_CODES | {PROVIDER_PARKED}


@dataclass(slots=True)
class Tries:
    """What one part of a job has gone through in this run."""

    failed: int = 0  # attempts spent
    waited: int = 0  # waits in a row, which spend nothing
    outage: int = 0  # of the attempts spent, the last ones in a row that met no provider at all


class Retrying:
    """Decides, together with the plan, whether and when a part is tried again."""

    def __init__(
        self, journal: JobJournal, standstill: Standstill, clearance: Clearance, parking: Parking
    ) -> None:
        self._journal = journal
        self._standstill = standstill
        self._clearance = clearance
        self._parking = parking

    async def may_go_on(
        self, facts: Facts, *, failure: Failure, plan: RetryPlan, tries: Tries
    ) -> bool:
        """Wait before the next try, or answer False when there must be none.

        Args:
            facts: stage and item of the part that failed.
            failure: why it failed.
            plan: its schedule.
            tries: its history; counted on here.
        """
        if failure.code in PARKING_CODES:
            await self._park(facts, failure, tries)
            return True
        match failure.disposition:
            case Disposition.FATAL:
                return False
            case Disposition.WAIT:
                await self._snooze(facts, failure, plan, tries)
                return True
            case Disposition.RETRYABLE:
                return await self._retry(facts, failure, plan, tries)

    async def _park(self, facts: Facts, failure: Failure, tries: Tries) -> None:
        """Wait at the provider's gate; an outage gives back the attempts it has cost.

        The part counts as waiting until it has got on: a try that fails again is no news.
        """
        tries.failed -= tries.outage
        tries.outage = 0
        part = part_of(facts)
        self._standstill.waits(part, waiting_for(failure), failure=failure, is_long=True)
        await self._parking.park(
            part,
            failure,
            until=lambda: self._clearance.is_stopping,
            admitted_at=self._clearance.admitted_at,
        )

    async def _snooze(self, facts: Facts, failure: Failure, plan: RetryPlan, tries: Tries) -> None:
        tries.waited += 1
        delay = failure.retry_after or plan.delay(tries.waited, workflow.random())
        self._standstill.waits(part_of(facts), waiting_for(failure), failure=failure)
        await self._sleep(delay, f"{failure.code}: waiting to try again")

    async def _retry(self, facts: Facts, failure: Failure, plan: RetryPlan, tries: Tries) -> bool:
        tries.failed += 1
        tries.outage = tries.outage + 1 if failure.code == ProviderUnavailable.code else 0
        tries.waited = 0
        self._standstill.moves(part_of(facts))
        is_outage = tries.outage == tries.failed <= plan.max_retries + OUTAGE_PATIENCE
        goes_on = is_outage or plan.allows(tries.failed)
        delay = failure.retry_after or plan.delay(tries.failed, workflow.random())
        told = replace(
            facts,
            failure=failure,
            attempt=tries.failed,
            next_try_at=workflow.now() + delay if goes_on else None,
        )
        self._journal.note(EventKind.ATTEMPT_FAILED, at=workflow.now(), facts=told)
        if goes_on and delay:
            await self._sleep(delay, f"{failure.code}: retry {tries.failed}")
        return goes_on

    async def _sleep(self, delay: timedelta, summary: str) -> None:
        """Let time pass, but no longer than the job wants to go on."""
        try:
            await workflow.wait_condition(
                lambda: self._clearance.is_stopping, timeout=delay, timeout_summary=summary
            )
        except TimeoutError:
            return


def part_of(facts: Facts) -> str:
    """Name a part of the job by the item it makes, or by its stage."""
    return facts.item or (facts.stage or Stage.ANALYZE).value
