"""Buy one picture: one heartbeating activity walks the ledger row of its take to the end."""

from collections.abc import Mapping

from temporalio import activity

from activities.heartbeats import beating
from activities.ledger_walk import Darkbench, LedgerWalk
from darkroom.domain.attempts import GenerateOrder, PictureFailed, PictureReport
from darkroom.domain.errors import Failure, KeyRefused, failure_of
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
            provider = self._providers.get(order.image.provider)
            if provider is None:
                return PictureReport(attempt=PictureFailed(failure=_absent(order)))
            walk = LedgerWalk(order=order, provider=provider, bench=self._bench, pulse=pulse)
            return PictureReport(attempt=await walk.to_the_end())


def _absent(order: GenerateOrder) -> Failure:
    """Wait for an operator: the gateway has a key for this provider and the worker has none."""
    name = order.image.provider
    message = f"this worker has no key for {name}; set it in its environment as in the gateway's"
    return failure_of(KeyRefused(message, provider=name))
