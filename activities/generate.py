"""Buy one picture: one heartbeating activity walks the ledger row of its take to the end."""

from collections.abc import Mapping

from temporalio import activity

from activities.heartbeats import beating
from activities.ledger_walk import Darkbench, LedgerWalk
from darkroom.domain.attempts import GenerateOrder, PictureReport
from darkroom.domain.ports import ImageProvider


class GenerateActivities:
    """Idempotent by (job, item, take): every attempt resumes at the state reached."""

    def __init__(self, *, providers: Mapping[str, ImageProvider], bench: Darkbench) -> None:
        self._providers = providers
        self._bench = bench

    @activity.defn
    async def generate(self, order: GenerateOrder) -> PictureReport:
        """Buy, collect, verify and keep one take, or say why that did not work.

        Raises:
            FenceLost: a later attempt has taken over; Temporal ignores this one.
        """
        async with beating() as pulse:
            provider = self._providers[order.image.provider]
            walk = LedgerWalk(order=order, provider=provider, bench=self._bench, pulse=pulse)
            return PictureReport(attempt=await walk.to_the_end())
