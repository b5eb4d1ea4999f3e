"""Read a chat request as strictly as DeepSeek does; unknown fields are ignored, as there."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from emulators.chat.errors import RefusedChat
from emulators.prices import CHAT_PRICES

USER_ID_MAX_BYTES = 512
REMOVED_MODELS = frozenset({"deepseek-chat", "deepseek-reasoner"})  # gone since 2026-07-24


def _short_enough(user_id: str) -> str:
    if len(user_id.encode()) > USER_ID_MAX_BYTES:
        raise ValueError(f"longer than {USER_ID_MAX_BYTES} bytes")
    return user_id


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class TextPart(_Part):
    """One piece of a message in parts; only text is read."""

    type: str
    text: str = ""


class Message(_Part):
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | tuple[TextPart, ...] | None = None

    @property
    def text(self) -> str:
        """Everything said in it."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "\n".join(part.text for part in self.content)


class Thinking(_Part):
    """Whether the model thinks before it answers; it does unless told not to."""

    type: Literal["enabled", "disabled"] = "enabled"


class ResponseFormat(_Part):
    """Free text, or a JSON object."""

    type: Literal["text", "json_object"] = "text"


class ChatRequest(_Part):
    """A request that has passed the door."""

    model: str
    messages: tuple[Message, ...] = Field(min_length=1)
    thinking: Thinking = Thinking()
    reasoning_effort: Literal["low", "high", "max"] | None = None
    response_format: ResponseFormat = ResponseFormat()
    max_tokens: int | None = Field(default=None, ge=1, le=384_000)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    stream: bool | None = None
    user_id: Annotated[str, AfterValidator(_short_enough)] | None = None

    @model_validator(mode="after")
    def _some_user_turn(self) -> Self:
        if all(message.role == "system" for message in self.messages):
            raise ValueError("messages: a user message is needed")
        return self

    @property
    def wants_json(self) -> bool:
        """Tell whether JSON mode is on."""
        return self.response_format.type == "json_object"

    @property
    def thinks(self) -> bool:
        """Tell whether thinking is on."""
        return self.thinking.type == "enabled"

    def text_of(self, role: str) -> str:
        """Join what this role said."""
        return "\n".join(message.text for message in self.messages if message.role == role)

    @property
    def whole_prompt(self) -> str:
        """Everything said, with who said it, in order: what the context cache sees."""
        return "".join(f"<{message.role}>{message.text}" for message in self.messages)


def read_chat_request(body: bytes) -> ChatRequest:
    """Read the body of POST /chat/completions.

    Raises:
        RefusedChat: 400 for a body that is not JSON and for what the API does not do, 422 for a
            field out of its bounds.
    """
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as invalid:
        raise _refused(invalid) from None
    _refuse_unknown_model(request.model)
    if request.stream:
        raise RefusedChat(400, "this emulator answers whole: stream must be false or left out")
    if request.wants_json and "json" not in request.whole_prompt.lower():
        raise RefusedChat(
            400, "response_format json_object needs the word 'json' in the prompt, with an example"
        )
    return request


def _refused(invalid: ValidationError) -> RefusedChat:
    first: Any = invalid.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return RefusedChat(400, f"the body is not JSON: {first['msg']}")
    place = ".".join(str(step) for step in first["loc"])
    return RefusedChat(422, f"{place}: {first['msg']}" if place else first["msg"])


def _refuse_unknown_model(model: str) -> None:
    if model in REMOVED_MODELS:
        raise RefusedChat(400, f"Model Not Exist: {model} was removed, use deepseek-flash")
    if model not in CHAT_PRICES:
        raise RefusedChat(400, f"Model Not Exist: {model}")
