"""Choose which pictures are worth paying for, and see to it that no other job has them."""

import asyncio
from dataclasses import replace

import structlog
from temporalio import activity

from activities.heartbeats import beating
from activities.patience import until_answered
from darkroom.domain.attempts import Analyzed, AnalyzeOrder
from darkroom.domain.difference import DifferenceRequest, DifferenceResult
from darkroom.domain.errors import DifferenceInfeasible, failure_of
from darkroom.domain.job import Combination
from darkroom.domain.ports import Differentiator, JobStore, Reservations

# Each round leaves out what the one before found taken: by jobs that choose at this moment, or by
# jobs too old for the history. Sixteen jobs of fifty, choosing in step among a thousand, need up
# to 73 (measured with tests/support/reservations.py); the last free one of 256 can need 155.
MOST_ROUNDS = 500

log = structlog.get_logger()


class AnalyzeActivities:
    """Idempotent by job: the same order and history choose and reserve the same.

    If another history makes a further attempt choose otherwise, what the attempt before it
    reserved stays reserved too, until the job is released.
    """

    def __init__(
        self, *, differentiator: Differentiator, jobs: JobStore, reservations: Reservations
    ) -> None:
        self._differentiator = differentiator
        self._jobs = jobs
        self._reservations = reservations

    @activity.defn
    async def analyze(self, order: AnalyzeOrder) -> Analyzed:
        """Choose combinations that are this job's alone, if it is to avoid those of others."""
        async with beating():
            request = replace(order.request, history=await self._history(order))
            try:
                chosen = await self._chosen(order, request)
            except DifferenceInfeasible as error:
                return Analyzed(failure=failure_of(error))
            return Analyzed(combinations=chosen.combinations, certificate=chosen.certificate)

    async def _history(self, order: AnalyzeOrder) -> tuple[Combination, ...]:
        if not order.avoids_history:
            return ()
        names = tuple(dimension.name for dimension in order.request.dimensions)
        return await until_answered(
            lambda: self._jobs.combinations_of(order.owner, dimensions=names, but_not=order.job_id)
        )

    async def _chosen(self, order: AnalyzeOrder, request: DifferenceRequest) -> DifferenceResult:
        """Choose, and choose again without what other jobs reserved meanwhile.

        Raises:
            DifferenceInfeasible: not enough is left, or others were faster every time.
        """
        free_count = 0
        for _ in range(MOST_ROUNDS):
            # In a thread, so that heartbeats are not starved.
            chosen = await asyncio.to_thread(self._differentiator.choose, request)
            taken = await self._reserved(order, chosen.combinations)
            if not taken:
                return chosen
            free_count = len(chosen.combinations) - len(taken)
            request = replace(request, exclusions=(*request.exclusions, *taken))
        raise _outrun(order, free_count)

    async def _reserved(
        self, order: AnalyzeOrder, combinations: tuple[Combination, ...]
    ) -> tuple[Combination, ...]:
        """Reserve; answers what others have and this job must not share."""
        return await until_answered(lambda: self._reserve_unbroken(order, combinations))

    async def _reserve_unbroken(
        self, order: AnalyzeOrder, combinations: tuple[Combination, ...]
    ) -> tuple[Combination, ...]:
        """Ask the store once; a cancel waits for its answer, so that a release comes after it."""
        asking = asyncio.ensure_future(self._reserve_once(order, combinations))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            await asyncio.wait({asking})
            if not asking.cancelled() and (error := asking.exception()):
                log.warning("left_with_error", job_id=order.job_id, error=str(error))
            raise

    async def _reserve_once(
        self, order: AnalyzeOrder, combinations: tuple[Combination, ...]
    ) -> tuple[Combination, ...]:
        if order.avoids_history:
            return await self._reservations.reserve(order.owner, order.job_id, combinations)
        await self._reservations.keep(order.owner, order.job_id, combinations)
        return ()


def _outrun(order: AnalyzeOrder, free_count: int) -> DifferenceInfeasible:
    return DifferenceInfeasible(
        f"job {order.job_id}: {MOST_ROUNDS} times in a row other jobs of this owner reserved what "
        f"was chosen, and left {free_count} of {order.request.count} the last time; retry when "
        "they have chosen, or add options",
        largest_feasible=free_count,
    )
