"""What DeepSeek answers, as far as we read it. Facts: providers.md 2.4 and 2.5."""

from pydantic import BaseModel, Field


class ChatMessage(BaseModel):
    """What the model said."""

    content: str | None = None


class ChatChoice(BaseModel):
    """One answer and how it ended."""

    message: ChatMessage
    finish_reason: str | None = None


class ChatUsage(BaseModel):
    """What is billed. Without the cache's figures, the whole prompt counts as uncached."""

    prompt_tokens: int
    completion_tokens: int
    prompt_cache_hit_tokens: int = 0


class ChatReply(BaseModel):
    """A completion, as far as it is read here."""

    choices: tuple[ChatChoice, ...] = Field(min_length=1)
    usage: ChatUsage


class ChatFault(BaseModel):
    """The inside of an error body."""

    message: str = ""


class ChatRefusal(BaseModel):
    """An error body."""

    error: ChatFault = ChatFault()
