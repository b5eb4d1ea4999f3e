"""What people may tell a job while it is open, and what it answers.

Each order is one value whose fields have defaults, so that an operator can type the update or
the signal without any input. A refused order changes nothing and says why.
"""

from dataclasses import dataclass
from enum import StrEnum

from darkroom.domain.job import Priority
from darkroom.domain.lifecycle import JobState

UNNAMED = "operator"  # whoever speaks through Temporal's own tools without saying who they are


class CancelMode(StrEnum):
    """How a job stops. Source: spec.md 9."""

    NOW = "now"  # what is in flight is booked as abandoned
    AFTER_CURRENT = "after_current"  # what is in flight is collected and kept


class Decision(StrEnum):
    """What to do about a purchase of which nobody knows whether it was made."""

    REBUY = "rebuy"
    GIVE_UP = "give_up"


class OnUnknown(StrEnum):
    """What a job does about a purchase whose answer was lost for good."""

    ASK = "ask"
    REBUY_ONCE = "rebuy_once"  # booked as possibly double


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
