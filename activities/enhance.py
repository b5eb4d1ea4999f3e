"""Enhance a job's prompts side by side; each answer is kept the moment it comes."""

import asyncio
import hashlib
import time
from dataclasses import dataclass, field

from temporalio import activity

from activities.heartbeats import beating
from activities.passage import Passage
from activities.patience import until_answered
from darkroom.domain.attempts import Enhanced, EnhanceOrder
from darkroom.domain.breakers import GateKey
from darkroom.domain.errors import Disposition, Failure, ProviderError, failure_of
from darkroom.domain.items import Item
from darkroom.domain.permits import PROVIDER_PARKED
from darkroom.domain.ports import JobSignals, PromptCache, PromptEnhancer
from darkroom.domain.prompts import (
    EnhancedPrompt,
    EnhanceFallback,
    KeptPrompt,
    PromptAsk,
    fill_template,
    is_plain,
    plain_key,
    plain_prompt,
    prompt_key,
)

# The workflow hears of single prompts at most this often; the result tells it all.
SIGNAL_EVERY_SECONDS = 0.25


@dataclass(slots=True)
class _Tally:
    """What this execution has reached so far."""

    prompts: dict[str, str] = field(default_factory=dict[str, str])
    failures: dict[str, Failure] = field(default_factory=dict[str, Failure])
    cost_micros: int = 0
    stopped_by: Failure | None = None
    is_leaving: bool = False  # told to stop: nothing more is asked
    told: int = 0  # prompts the workflow has heard of
    told_at: float = field(default_factory=time.monotonic)

    def enhanced(self) -> Enhanced:
        """Report it."""
        degraded = (item for item, key in self.prompts.items() if is_plain(key))
        return Enhanced(
            prompts=self.prompts,
            failures=self.failures,
            cost_micros=self.cost_micros,
            stopped_by=self.stopped_by,
            degraded=tuple(sorted(degraded)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One prompt to ask for, and where the answer is counted."""

    order: EnhanceOrder
    item: Item
    ask: PromptAsk
    tally: _Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceGate:
    """The gate before the language model, and what to do while it holds calls back."""

    passage: Passage
    key: GateKey
    fallback: EnhanceFallback


class EnhanceActivities:
    """Idempotent by prompt key: what the cache holds is not asked again."""

    def __init__(
        self,
        *,
        enhancer: PromptEnhancer,
        cache: PromptCache,
        signals: JobSignals,
        gate: EnhanceGate,
    ) -> None:
        self._enhancer = enhancer
        self._cache = cache
        self._signals = signals
        self._gate = gate

    @activity.defn
    async def enhance(self, order: EnhanceOrder) -> Enhanced:
        """Enhance every item's prompt, or as many as the provider allows.

        A retryable or waiting error stops further questions; those under way are finished.
        While the provider's gate holds calls back, the plain template may stand in.
        """
        async with beating():
            tally = _Tally()
            missing = await self._reuse(order, tally)
            places = asyncio.Semaphore(order.concurrency)
            asking = asyncio.gather(*(self._enhance_one(question, places) for question in missing))
            try:
                await asyncio.shield(asking)
            except asyncio.CancelledError:
                tally.is_leaving = True
                await asking  # what is under way is paid for: it is answered, and kept
                raise
        return tally.enhanced()

    async def _reuse(self, order: EnhanceOrder, tally: _Tally) -> list[_Question]:
        """Take what the cache holds, and say what is left to ask."""
        asks = [(item, self._ask(order, item)) for item in order.items]
        kept = await until_answered(lambda: self._cache.kept([ask.key for _, ask in asks]))
        tally.prompts = {item.key: ask.key for item, ask in asks if ask.key in kept}
        return [
            _Question(order=order, item=item, ask=ask, tally=tally)
            for item, ask in asks
            if ask.key not in kept
        ]

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

    async def _enhance_one(self, question: _Question, places: asyncio.Semaphore) -> None:
        ask, passage = question.ask, self._gate.passage
        async with places:
            if question.tally.stopped_by or question.tally.is_leaving:
                return
            if held := await passage.ask(self._gate.key, ask.call):
                await self._go_without(question, held)
                return
            try:
                prompt = await self._enhancer.enhance(ask)
            except ProviderError as error:
                await self._book(question, error.cost_micros)
                failure = await passage.failed(self._gate.key, ask.call, failure_of(error))
                await self._go_without(question, failure)
                return
            question.tally.cost_micros += prompt.cost_micros
            await self._keep(question, ask.key, prompt)
            await passage.succeeded(self._gate.key, ask.call)

    async def _keep(self, question: _Question, key: str, prompt: EnhancedPrompt) -> None:
        kept = KeptPrompt(key=key, job_id=question.order.job_id, prompt=prompt)
        await until_answered(lambda: self._cache.keep(kept))
        question.tally.prompts[question.item.key] = key
        await self._tell(question.order, question.tally)

    async def _book(self, question: _Question, cost_micros: int) -> None:
        """Book an answer that was paid for and cannot be used."""
        if cost_micros:
            key, job_id = question.ask.key, question.order.job_id
            question.tally.cost_micros += cost_micros
            await until_answered(lambda: self._cache.book(key, job_id, cost_micros))

    async def _go_without(self, question: _Question, failure: Failure) -> None:
        """Take the plain template while the provider is away, or report the failure."""
        is_parked = failure.code == PROVIDER_PARKED
        if is_parked and self._gate.fallback is EnhanceFallback.TEMPLATE:
            key = plain_key(question.order.prompt, question.ask.text)
            await self._keep(question, key, plain_prompt(question.ask.text))
        elif failure.disposition is Disposition.FATAL:
            question.tally.failures[question.item.key] = failure
        else:
            question.tally.stopped_by = failure

    async def _tell(self, order: EnhanceOrder, tally: _Tally) -> None:
        is_last = len(tally.prompts) + len(tally.failures) == len(order.items)
        if is_last or time.monotonic() - tally.told_at < SIGNAL_EVERY_SECONDS:
            return
        tally.told_at = time.monotonic()
        await self._signals.prompts_enhanced(order.job_id, dict(tally.prompts))
