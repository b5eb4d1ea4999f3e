"""Every name that more than one room must agree on, made in one place."""

from dataclasses import dataclass
from typing import Literal

from darkroom.domain.job import JobId
from darkroom.domain.ledger import CallKey, parse_call

TASK_QUEUE = "darkroom"

# Custom search attributes, all of type Keyword except the labels (KeywordList).
STATUS_ATTRIBUTE = "DarkroomStatus"
STAGE_ATTRIBUTE = "DarkroomStage"
KIND_ATTRIBUTE = "DarkroomKind"
OWNER_ATTRIBUTE = "DarkroomOwner"
PRIORITY_ATTRIBUTE = "DarkroomPriority"
LABELS_ATTRIBUTE = "DarkroomLabels"
SEARCH_ATTRIBUTES: dict[str, Literal["Keyword", "KeywordList"]] = {
    STATUS_ATTRIBUTE: "Keyword",
    STAGE_ATTRIBUTE: "Keyword",
    KIND_ATTRIBUTE: "Keyword",
    OWNER_ATTRIBUTE: "Keyword",
    PRIORITY_ATTRIBUTE: "Keyword",
    LABELS_ATTRIBUTE: "KeywordList",
}

REQUEST_DIGEST_MEMO = "requestDigest"
PROMPTS_ENHANCED_SIGNAL = "prompts_enhanced"
CALL_HEADER = "X-Darkroom-Call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """One ring of the doorbell; without a topic, anything may have changed."""

    job_id: JobId | None = None
    call: CallKey | None = None


def ring_text(ring: Ring) -> str:
    """Write a ring as a notification payload (PostgreSQL allows 8,000 bytes)."""
    return f"job:{ring.job_id}" if ring.job_id else f"call:{ring.call}" if ring.call else ""


def parse_ring(text: str) -> Ring:
    """Read what `ring_text` wrote; anything else is a ring without a topic."""
    topic, _, rest = text.partition(":")
    match topic:
        case "job":
            return Ring(job_id=JobId(rest))
        case "call":
            return Ring(call=parse_call(rest))
        case _:
            return Ring()
