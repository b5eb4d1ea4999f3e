"""What operators write about the queue and the gates of providers."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from darkroom.domain.admission import MOST_SLOTS
from gateway.admin_schemas import GivenReason
from gateway.schemas import Reason, Wire

Slots = Annotated[int, Field(strict=True, ge=1, le=MOST_SLOTS)]


class QueueBody(Wire):
    """`PATCH /v1/admin/queue`: how many jobs work at a time; `ownerLimit: null` lifts that."""

    concurrency: Slots | None = Field(default=None, description="jobs that work at a time")
    owner_limit: Slots | None = Field(default=None, description="of one owner; null: no limit")
    reason: Reason = ""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        is_lifted = "owner_limit" in self.model_fields_set
        if self.concurrency is None and not is_lifted:
            raise PydanticCustomError(
                "nothing_to_change",
                "changes nothing",
                {"remedy": "send concurrency, ownerLimit, or both"},
            )
        return self


class QueueOrderBody(Wire):
    """`POST /v1/admin/queue:pause`, `:resume` and `:drain`."""

    reason: Reason = ""


class GateOpenBody(Wire):
    """`POST /v1/admin/providers/{provider}/{model}/open`: everybody who waits reads why."""

    reason: GivenReason


class GateCloseBody(Wire):
    """`POST /v1/admin/providers/{provider}/{model}/close`."""

    reason: Reason = ""
