"""DeepSeek as the enhancer of prompts. Facts: https://api-docs.deepseek.com, autumn 2026."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import ValidationError

from darkroom.domain.errors import AnswerUnusable, ContentRefused, ProviderError
from darkroom.domain.names import CALL_HEADER
from darkroom.domain.prompts import EnhancedPrompt, PromptAsk
from darkroom.providers.deepseek_wire import ChatChoice, ChatRefusal, ChatReply, ChatUsage
from darkroom.providers.enhancement import TEMPERATURES, EnhancedScene, messages_for
from darkroom.providers.http_client import Answer, Outgoing, exchange, read_as, refusal
from darkroom.providers.token_prices import TokenPrices, TokenUsage, prices_at

PROVIDER = "deepseek"
CONTENT_RISK = "content exists risk"  # said with status 400 when the policy refuses a prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepSeekOptions:
    """Where DeepSeek is, which model answers, and what it costs."""

    base_url: str  # https://api.deepseek.com
    api_key: str = field(repr=False)
    model: str = "deepseek-flash"
    prices: tuple[TokenPrices, ...]
    deadline: timedelta = timedelta(seconds=30)  # source: providers.md 1.3
    max_tokens: int = 800


def utc_now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


class DeepSeekEnhancer:
    """Asks once per call; thinking is off, the answer is JSON.

    Args:
        client: from `open_client`.
        options: with a price for its model.
        clock: decides between peak and off-peak prices, by the moment an answer is complete.

    Raises:
        ValueError: the model has no price.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        options: DeepSeekOptions,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        prices_at(options.prices, model=options.model, at=clock())
        self._client = client
        self._options = options
        self._clock = clock

    @property
    def model(self) -> str:
        """Name of the model, part of the cache key."""
        return self._options.model

    async def enhance(self, ask: PromptAsk) -> EnhancedPrompt:
        """Ask once.

        Raises:
            ProviderError: a classified leaf. A lost reply costs fractions of a cent at most, so
                callers may ask again.
        """
        answer = await exchange(self._client, self._request(ask))
        if not answer.is_success:
            raise _refused(answer)
        reply = read_as(ChatReply, answer)
        cost_micros = self._cost_micros(reply.usage)
        try:
            text = _enhanced_text(reply.choices[0], ask)
        except ProviderError as unusable:
            unusable.cost_micros = cost_micros  # it was answered, so it is paid for
            raise
        return EnhancedPrompt(text=text, model=self.model, cost_micros=cost_micros)

    def _request(self, ask: PromptAsk) -> Outgoing:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages_for(ask),
            "thinking": {"type": "disabled"},
            "response_format": {"type": "json_object"},
            "temperature": TEMPERATURES[ask.mode],
            "max_tokens": self._options.max_tokens,
            "user_id": ask.user_hash,
        }
        return Outgoing(
            provider=PROVIDER,
            method="POST",
            url=f"{self._options.base_url.rstrip('/')}/chat/completions",
            headers={"Authorization": f"Bearer {self._options.api_key}", CALL_HEADER: ask.call},
            body=body,
            deadline=self._options.deadline,
            is_paid=True,
        )

    def _cost_micros(self, usage: ChatUsage) -> int:
        at = self._clock()
        counted = TokenUsage(
            hit_count=usage.prompt_cache_hit_tokens,
            miss_count=usage.prompt_tokens - usage.prompt_cache_hit_tokens,
            output_count=usage.completion_tokens,
        )
        return prices_at(self._options.prices, model=self.model, at=at).cost_micros(counted, at)


def _refused(answer: Answer) -> ProviderError:
    try:
        told = ChatRefusal.model_validate_json(answer.content).error.message
    except ValidationError:
        told = ""
    if CONTENT_RISK in told.lower():
        return ContentRefused(
            f"{PROVIDER}: the content policy refuses the prompt ({told}); change it",
            provider=PROVIDER,
        )
    return refusal(answer, told=told)


def _enhanced_text(choice: ChatChoice, ask: PromptAsk) -> str:
    match choice.finish_reason:
        case "stop":
            return _scene_in(choice.message.content or "", ask)
        case "content_filter":
            raise ContentRefused(
                f"{PROVIDER}: the content policy stopped the answer to {ask.call}; "
                "change the prompt",
                provider=PROVIDER,
            )
        case reason:  # length, insufficient_system_resource, and whatever comes next
            raise _unusable(ask, f"it ended with finish_reason {reason}")


def _scene_in(content: str, ask: PromptAsk) -> str:
    if not content.strip():
        raise _unusable(ask, "it is blank")
    try:
        text = EnhancedScene.model_validate_json(content).prompt.strip()
    except ValidationError as invalid:
        raise _unusable(ask, "it is not the json object that was asked for") from invalid
    if not text:
        raise _unusable(ask, "its prompt is blank")
    return text


def _unusable(ask: PromptAsk, reason: str) -> AnswerUnusable:
    return AnswerUnusable(
        f"{PROVIDER}: the answer to {ask.call} (variation {ask.variation}) cannot be used: "
        f"{reason}; ask again with the next variation",
        provider=PROVIDER,
    )
