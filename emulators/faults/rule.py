"""What every fault rule has: the calls it is for. The rules themselves stand beside this file."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Endpoint = Literal["chat", "generate", "gemini", "record_info", "credit", "result", "callback"]
Seconds = Annotated[float, Field(gt=0, le=3600)]

BUYING = frozenset[Endpoint]({"chat", "generate", "gemini"})
ASKED = BUYING | frozenset[Endpoint]({"record_info", "credit", "result"})
JSON_ANSWERS = BUYING | frozenset[Endpoint]({"record_info", "credit"})


class Strict(BaseModel):
    """A part of a rule; a field it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class When(Strict):
    """Which of the matching calls, counted from 1 since the plan was put; all without a choice."""

    nth: int | tuple[int, ...] | None = None
    probability: float | None = Field(default=None, ge=0, le=1)
    always: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if sum(chosen is not None for chosen in (self.nth, self.probability, self.always)) > 1:
            raise ValueError("when: choose one of nth, probability, always")
        return self


class Rule(Strict):
    """What every rule has: the calls it is for."""

    allowed: ClassVar[frozenset[Endpoint]] = ASKED

    endpoint: Endpoint
    when: When = When()
    match: str | None = None  # part of the prompt or of X-Darkroom-Call
    times: int | None = Field(default=None, ge=1)  # fires at most so often

    @field_validator("when", mode="before")
    @classmethod
    def _spelled_out(cls, when: Any) -> Any:
        return {"always": True} if when == "always" else when

    @model_validator(mode="after")
    def _fits_endpoint(self) -> Self:
        if self.endpoint not in self.allowed:
            fitting = ", ".join(sorted(self.allowed))
            raise ValueError(f"action: not for endpoint {self.endpoint}, only for {fitting}")
        return self
