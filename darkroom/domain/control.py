"""What people may tell a job while it is open, and what it answers.

Each order is one value whose fields have defaults, so that an operator can type the update or
the signal without any input. A refused order changes nothing and says why.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar, cast

from darkroom.domain.job import Priority
from darkroom.domain.lifecycle import JobState

Order = TypeVar("Order")

UNNAMED = "operator"  # whoever speaks through Temporal's own tools without saying who they are


class CancelMode(StrEnum):
    """How a job stops. Source: spec.md 9."""

    NOW = "now"  # what is in flight is booked as abandoned
    AFTER_CURRENT = "after_current"  # what is in flight is collected and kept


class Decision(StrEnum):
    """What to do about a purchase of which nobody knows whether it was made."""

    REBUY = "rebuy"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOrder:
    """Buy nothing more until resumed; what is in flight is collected."""

    by: str = UNNAMED
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeOrder:
    """Go on; the job keeps its place in the queue."""

    by: str = UNNAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Stop for good; pictures that are there stay."""

    mode: CancelMode = CancelMode.NOW
    by: str = UNNAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityOrder:
    """Move a job up or down in the queue."""

    priority: Priority
    by: str = UNNAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideOrder:
    """Settle a purchase of unknown outcome, or with no item every one of the job."""

    decision: Decision
    item: str | None = None
    by: str = UNNAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Controlled:
    """The job after an order; `changed` is false when it was so already."""

    state: JobState
    changed: bool


def typed_order(kind: type[Order], typed: object) -> Order:
    """Read what somebody typed as a signal's input: nothing, or a JSON object of texts.

    Raises:
        ValueError: it is something else; the message says what is taken.
    """
    known = [field.name for field in fields(cast("Any", kind))]
    example = f"nothing, or a JSON object with {' and '.join(known)}"
    if typed is None:
        return kind()
    if not isinstance(typed, dict):
        raise ValueError(f"{typed!r:.80} is not an order; it takes {example}")  # noqa: TRY004 -- what was typed is a value that is refused, whatever its type
    texts = cast("dict[object, object]", typed)
    strange = [name for name in texts if name not in known]
    if strange:
        raise ValueError(f"{strange[0]!r:.80} is not part of this order; it takes {example}")
    if not all(isinstance(value, str) for value in texts.values()):
        raise ValueError(f"an order consists of texts; it takes {example}")
    given = {str(name): _word(str(name), str(text)) for name, text in texts.items()}
    return kind(**given)


def _word(name: str, text: str) -> str:
    if name != "mode":
        return text
    modes = [mode.value for mode in CancelMode]
    if text not in modes:
        raise ValueError(f"mode {text!r:.80} is not known; send one of: {', '.join(modes)}")
    return CancelMode(text)
