"""Write the answer: in JSON mode shaped like the example that the prompt shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from emulators.chat.embellish import embellish
from emulators.chat.requests import ChatRequest
from emulators.chat.tokens import BYTES_PER_TOKEN, token_count

PLAIN_SHAPE: Mapping[str, Any] = {"prompt": ""}  # when the prompt shows no example


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says, and how it ended."""

    content: str
    reasoning: str | None
    finish_reason: str = "stop"

    @property
    def reasoning_tokens(self) -> int:
        """Tokens spent on thinking."""
        return token_count(self.reasoning or "")

    @property
    def output_tokens(self) -> int:
        """Tokens written, thinking included."""
        return token_count(self.content) + self.reasoning_tokens


def write_answer(request: ChatRequest, *, seed: int) -> Answer:
    """Answer a request; the same request and seed get the same answer.

    Args:
        request: as read at the door.
        seed: the emulator's.
    """
    asked = request.text_of("user").strip()
    writer = _Writer(asked=asked, seed=seed, temperature=request.temperature)
    content = writer.fill_shape(request) if request.wants_json else writer.enrich(asked, "text")
    reasoning = (
        f"The scene asked for: {asked[:200]}. Keep it, add light." if request.thinks else None
    )
    return _within_limit(Answer(content=content, reasoning=reasoning), request.max_tokens)


def last_example(text: str) -> Mapping[str, Any] | None:
    """Find the last JSON object in a text that is not part of a larger one."""
    decoder = json.JSONDecoder()
    found: Mapping[str, Any] | None = None
    at = text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        at = text.find("{", end)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    asked: str
    seed: int
    temperature: float

    def fill_shape(self, request: ChatRequest) -> str:
        """Answer with the keys of the example, every string rewritten from what was asked."""
        example = (
            last_example(request.text_of("system"))
            or last_example(request.text_of("user"))
            or PLAIN_SHAPE
        )
        return json.dumps(self._rewrite(example, "answer"), ensure_ascii=False)

    def enrich(self, text: str, key: str) -> str:
        """Embellish a text; another key gets other words."""
        return embellish(text, seed=f"{self.seed}/{key}", temperature=self.temperature)

    def _rewrite(self, example: Any, key: str) -> Any:
        if isinstance(example, str):
            return self.enrich(self._source_of(key), key)
        if isinstance(example, dict):
            fields = cast("dict[str, Any]", example)
            return {name: self._rewrite(value, name) for name, value in fields.items()}
        if isinstance(example, list):
            members = cast("list[Any]", example)
            return [self._rewrite(value, f"{key}.{place}") for place, value in enumerate(members)]
        return example

    def _source_of(self, key: str) -> str:
        spoken = last_example(self.asked) or {}
        texts = [value for value in spoken.values() if isinstance(value, str)]
        named = spoken.get(key)
        if isinstance(named, str):
            return named
        return max(texts, key=len, default=self.asked)


def _within_limit(answer: Answer, max_tokens: int | None) -> Answer:
    if max_tokens is None or answer.output_tokens <= max_tokens:
        return answer
    left_bytes = max(0, max_tokens - answer.reasoning_tokens) * BYTES_PER_TOKEN
    cut = answer.content.encode()[:left_bytes].decode(errors="ignore")
    return Answer(content=cut, reasoning=answer.reasoning, finish_reason="length")
