"""Choose which pictures are worth paying for."""

import asyncio

from temporalio import activity

from activities.heartbeats import beating
from darkroom.domain.attempts import Analyzed, AnalyzeOrder
from darkroom.domain.errors import DifferenceInfeasible, failure_of
from darkroom.domain.ports import Differentiator


class AnalyzeActivities:
    """Idempotent: the same order gives the same combinations."""

    def __init__(self, differentiator: Differentiator) -> None:
        self._differentiator = differentiator

    @activity.defn
    async def analyze(self, order: AnalyzeOrder) -> Analyzed:
        """Choose combinations in a thread, so that heartbeats are not starved."""
        async with beating():
            try:
                chosen = await asyncio.to_thread(self._differentiator.choose, order.request)
            except DifferenceInfeasible as error:
                return Analyzed(failure=failure_of(error))
            return Analyzed(combinations=chosen.combinations)
