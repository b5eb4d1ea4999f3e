"""Enhance a job's prompts side by side; each answer is kept the moment it comes."""

import asyncio
import hashlib
import time
from dataclasses import dataclass, field

from temporalio import activity

from activities.heartbeats import beating
from activities.patience import until_answered
from darkroom.domain.attempts import Enhanced, EnhanceOrder
from darkroom.domain.errors import Disposition, Failure, ProviderError, failure_of
from darkroom.domain.items import Item
from darkroom.domain.ports import JobSignals, PromptCache, PromptEnhancer
from darkroom.domain.prompts import KeptPrompt, PromptAsk, fill_template, prompt_key

# The workflow hears of single prompts at most this often; the result tells it all.
SIGNAL_EVERY_SECONDS = 0.25


@dataclass(slots=True)
class _Tally:
    """What this execution has reached so far."""

    prompts: dict[str, str] = field(default_factory=dict[str, str])
    failures: dict[str, Failure] = field(default_factory=dict[str, Failure])
    cost_micros: int = 0
    stopped_by: Failure | None = None
    told: int = 0  # prompts the workflow has heard of
    told_at: float = field(default_factory=time.monotonic)


class EnhanceActivities:
    """Idempotent by prompt key: what the cache holds is not asked again."""

    def __init__(
        self, *, enhancer: PromptEnhancer, cache: PromptCache, signals: JobSignals
    ) -> None:
        self._enhancer = enhancer
        self._cache = cache
        self._signals = signals

    @activity.defn
    async def enhance(self, order: EnhanceOrder) -> Enhanced:
        """Enhance every item's prompt, or as many as the provider allows.

        A retryable or waiting error stops further questions; those under way are finished.
        """
        async with beating():
            tally = _Tally()
            missing = await self._reuse(order, tally)
            gate = asyncio.Semaphore(order.concurrency)
            await asyncio.gather(
                *(self._enhance_one(order, item, ask, (gate, tally)) for item, ask in missing)
            )
        return Enhanced(
            prompts=tally.prompts,
            failures=tally.failures,
            cost_micros=tally.cost_micros,
            stopped_by=tally.stopped_by,
        )

    async def _reuse(self, order: EnhanceOrder, tally: _Tally) -> list[tuple[Item, PromptAsk]]:
        """Take what the cache holds, and say what is left to ask."""
        asks = [(item, self._ask(order, item)) for item in order.items]
        kept = await until_answered(lambda: self._cache.kept([ask.key for _, ask in asks]))
        tally.prompts = {item.key: ask.key for item, ask in asks if ask.key in kept}
        return [(item, ask) for item, ask in asks if ask.key not in kept]

    def _ask(self, order: EnhanceOrder, item: Item) -> PromptAsk:
        text = fill_template(order.prompt, item)
        return PromptAsk(
            key=prompt_key(model=self._enhancer.model, spec=order.prompt, text=text),
            call=f"{order.job_id}/{item.key}/prompt",
            text=text,
            mode=order.prompt.mode,
            user_hash=hashlib.sha256(order.owner.encode()).hexdigest()[:32],
            variation=order.variation,
        )

    async def _enhance_one(
        self,
        order: EnhanceOrder,
        item: Item,
        ask: PromptAsk,
        shared: tuple[asyncio.Semaphore, _Tally],
    ) -> None:
        gate, tally = shared
        async with gate:
            if tally.stopped_by:
                return
            try:
                prompt = await self._enhancer.enhance(ask)
            except ProviderError as error:
                await self._note_failure(item, error, shared=(order, ask, tally))
                return
            kept = KeptPrompt(key=ask.key, job_id=order.job_id, prompt=prompt)
            await until_answered(lambda: self._cache.keep(kept))
            tally.prompts[item.key] = ask.key
            tally.cost_micros += prompt.cost_micros
            await self._tell(order, tally)

    async def _note_failure(
        self, item: Item, error: ProviderError, *, shared: tuple[EnhanceOrder, PromptAsk, _Tally]
    ) -> None:
        order, ask, tally = shared
        if cost := error.cost_micros:
            tally.cost_micros += cost
            await until_answered(lambda: self._cache.book(ask.key, order.job_id, cost))
        failure = failure_of(error)
        if failure.disposition is Disposition.FATAL:
            tally.failures[item.key] = failure
        else:
            tally.stopped_by = failure

    async def _tell(self, order: EnhanceOrder, tally: _Tally) -> None:
        is_last = len(tally.prompts) + len(tally.failures) == len(order.items)
        if is_last or time.monotonic() - tally.told_at < SIGNAL_EVERY_SECONDS:
            return
        tally.told_at = time.monotonic()
        await self._signals.prompts_enhanced(order.job_id, dict(tally.prompts))
