"""Carry out the declared retry plan for what was classified; every failure is an event."""

from dataclasses import dataclass, replace

from temporalio import workflow

from darkroom.domain.errors import OPERATOR_CODES, Disposition, Failure
from darkroom.domain.events import EventKind
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.retries import RetryPlan
from darkroom.domain.stages import Stage
from workflows.standstill import Standstill


@dataclass(slots=True)
class Tries:
    """What one part of a job has gone through in this run."""

    failed: int = 0  # attempts spent
    waited: int = 0  # waits in a row, which spend nothing


class Retrying:
    """Decides, together with the plan, whether and when a part is tried again."""

    def __init__(self, journal: JobJournal, standstill: Standstill) -> None:
        self._journal = journal
        self._standstill = standstill

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
        match failure.disposition:
            case Disposition.FATAL:
                return False
            case Disposition.WAIT:
                await self._snooze(facts, failure, plan, tries)
                return True
            case Disposition.RETRYABLE:
                return await self._retry(facts, failure, plan, tries)

    async def _snooze(self, facts: Facts, failure: Failure, plan: RetryPlan, tries: Tries) -> None:
        tries.waited += 1
        delay = failure.retry_after or plan.max_delay
        if not failure.retry_after and failure.code not in OPERATOR_CODES:
            delay = plan.delay(tries.waited, workflow.random())
        self._standstill.waits(_part(facts), failure)
        await workflow.sleep(delay, summary=f"{failure.code}: waiting to try again")

    async def _retry(self, facts: Facts, failure: Failure, plan: RetryPlan, tries: Tries) -> bool:
        tries.failed += 1
        tries.waited = 0
        self._standstill.moves(_part(facts))
        goes_on = plan.allows(tries.failed)
        delay = failure.retry_after or plan.delay(tries.failed, workflow.random())
        told = replace(
            facts,
            failure=failure,
            attempt=tries.failed,
            next_try_at=workflow.now() + delay if goes_on else None,
        )
        self._journal.note(EventKind.ATTEMPT_FAILED, at=workflow.now(), facts=told)
        if goes_on and delay:
            await workflow.sleep(delay, summary=f"{failure.code}: retry {tries.failed}")
        return goes_on


def _part(facts: Facts) -> str:
    return facts.item or (facts.stage or Stage.ANALYZE).value
