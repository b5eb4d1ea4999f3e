"""Choose which pictures are worth paying for."""

import asyncio
from dataclasses import replace

from temporalio import activity

from activities.heartbeats import beating
from activities.patience import until_answered
from darkroom.domain.attempts import Analyzed, AnalyzeOrder
from darkroom.domain.errors import DifferenceInfeasible, failure_of
from darkroom.domain.job import Combination
from darkroom.domain.ports import Differentiator, JobStore


class AnalyzeActivities:
    """Idempotent: it only reads; the same order and history give the same combinations."""

    def __init__(self, *, differentiator: Differentiator, jobs: JobStore) -> None:
        self._differentiator = differentiator
        self._jobs = jobs

    @activity.defn
    async def analyze(self, order: AnalyzeOrder) -> Analyzed:
        """Choose combinations in a thread, so that heartbeats are not starved."""
        async with beating():
            request = replace(order.request, history=await self._history(order))
            try:
                chosen = await asyncio.to_thread(self._differentiator.choose, request)
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
